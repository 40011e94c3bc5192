"""Changes single files of an installed package without changing the same files in other environments.

uv shares files between its cache and all environments by hard links, so a file is never written in place: the new
bytes go to a new file, which then replaces the directory entry. The former entry (the same inode, or the symbolic
link) is kept for undo.

A kept entry is complete or missing, and it is on the disk before its file is replaced. So after an interruption at
any point, `fix.entries.take_back` finds out from both what has happened, and restores the file.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
import sys
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from paddlevl_doctor.facts.record_hashes import record_hashes
from paddlevl_doctor.frozen import dataclass
from paddlevl_doctor.knowledge.patches import Patch, PatchFile, PatchState, state_of
from paddlevl_doctor.messages import message
from paddlevl_doctor.system.files import open_file, sync_folder
from paddlevl_doctor.system.machine import System
from paddlevl_doctor.values.errors import DoctorError
from paddlevl_doctor.values.facts import Target

_COMPILE = "import sys; compile(open(sys.argv[1], 'rb').read(), sys.argv[2], 'exec')"
_COMPILE_TIMEOUT = 60.0
_CHUNK = 1 << 20


class PatchDoesNotFitError(DoctorError):
    """The patch was not made for this content of the file; no file was changed."""


class FileMovedError(DoctorError):
    """The file changed since it was read or written by the doctor; it is not overwritten."""


def sha256_of(data: bytes) -> str:
    """Return the SHA-256 of some bytes as hexadecimal text."""
    return hashlib.sha256(data).hexdigest()


def sha256_of_file(path: Path) -> str:
    """Return the SHA-256 of a file as hexadecimal text; raises OSError, also for a pipe, which could block for ever."""
    state = hashlib.sha256()
    with open_file(path) as file:
        while chunk := file.read(_CHUNK):
            state.update(chunk)
    return state.hexdigest()


def plan_change(file: PatchFile, content: bytes) -> bytes:
    """Return the patched content of a file.

    Raises PatchDoesNotFitError unless the content is exactly a published one and the result is the recorded one.
    """
    known = file.original(sha256_of(content))
    if known is None:
        raise PatchDoesNotFitError(message("patch-unknown-content", path=file.path))
    variant, original = known
    changed = variant.applied_to(content)
    if changed is None or sha256_of(changed) != original.patched_sha256:
        raise PatchDoesNotFitError(message("patch-unknown-content", path=file.path))
    return changed


def plan_reversal(file: PatchFile, content: bytes) -> bytes | None:
    """Return the published content that a patched content was made from.

    None if the content is not the result of this patch, in its current or a former release.
    """
    digest = sha256_of(content)
    for variant in (*file.variants, *file.former):
        for original in variant.originals:
            former = variant.taken_from(content) if original.patched_sha256 == digest else None
            if former is not None and sha256_of(former) == original.sha256:
                return former
    return None


def syntax_error(python: str, path: Path, shown: str, system: System) -> str | None:
    """Compile a file with the target's Python, without bytecode; return the error, None if there is none."""
    argv = (
        python,
        "-I",
        "-S",
        "-c",
        _COMPILE,
        str(path),
        shown,
    )  # -S: importing `site` takes a third of the start-up time
    done = system.run(argv, timeout=_COMPILE_TIMEOUT)
    return None if done.ok else (done.stderr.strip().splitlines() or ["?"])[-1]


# --- one file ---------------------------------------------------------------------------------------------


def replace_file(site: Path, relative: str, data: bytes, *, expect: str, keep: Path) -> None:
    """Put new bytes in place of a file below `site`; its former entry is kept as `keep`, which must not exist.

    `expect` is the SHA-256 that the file must still have. Raises FileMovedError if it has another one,
    PatchDoesNotFitError for a path outside `site`, FileExistsError if `keep` exists, OSError for an error of the disk;
    then the former file is still in place, and no new file is left.
    """
    leaf = _leaf(site, relative)
    _expect(leaf, relative, expect)
    if os.path.lexists(keep):  # it may be the only copy of a file, or an inode of uv's cache
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(keep))
    staged = _stage_like(leaf, data, staging_folder(keep.parent, leaf.parent))
    try:
        keep_entry(leaf, keep)
        sync_folder(keep.parent)
        _expect(leaf, relative, expect)  # again, because staging and syncing take time
        staged.replace(leaf)
    except BaseException:
        if staged.exists():  # otherwise it is in place, and undo needs the kept entry
            keep.unlink(missing_ok=True)
            staged.unlink()
        raise
    sync_folder(leaf.parent)
    drop_bytecode(leaf)


