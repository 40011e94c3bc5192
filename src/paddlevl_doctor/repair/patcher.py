"""Changes one file of an installed package so carefully that nobody else notices.

uv shares files between its cache and all environments by hard links, so a file must never be written in place: the
new bytes go to a file of their own, which then takes the place of the old directory entry. The old entry itself
(the very inode, or symbolic link) is kept for undo.

A kept entry is whole or absent, and it is on disk before its file is replaced. So whatever moment a run was stopped
at, the kept entry and the file together tell what has happened, and `restore_file` ends it.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
import tempfile
from pathlib import Path, PurePosixPath

from paddlevl_doctor.errors import DoctorError
from paddlevl_doctor.knowledge.patches import PatchFile
from paddlevl_doctor.messages import text
from paddlevl_doctor.system import System
from paddlevl_doctor.system_files import sync_folder

_COMPILE = "import sys; compile(open(sys.argv[1], 'rb').read(), sys.argv[2], 'exec')"
_COMPILE_TIMEOUT = 60.0
_CHUNK = 1 << 20


class PatchDoesNotFitError(DoctorError):
    """The file is not what the patch was made for; nothing was touched."""


class FileMovedError(DoctorError):
    """The file changed between looking and writing, or since we wrote it; it is kept as it is."""


def sha256_of(data: bytes) -> str:
    """Return the SHA-256 of some bytes as hexadecimal text."""
    return hashlib.sha256(data).hexdigest()


def sha256_of_file(path: Path) -> str:
    """Return the SHA-256 of a file as hexadecimal text; raises OSError."""
    state = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            state.update(chunk)
    return state.hexdigest()


def plan_change(file: PatchFile, content: bytes) -> bytes:
    """Return the patched content of a file.

    Raises PatchDoesNotFitError unless the content is exactly a published one and the result is the recorded one.
    """
    known = file.original(sha256_of(content))
    if known is None:
        raise PatchDoesNotFitError(text("patch-unknown-content", path=file.path))
    variant, original = known
    changed = variant.applied_to(content)
    if changed is None or sha256_of(changed) != original.patched_sha256:
        raise PatchDoesNotFitError(text("patch-unknown-content", path=file.path))
    return changed


def plan_reversal(file: PatchFile, content: bytes) -> bytes | None:
    """Return the published content behind a patched one, None where the content is not our patch's result,
    today's or that of an earlier release.
    """
    digest = sha256_of(content)
    for variant in (*file.variants, *file.former):
        for original in variant.originals:
            former = variant.taken_from(content) if original.patched_sha256 == digest else None
            if former is not None and sha256_of(former) == original.sha256:
                return former
    return None


def syntax_error(python: str, path: Path, shown: str, system: System) -> str | None:
    """Compile a file with the target's Python, writing no bytecode; return what is wrong with it, or None."""
    argv = (python, "-I", "-S", "-c", _COMPILE, str(path), shown)  # -S: a third of the start is `site`
    done = system.run(argv, timeout=_COMPILE_TIMEOUT)
    return None if done.ok else (done.stderr.strip().splitlines() or ["?"])[-1]


# --- one file ---------------------------------------------------------------------------------------------


def replace_file(site: Path, relative: str, data: bytes, *, expect: str, keep: Path) -> None:
    """Put new bytes in place of a file below `site`; its former entry is kept as `keep`, which must not exist.

    `expect` is the SHA-256 that the file must still have. Raises FileMovedError when it has not,
    PatchDoesNotFitError for a path that leads out of `site`, FileExistsError for a `keep` that is taken, OSError
    when the disk refuses; the old file is then still in place and nothing is left behind.
    """
    leaf = _leaf(site, relative)
    _expect(leaf, relative, expect)
    if os.path.lexists(keep):  # it may be somebody's only copy, or an inode of uv's cache
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(keep))
    staged = _stage_like(leaf, data, staging_folder(keep.parent, leaf.parent))
    try:
        keep_entry(leaf, keep)
        sync_folder(keep.parent)
        _expect(leaf, relative, expect)  # once more: staging and syncing took their time
        staged.replace(leaf)
    except BaseException:
        if staged.exists():  # else it is in place, and the kept entry is needed for undo
            keep.unlink(missing_ok=True)
            staged.unlink()
        raise
    sync_folder(leaf.parent)
    drop_bytecode(leaf)


