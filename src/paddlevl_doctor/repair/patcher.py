"""Changes one file of an installed package so carefully that nobody else notices.

uv shares files between its cache and all environments by hard links, so a file must never be written in place: the
new bytes go to a file of their own, which then takes the place of the old directory entry. The old entry itself
(the very inode, or symbolic link) is kept for undo.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
from pathlib import Path, PurePosixPath

from paddlevl_doctor.errors import DoctorError
from paddlevl_doctor.knowledge.patches import PatchFile
from paddlevl_doctor.messages import text
from paddlevl_doctor.system import System

_COMPILE = "import sys; compile(open(sys.argv[1], 'rb').read(), sys.argv[2], 'exec')"
_COMPILE_TIMEOUT = 60.0


class PatchDoesNotFitError(DoctorError):
    """The file is not what the patch was made for; nothing was touched."""


class FileMovedError(DoctorError):
    """The file changed between looking and writing, or since we wrote it; it is kept as it is."""


def sha256_of(data: bytes) -> str:
    """Return the SHA-256 of some bytes as hexadecimal text."""
    return hashlib.sha256(data).hexdigest()


def plan_change(file: PatchFile, content: bytes) -> bytes:
    """Return the patched content of a file.

    Raises PatchDoesNotFitError unless the content is exactly a published one and the result is the recorded one.
    """
    known = file.original(sha256_of(content))
    if known is None:
        raise PatchDoesNotFitError(text("patch-unknown-content", path=file.path))
    variant, original = known
    changed = content
    for replacement in variant.replacements:
        old = replacement.old.encode()
        if changed.count(old) != 1:
            raise PatchDoesNotFitError(text("patch-unknown-content", path=file.path))
        changed = changed.replace(old, replacement.new.encode())
    if sha256_of(changed) != original.patched_sha256:
        raise PatchDoesNotFitError(text("patch-unknown-content", path=file.path))
    return changed


def _leaf(site: Path, relative: str) -> Path:
    """Return the file's path without following a link at its end; raises PatchDoesNotFitError outside `site`."""
    pure = PurePosixPath(relative)
    leaf = site.joinpath(*pure.parts)
    outside = pure.is_absolute() or ".." in pure.parts
    if outside or not leaf.parent.resolve().is_relative_to(site.resolve()):
        raise PatchDoesNotFitError(text("patch-outside", path=relative, site=site))
    return leaf


def syntax_error(python: str, path: Path, shown: str, system: System) -> str | None:
    """Compile a file with the target's Python, writing no bytecode; return what is wrong with it, or None."""
    argv = (python, "-I", "-c", _COMPILE, str(path), shown)
    done = system.run(argv, timeout=_COMPILE_TIMEOUT)
    return None if done.ok else (done.stderr.strip().splitlines() or ["?"])[-1]


def stage(folder: Path, data: bytes, mode: int) -> Path:
    """Write new bytes to a file of their own in `folder`, with its final mode, and sync them to disk."""
    path = folder / f"new-{os.getpid()}-{sha256_of(data)[:16]}"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        path.chmod(mode)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return path


def keep_entry(leaf: Path, keep: Path) -> None:
    """Keep the directory entry that is about to be replaced: the same inode, or the same symbolic link."""
    if leaf.is_symlink():
        keep.symlink_to(os.readlink(leaf))
        return
    try:
        os.link(leaf, keep)
    except OSError:  # another device, or a file system without hard links
        shutil.copy2(leaf, keep)


def replace_file(site: Path, relative: str, data: bytes, *, expect: str, keep: Path) -> None:
    """Put new bytes in place of a file below `site`; its former entry is kept as `keep`.

    `expect` is the SHA-256 that the file must still have. Raises FileMovedError when it has not,
    PatchDoesNotFitError for a path that leads out of `site`, OSError when the disk refuses; the old file is then
    still in place and nothing is left behind.
    """
    leaf = _leaf(site, relative)
    _expect(leaf, relative, expect)
    staged = stage(_staging_folder(keep.parent, leaf.parent), data, stat.S_IMODE(leaf.stat().st_mode))
    try:
        keep_entry(leaf, keep)
        staged.replace(leaf)
    except BaseException:
        staged.unlink(missing_ok=True)
        raise
    sync_folder(leaf.parent)
    drop_bytecode(leaf)


def restore_file(site: Path, relative: str, *, expect: str, keep: Path) -> None:
    """Put the kept entry back in place of the patched file, whose SHA-256 must still be `expect`.

    A file that never was replaced is left alone. Raises FileMovedError where somebody edited the file.
    """
    leaf = _leaf(site, relative)
    if not (keep.exists() or keep.is_symlink()):
        return
    if _is_same_entry(leaf, keep):
        keep.unlink()
        return
    _expect(leaf, relative, expect)
    keep.replace(leaf)
    sync_folder(leaf.parent)
    drop_bytecode(leaf)


def _is_same_entry(leaf: Path, keep: Path) -> bool:
    """Say whether the replacement never happened: both names stand for one file, or for equal links."""
    if keep.is_symlink() or leaf.is_symlink():
        return keep.is_symlink() and leaf.is_symlink() and os.readlink(keep) == os.readlink(leaf)
    return leaf.exists() and leaf.samefile(keep)


def _expect(leaf: Path, relative: str, expect: str) -> None:
    current = leaf.read_bytes() if leaf.is_file() else b""
    if sha256_of(current) != expect:
        raise FileMovedError(text("file-moved", path=relative))


def _staging_folder(preferred: Path, beside: Path) -> Path:
    """Return a folder on the same device as the file, so that the last step is one atomic rename."""
    return preferred if preferred.stat().st_dev == beside.stat().st_dev else beside


def sync_folder(folder: Path) -> None:
    """Sync a folder's entries to disk, where the system can."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def drop_bytecode(source: Path) -> None:
    """Remove the bytecode of a source file, of every Python and optimisation level.

    Python compares size and whole-second time only, so old bytecode can outlive a same-size change.
    """
    folders = [source.parent / "__pycache__"]
    prefix = os.environ.get("PYTHONPYCACHEPREFIX")
    if prefix:
        folders.append(Path(prefix, *source.parent.parts[1:]))
    for folder in folders:
        for path in folder.glob(f"{source.stem}.*.pyc"):
            path.unlink(missing_ok=True)