def _leaf(site: Path, relative: str) -> Path:
    """Return the file's path without following a link at its end; raises PatchDoesNotFitError outside `site`."""
    pure = PurePosixPath(relative)
    leaf = site.joinpath(*pure.parts)
    outside = pure.is_absolute() or ".." in pure.parts
    if outside or not leaf.parent.resolve().is_relative_to(site.resolve()):
        raise PatchDoesNotFitError(message("patch-outside", path=relative, site=site))
    return leaf


def _expect(leaf: Path, relative: str, expect: str) -> None:
    if not leaf.is_file() or sha256_of(leaf.read_bytes()) != expect:
        raise FileMovedError(message("file-moved", path=relative))


# --- new files --------------------------------------------------------------------------------------------


def stage(folder: Path, data: bytes, mode: int) -> Path:
    """Write bytes to a new file in `folder`, with its final mode, and sync it to disk."""
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
    """Stage bytes with the mode and, if the user may set it, the owner of an existing file."""
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
    """Keep the directory entry before it is replaced: the same inode, or the same symbolic link.

    Raises FileExistsError if `keep` exists.
    """
    try:
        os.link(leaf, keep, follow_symlinks=False)
    except FileExistsError:
        raise
    except (OSError, NotImplementedError):  # another device, or a file system without hard links
        _copy_entry(leaf, keep)


def _copy_entry(source: Path, place: Path) -> None:
    """Copy a link or a file to `place` atomically."""
    if source.is_symlink():
        made = place.with_name(f".new-{place.name}")
        made.unlink(missing_ok=True)
        made.symlink_to(os.readlink(source))
    else:
        made = _stage_like(source, source.read_bytes(), place.parent)
    made.replace(place)


def put_back(keep: Path, leaf: Path) -> None:
    """Move the kept entry back; from another device, copy it and remove it."""
    try:
        keep.replace(leaf)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        _copy_entry(keep, leaf)
        keep.unlink()


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


_CHANGEABLE = (PatchState.PRISTINE, PatchState.OLDER)


@dataclass(frozen=True)
class Change:
    """One file to be written: its bytes before and after."""

    path: str
    before: bytes
    after: bytes


def changes(system: System, patch: Patch, target: Target) -> tuple[Change, ...]:
    """Return the changes of the files that are as published, or as an older release of the patch left them.

    Files that have the effect of the patch are left out. Raises DoctorError for a file with another content.
    """
    version, site = target.version_of(patch.distribution) or "", Path(target.folder_of(patch.distribution))
    found = []
    for file in patch.files:
        content = system.read_bytes(site / file.path)
        digest = None if content is None else sha256_of(content)
        state = state_of(file, digest, version)
        if state in (PatchState.PATCHED, PatchState.EDITED):
            continue
        published = plan_reversal(file, content or b"") if state is PatchState.OLDER else content
        if state not in _CHANGEABLE or content is None or published is None:
            shown = (digest or "-")[:12]
            known = {"version": version, "sha256": shown, "python": target.python}
            raise DoctorError(message("file-altered", path=file.path, **known))
        recorded = record_hashes(system, target, patch.distribution, (file.path,))
        if sha256_of(published) not in recorded[file.path]:
            raise DoctorError(message("file-not-recorded", path=file.path, name=patch.distribution))
        found.append(Change(file.path, content, plan_change(file, published)))
    return tuple(found)


def write(system: System, todo: Sequence[Change], target: Target, site: Path, folder: Path) -> None:
    """Compile every new file with the target's Python, then replace the files below `site`.

    The former entries are kept in `folder`.

    Raises DoctorError for a file that does not compile, and the errors of `replace_file`.
    """
    folder.mkdir(parents=True)
    for change in todo:
        error = _compile_error(system, target, folder, change)
        if error is not None:
            raise DoctorError(message("does-not-compile", path=change.path, reason=error))
    for number, change in enumerate(todo):
        before = sha256_of(change.before)
        kept = folder / str(number)  # not its hash: two files of a patch may have been equal
        replace_file(site, change.path, change.after, expect=before, keep=kept)


def _compile_error(system: System, target: Target, folder: Path, change: Change) -> str | None:
    """Return the error of compiling a change with the target's Python, None if there is none.

    If the doctor runs on the same Python version, no process is started: that takes most of the time of a patch.
    """
    own = f"{sys.version_info.major}.{sys.version_info.minor}."
    if target.implementation != sys.implementation.name or not f"{target.version}.".startswith(own):
        staged = folder / "compiled.py"
        staged.write_bytes(change.after)
        error_text = syntax_error(target.python, staged, change.path, system)
        staged.unlink()
        return error_text
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a warning about upstream's source is not an error of the patch
            compile(change.after, change.path, "exec", dont_inherit=True)
    except (SyntaxError, ValueError) as error:
        return f"{type(error).__name__}: {error}"
    return None