def restore_file(site: Path, relative: str, *, expect: str, keep: Path) -> None:
    """Put the kept entry back in place of the patched file, whose SHA-256 must still be `expect`.

    A file that never was replaced is left alone. Raises FileMovedError where somebody edited the file.
    """
    leaf = _leaf(site, relative)
    if not os.path.lexists(keep):
        return
    if _is_untouched(leaf, keep, expect):
        keep.unlink()
        return
    _expect(leaf, relative, expect)
    _put_back(keep, leaf)
    sync_folder(leaf.parent)
    drop_bytecode(leaf)


def _leaf(site: Path, relative: str) -> Path:
    """Return the file's path without following a link at its end; raises PatchDoesNotFitError outside `site`."""
    pure = PurePosixPath(relative)
    leaf = site.joinpath(*pure.parts)
    outside = pure.is_absolute() or ".." in pure.parts
    if outside or not leaf.parent.resolve().is_relative_to(site.resolve()):
        raise PatchDoesNotFitError(text("patch-outside", path=relative, site=site))
    return leaf


def _expect(leaf: Path, relative: str, expect: str) -> None:
    if not leaf.is_file() or sha256_of(leaf.read_bytes()) != expect:
        raise FileMovedError(text("file-moved", path=relative))


# --- new files --------------------------------------------------------------------------------------------


def stage(folder: Path, data: bytes, mode: int) -> Path:
    """Write new bytes to a file of their own in `folder`, with its final mode, and sync them to disk."""
    descriptor, name = tempfile.mkstemp(prefix=".new-", dir=folder)  # O_EXCL, mode 0600
    path = Path(name)
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


def _stage_like(model: Path, data: bytes, folder: Path) -> Path:
    """Stage new bytes with the mode and, where we may give files away, the owner of an existing file."""
    wanted = model.stat()
    staged = stage(folder, data, stat.S_IMODE(wanted.st_mode))
    made = staged.stat()
    if (made.st_uid, made.st_gid) != (wanted.st_uid, wanted.st_gid):
        with contextlib.suppress(OSError):  # only root may
            os.chown(staged, wanted.st_uid, wanted.st_gid)
    return staged


def staging_folder(preferred: Path, beside: Path) -> Path:
    """Return a folder on the same device as the file, so that the last step is one atomic rename."""
    return preferred if preferred.stat().st_dev == beside.stat().st_dev else beside


# --- kept entries -----------------------------------------------------------------------------------------


def keep_entry(leaf: Path, keep: Path) -> None:
    """Keep the directory entry that is about to be replaced: the same inode, or the same symbolic link.

    Raises FileExistsError when `keep` is taken.
    """
    try:
        os.link(leaf, keep, follow_symlinks=False)
    except FileExistsError:
        raise
    except (OSError, NotImplementedError):  # another device, or a file system without hard links
        _copy_entry(leaf, keep)


def _copy_entry(source: Path, place: Path) -> None:
    """Make `place` an equal entry, a link or a file, in one step: it is never seen half written."""
    if source.is_symlink():
        made = place.with_name(f".new-{place.name}")
        made.unlink(missing_ok=True)
        made.symlink_to(os.readlink(source))
    else:
        made = _stage_like(source, source.read_bytes(), place.parent)
    made.replace(place)


def _put_back(keep: Path, leaf: Path) -> None:
    """Move the kept entry to its place; from another device it is copied there first, and then removed."""
    try:
        keep.replace(leaf)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        _copy_entry(keep, leaf)
        keep.unlink()


def _is_untouched(leaf: Path, keep: Path, expect: str) -> bool:
    """Say whether the file is what was kept, because it never was replaced or because it was already put back.

    Without hard links the two are files of their own with equal bytes.
    """
    if keep.is_symlink() and leaf.is_symlink():
        return os.readlink(keep) == os.readlink(leaf)
    if not (leaf.is_file() and keep.is_file()):
        return False
    found = leaf.read_bytes()
    return leaf.samefile(keep) or (found == keep.read_bytes() and sha256_of(found) != expect)


# --- bytecode ---------------------------------------------------------------------------------------------


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
