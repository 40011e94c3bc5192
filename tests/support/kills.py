"""What the tests of kills share: a small real environment, forked runs of the command line, trees to compare."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from doctor import LARGE
from doctor import environment as clean_environment
from environments import environment
from paddlevl_doctor.facts.deciding_files import deciding_files

PROPERTY = "kills"
"""Under this name a test reports how many kills hit which phase (see `conftest`)."""
WHOLE = ("paddlex", "paddleocr", "safetensors")
"""What is in the small environment with all its files; of the others there is what an installer looks at."""
_WITH_TIMES = ("journal.jsonl", "commit.json", "entries.json")
"""Files of a transaction that have times or checksums over times."""
Tree = dict[str, tuple[str, str, int]]


# --- the environment --------------------------------------------------------------------------------------


def small_environment(folder: Path) -> Path:
    """Make an environment that is the real set 2025-11 to an installer, out of hard links, and return its folder.

    Every distribution is there, and paddlex 3.3.6 and paddleocr 3.3.1 with all their files; the others have their
    folders, and the files that the quick check compares. RECORD lists no libraries and packages that are not there:
    with the libraries a copy of the environment takes 450 MB.
    Paddle is the current set's: its 7,000 files would only make every run longer.
    """
    source, current = environment("set-2025-11"), environment("current-311")
    for path in _files(source):
        _link(source, path, folder) if _is_wanted(path) else None
    of_paddle = deciding_files("paddlepaddle")
    for path in _files(current):
        compared = path.partition("site-packages/")[2] in of_paddle and not _is_library(path)
        if "/site-packages/paddlepaddle-" in f"/{path}" or compared:
            _link(current, path, folder)
    for record in folder.glob("lib/*/site-packages/*.dist-info/RECORD"):
        _forget_missing(record)
    _make_folders(source, folder)
    return folder


def _make_folders(source: Path, folder: Path) -> None:
    """Make the folders at the top of site-packages; the quick check reports one that is gone."""
    for site in source.glob("lib/*/site-packages"):
        for path in (p for p in site.iterdir() if p.is_dir() and p.suffix != ".dist-info"):
            (folder / path.relative_to(source)).mkdir(exist_ok=True)


def _forget_missing(record: Path) -> None:
    """Remove the libraries and packages from a RECORD that are not there: the quick check reports them."""
    rows = record.read_text(encoding="utf-8").splitlines(keepends=True)
    kept = [row for row in rows if _is_there(record.parents[1], row.partition(",")[0])]
    if kept != rows:
        record.unlink()  # it is a hard link
        record.write_text("".join(kept), encoding="utf-8")


def _is_there(site: Path, path: str) -> bool:
    """Return whether a file exists; True for files that the quick check does not look at."""
    return not (_is_library(path) or path.endswith("/__init__.py")) or (site / path).exists()


def _is_library(path: str) -> bool:
    return path.endswith(".so") or ".so." in path


_COMPARED = {
    path for name in ("numpy", "safetensors", "opencv-contrib-python") for path in deciding_files(name)
}


def _is_wanted(path: str) -> bool:
    inside = path.partition("site-packages/")[2]
    top = inside.partition("/")[0]
    if inside in _COMPARED:
        return not _is_library(path)
    if not top:
        return not path.startswith("bin/") or Path(path).name.startswith(("python", "activate"))
    return (top in WHOLE or top.endswith((".dist-info", ".pth", ".py", ".so"))) and not top.startswith(
        "paddlepaddle-"
    )


def _files(root: Path) -> Iterator[str]:
    for folder, names, files in os.walk(root):
        links = [name for name in names if os.path.islink(os.path.join(folder, name))]  # noqa: PTH114, PTH118
        for name in (*files, *links):
            yield Path(folder, name).relative_to(root).as_posix()


def _link(source: Path, path: str, folder: Path) -> None:
    place = folder / path
    place.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source / path, place, follow_symlinks=False)
    except OSError:  # another device
        shutil.copy2(source / path, place, follow_symlinks=False)


# --- trees ------------------------------------------------------------------------------------------------


@dataclass
class Trees:
    """Reads trees; a file whose inode and times are known is not read again."""

    known: dict[tuple[int, int, int, int], str] = field(default_factory=dict)

    def of(self, root: Path) -> Tree:
        """Return every file, link and folder below `root` with its content (but a journal's) and mode."""
        found: Tree = {}
        waiting = [(str(root), "")]
        while waiting:
            folder, prefix = waiting.pop()
            for entry in os.scandir(folder):
                path = prefix + entry.name
                found[path] = self._described(entry)
                if entry.is_dir(follow_symlinks=False):
                    waiting.append((entry.path, f"{path}/"))
        return found

    def _described(self, entry: os.DirEntry[str]) -> tuple[str, str, int]:
        seen = entry.stat(follow_symlinks=False)
        mode = stat.S_IMODE(seen.st_mode)
        if entry.is_symlink():
            return "link", os.readlink(entry.path), 0
        if entry.is_dir(follow_symlinks=False):
            return "folder", "", mode
        return "file", "" if entry.name in _WITH_TIMES else self._digest(entry.path, seen), mode

    def _digest(self, path: str, seen: os.stat_result) -> str:
        changed = seen.st_ctime_ns if seen.st_size <= LARGE else 0  # a hard link made elsewhere changes it
        key = (seen.st_ino, seen.st_size, seen.st_mtime_ns, changed)
        if key not in self.known:
            self.known[key] = hashlib.sha256(Path(path).read_bytes()).hexdigest()
        return self.known[key]


def difference(left: Tree, right: Tree) -> dict[str, object]:
    """Return what differs, which is nothing where two trees are the same."""
    return {p: (left.get(p), right.get(p)) for p in {*left, *right} if left.get(p) != right.get(p)}


# --- runs -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Run:
    """What became of a run: its exit code (negative for a signal), and where it was when it was killed."""

    code: int
    places: tuple[str, ...]
    seconds: float
    output: str


class Forks:
    """Runs of the command line in one folder, in children of a process that has everything imported."""

    def __init__(self, folder: Path, **extra: str) -> None:
        self.folder, self.extra = folder, extra
        self.output = folder.parent / f"{folder.name}.output"
        self.server = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("forkserver.py"))],
            env={**clean_environment(folder, extra), "NO_COLOR": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
        )

    def __call__(self, *words: str, **how: Any) -> Run:
        """Run the command line; `how` says where to kill it (see `forkserver`)."""
        request = {"argv": words, "cwd": str(self.folder), "output": str(self.output), **how}
        assert self.server.stdin is not None
        assert self.server.stdout is not None
        self.server.stdin.write(json.dumps(request) + "\n")
        self.server.stdin.flush()
        answer = json.loads(self.server.stdout.readline())
        return Run(answer["code"], tuple(answer["places"]), answer["seconds"], answer["output"])

    def close(self) -> None:
        """End the server."""
        self.server.communicate()
