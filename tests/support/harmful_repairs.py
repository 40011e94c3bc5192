"""Repairs that make an environment worse, run for real, and the state of the environment afterwards.

Each case is `paddlevl-doctor fix --apply` on a copy of a real environment. The package index or the wheelhouse offers
the damaged packages. While the installer runs, files of the user are created and replaced.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import uv

import harmful_wheels as change
from broken_server import broken_server
from doctor import start_doctor
from environments import environment, fresh_copy, python_in
from harmful_wheels import Files, changed, file_name, packed
from kills import Tree, Trees, difference
from paddlevl_doctor.packages import wheelhouse
from paddlevl_doctor.packages.resolve import TargetPlatform
from wheels import index, wheel

Change = Callable[[Files], None]
Wheels = Sequence[tuple[str, bytes]]
NUMPY = ("--only", "numpy-2-4-scalar")
STACK = ("--set", "current")
TIMEOUT = 400.0
SITE = Path("lib/python3.11/site-packages")


# --- the environments before the repair -------------------------------------------------------------------


def too_new_numpy(folder: Path) -> None:
    """Build an environment that can be imported, with a numpy that is too new."""
    fresh_copy("numpy-2-4", folder / ".venv")


def older_stack(folder: Path) -> None:
    """Build a healthy environment whose paddleocr and paddlex are older than those of the current set."""
    venv = fresh_copy("current-311", folder / ".venv")
    wanted = ("paddleocr==3.3.1", "paddlex==3.3.6")
    argv = (uv.find_uv_bin(), "pip", "install", "--quiet", "--no-deps", "--python", python_in(venv), *wanted)
    subprocess.run([str(word) for word in argv], check=True)


# --- the wheels -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Bad:
    """A damaged wheel of a real distribution."""

    name: str
    changes: tuple[Change, ...]
    after: Change | None = None
    """Applied after RECORD was written."""

    def build(self) -> tuple[str, bytes]:
        files = changed("current-311", self.name, self.changes)
        return file_name(files), packed(files, self.after)


@cache
def good(name: str) -> tuple[str, bytes]:
    """Return the wheel of a distribution of the current set, made of its installed files."""
    files = change.unpacked("current-311", name)
    return file_name(files), packed(files)


def wrong_content(name: str, version: str, content: str, module: str | None = None) -> tuple[str, bytes]:
    """Return a small wheel whose only module has this content."""
    info = f"{name.replace('-', '_')}-{version}.dist-info"
    files: Files = {
        f"{module or name}/__init__.py": content.encode(),
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode(),
    }
    return file_name(files), packed(files)


# --- the cases --------------------------------------------------------------------------------------------


@dataclass
class Place:
    """The folders of a case."""

    project: Path
    cache: Path
    """The cache of uv, of this case only."""
    extra: Path
    """For other files of the case."""

    @property
    def venv(self) -> Path:
        return self.project / ".venv"


@dataclass(frozen=True)
class Case:
    """A repair that harms."""

    name: str
    build: Callable[[Path], None]
    words: tuple[str, ...]
    bad: tuple[Bad | tuple[str, bytes], ...] = ()
    served: Callable[[Wheels], Wheels] | None = None
    """Changes the finished wheels."""
    prepare: Callable[[Place, Wheels], tuple[str, ...]] | None = None
    """Prepares files and returns further options; the index is served in any case."""
    package: str = "numpy"
    """The folder in which the user's files are."""
    may_cure: Callable[[Place], bool] | None = None
    """Says whether exit code 0 is right, because the doctor avoided the harm."""
    outside: tuple[str, ...] = ()
    """Paths beside the project that must not exist afterwards."""


def on_numpy(
    name: str, *changes: Change, after: Change | None = None, more: Sequence[object] = (), **how: object
) -> Case:
    """Return a case in which numpy is damaged."""
    bad = (Bad("numpy", changes, after), *more)
    words = (*NUMPY, *how.pop("words", ()))  # type: ignore[misc]
    return Case(name, too_new_numpy, words, bad, **how)  # type: ignore[arg-type]


def on_stack(name: str, damaged: str, *changes: Change, after: Change | None = None, **how: object) -> Case:
    """Return a case in which paddlex or paddleocr is damaged."""
    other = {"paddlex": "paddleocr", "paddleocr": "paddlex"}[damaged]
    more: Sequence[object] = how.pop("more", ())  # type: ignore[assignment]
    bad = (Bad(damaged, changes, after), Bad(other, ()), *more)
    words = (*STACK, *how.pop("words", ()))  # type: ignore[misc]
    return Case(name, older_stack, words, bad, package=damaged, **how)  # type: ignore[arg-type]


def garbled(wheels: Wheels) -> Wheels:
    """Alter bytes in the middle of the first wheel, so that the CRC of a file in it is wrong."""
    (name, data), *rest = wheels
    middle = len(data) // 2
    return [(name, data[:middle] + bytes(64) + data[middle + 64 :]), *rest]


def damaged_cache(place: Place, wheels: Wheels) -> tuple[str, ...]:
    """Let uv's cache have the good wheel, and damage a module in it."""
    (name, data), *_ = wheels
    venv = place.extra / "other"
    with broken_server(index((name, data))) as server:
        uv_run(place, "venv", "--python", python_in(place.venv), venv)
        address = ("--index-url", server.url("simple"))
        uv_run(place, "pip", "install", "--python", python_in(venv), "--no-deps", *address, "numpy==2.3.5")
    shutil.rmtree(venv)
    for kind in ("_core/numeric.py", "ma/core.py"):
        (module,) = place.cache.glob(f"archive-v0/*/numpy/{kind}")
        module.unlink()
        module.write_text("", encoding="utf-8")
    return ()


def uv_run(place: Place, *words: str | Path) -> None:
    env = {**os.environ, "UV_CACHE_DIR": str(place.cache)}
    subprocess.run([uv.find_uv_bin(), *map(str, words), "--quiet"], check=True, env=env)


def numpy_is_right(place: Place) -> bool:
    """Return whether numpy has the files of the good wheel."""
    files = change.unpacked("current-311", "numpy")
    site = place.venv / SITE
    names = [path for path in files if not path.endswith("/WHEEL")]
    return all((site / path).is_file() and (site / path).read_bytes() == files[path] for path in names)


def in_wheelhouse(alter: bool) -> Callable[[Place, Wheels], tuple[str, ...]]:
    """Return a preparation that puts the wheels into a wheelhouse, and alters one after it was listed."""

    def prepare(place: Place, wheels: Wheels) -> tuple[str, ...]:
        folder = place.extra / "wheels"
        folder.mkdir()
        entries = []
        for file, data in [*wheels, *stubs({name.split("-")[0] for name, _ in wheels})]:
            (folder / file).write_bytes(data)
            name, version = file.split("-")[:2]
            digest = hashlib.sha256(data).hexdigest()
            normal = name.replace("_", "-").lower()
            entries.append(wheelhouse.WheelEntry(normal, version, file, len(data), digest))
        machine = TargetPlatform("linux", "x86_64", "3.11")
        wanted = ("paddlepaddle==3.2.2", "paddleocr[doc-parser]==3.7.0", "paddlex==3.7.2")
        made = wheelhouse.Wheelhouse(folder, "current", machine, wanted, tuple(entries))
        wheelhouse.write(made, tested=True)
        if alter:
            path = folder / wheels[0][0]
            path.write_bytes(path.read_bytes()[:-20] + bytes(20))
        return ("--wheelhouse", str(folder))

    return prepare


def stubs(without: set[str]) -> Iterator[tuple[str, bytes]]:
    """Yield empty wheels of the distributions of the current set, which the environment has already."""
    for info in (environment("current-311") / SITE).glob("*.dist-info"):
        name, version = info.name.removesuffix(".dist-info").split("-")
        if name not in without:
            yield wheel(name.replace("_", "-"), version)


NUMPY_INIT = "numpy/__init__.py"
VL = "paddlex/inference/pipelines/paddleocr_vl/__init__.py"
_KILLS_PADDLEX = (
    "import pathlib; pathlib.Path(__file__).parent.parent.joinpath('paddlex', 'inference', 'utils', 'benchmark.py')"
    ".unlink(missing_ok=True)"
)
CASES = (
    on_numpy("numpy raises at import", change.prepend(NUMPY_INIT, "raise ImportError('broken build')")),
    on_numpy("numpy has a syntax error", change.append("numpy/_core/numeric.py", "def broken(:")),
    on_numpy("numpy ends Python with code 0", change.prepend(NUMPY_INIT, "import os; os._exit(0)")),
    on_numpy("numpy crashes Python", change.prepend(NUMPY_INIT, "import ctypes; ctypes.string_at(0)")),
    on_numpy("numpy hangs at import", change.prepend(NUMPY_INIT, "import time; time.sleep(10**6)")),
    on_numpy("a module that no import reads was cut", after=change.cut("numpy/f2py/rules.py")),
    on_numpy("a file of RECORD is missing", after=change.drop("numpy/f2py/rules.py")),
    on_numpy("a dependency that no index has", change.requires("numpy-core-helper>=1")),
    on_numpy("an undeclared dependency", change.prepend(NUMPY_INIT, "import numpy_core_helper")),
    on_numpy(
        "numpy overwrites a module of paddlex",
        change.add("paddlex/inference/utils/benchmark.py", "benchmark = None\n"),
    ),
    on_numpy("a .pth file ends Python", change.add("numpy-start.pth", "import os; os._exit(1)\n")),
    on_numpy("sitecustomize ends Python", change.add("sitecustomize.py", "raise SystemExit(0)\n")),
    on_numpy(
        "bin/python is replaced",
        change.add("{info}.data/scripts/python", "#!/bin/sh\nexit 0\n"),
    ),
    on_numpy(
        "a .pth file puts a broken json before the standard library",
        change.add(
            "numpy-path.pth",
            f"import sys, os; sys.path.insert(0, os.path.join(sys.prefix, '{SITE.as_posix()}/numpy/_first'))\n",
        ),
        change.add("numpy/_first/json.py", "raise RuntimeError('not the json of Python')\n"),
    ),
    on_numpy("extension modules of another Python", change.other_abi),
    on_numpy(
        "METADATA names another version",
        change.replace("numpy-2.3.5.dist-info/METADATA", "Version: 2.3.5", "Version: 2.4.9"),
    ),
    on_numpy("the archive is damaged on the way", served=garbled),
    on_numpy("the archive in uv's cache is damaged", prepare=damaged_cache, may_cure=numpy_is_right),
    on_numpy(
        "protobuf becomes too old",
        change.requires("protobuf==3.12.0"),
        more=(wrong_content("protobuf", "3.12.0", "raise ImportError('too old')\n", "google/protobuf"),),
        words=("--yes",),
    ),
    on_numpy(
        "an unwanted pandas is pulled in that cannot be imported",
        change.requires("pandas==9.9"),
        more=(wrong_content("pandas", "9.9", "raise ImportError('pandas 9.9')\n"),),
    ),
    on_numpy("numpy lacks a name that paddle uses", change.append(NUMPY_INIT, "del float32")),
    on_numpy("pyvenv.cfg is replaced", change.add("{info}.data/data/pyvenv.cfg", "home = /no/such/folder\n")),
    on_numpy(
        "the command paddlex is replaced",
        change.add("{info}.dist-info/entry_points.txt", "[console_scripts]\npaddlex = numpy:stolen\n"),
    ),
    on_numpy("a file where a folder is", change.add("paddleocr", "not a folder\n")),
    on_numpy(
        "numpy deletes a module of paddlex when it is imported", change.prepend(NUMPY_INIT, _KILLS_PADDLEX)
    ),
    on_numpy(
        "the wheel writes outside of the environment",
        change.add("../../../../../escaped.txt", "outside\n"),
        outside=("escaped.txt",),
        may_cure=numpy_is_right,
    ),
    on_stack(
        "paddleocr has no PaddleOCRVL",
        "paddleocr",
        change.replace("paddleocr/__init__.py", "PaddleOCRVL,\n", ""),
    ),
    on_stack(
        "paddlex has no configuration of the pipeline",
        "paddlex",
        change.drop("configs/pipelines/PaddleOCR-VL"),
    ),
    on_stack(
        "the pipeline of paddlex cannot be imported",
        "paddlex",
        change.append(VL, "raise NameError('renamed')"),
    ),
    on_stack(
        "a second OpenCV is pulled in",
        "paddlex",
        change.requires("opencv-python-headless==4.10.0.84"),
        more=(
            wrong_content("opencv-python-headless", "4.10.0.84", "raise ImportError('libGL.so.1')\n", "cv2"),
        ),
    ),
    on_stack(
        "the first page fails",
        "paddleocr",
        change.append(
            "paddleocr/_pipelines/paddleocr_vl.py",
            "def fail(*_given, **_named):\n    raise RuntimeError('no page')\n\n"
            "PaddleOCRVL.predict = PaddleOCRVL.predict_iter = fail",
        ),
        words=("--gate", "deep"),
    ),
    on_stack(
        "a listed wheel of a wheelhouse cannot be imported",
        "paddlex",
        change.append("paddlex/__init__.py", "raise ImportError('from the wheelhouse')"),
        prepare=in_wheelhouse(alter=False),
    ),
    on_stack("a wheel of a wheelhouse was altered later", "paddlex", prepare=in_wheelhouse(alter=True)),
)


# --- a run ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Result:
    """What a repair did."""

    code: int
    reason: str
    """The last lines of the doctor."""
    differences: dict[str, object]
    """From the former environment with the user's newest files."""
    lost: tuple[str, ...]
    """Files of the user that are not as they were saved last."""
    while_installing: bool
    """Whether the user's files were written while the installer ran."""
    seconds: float
    cured: bool = False

    @property
    def holds(self) -> bool:
        right = self.cured or (self.code in (1, 2, 4) and not self.differences and bool(self.reason))
        return right and not self.lost


@dataclass
class Bench:
    """Copies of environments in one folder; a copy that is as before is used again."""

    root: Path
    trees: Trees = field(default_factory=Trees)
    _built: dict[str, Path] = field(default_factory=dict)

    def run(self, case: Case) -> Result:
        """Run a case and compare; put the copy aside if it changed."""
        project = self._project(case.build)
        scratch = Path(tempfile.mkdtemp(dir=self.root))
        place = Place(project, scratch / "cache", scratch)
        try:
            result = self._run(case, place)
        finally:
            shutil.rmtree(scratch)
        if result.differences or result.code == 0:
            shutil.rmtree(self._built.pop(case.build.__name__))
        return result

    def _project(self, build: Callable[[Path], None]) -> Path:
        if build.__name__ not in self._built:
            folder = self.root / build.__name__ / "project"
            folder.mkdir(parents=True)
            build(folder)
            self._built[build.__name__] = folder
        return self._built[build.__name__]

    def _run(self, case: Case, place: Place) -> Result:
        made: list[tuple[str, bytes]] = [b.build() if isinstance(b, Bad) else b for b in case.bad]
        wheels = case.served(made) if case.served else made
        more = case.prepare(place, wheels) if case.prepare else ()
        users = Users(place.venv / SITE / case.package, place.venv)
        users.before()
        former = self.trees.of(place.project)
        started = time.monotonic()
        with broken_server(index(*wheels, hashes=False)) as server:
            mirror = () if "--wheelhouse" in more else ("--mirror", server.url("simple"))
            words = ("fix", "--apply", *case.words, *mirror, *more)
            env = {"UV_CACHE_DIR": str(place.cache), "NO_COLOR": "1"}
            process = start_doctor(*words, cwd=place.project, env=env)
            with users.working_beside(process.pid):
                stdout, stderr = process.communicate(timeout=TIMEOUT)
        seconds = time.monotonic() - started
        in_time = users.saved
        users.while_installing()  # for a repair that was refused before an installer ran
        lost = users.lost()
        users.remove()
        users.restore_names(former)
        after = self.trees.of(place.project)
        outside = {
            name: "outside"
            for name in case.outside
            for folder in place.project.parents[:3]
            if (folder / name).exists()
        }
        reason = " / ".join(line.strip() for line in f"{stdout}\n{stderr}".splitlines() if line.strip())
        avoided = process.returncode == 0 and not outside and case.may_cure is not None
        cured = avoided and case.may_cure is not None and case.may_cure(place)
        differences = {**difference(former, after), **outside}
        return Result(process.returncode, reason, differences, lost, in_time, seconds, cured)


@dataclass
class Users:
    """Files of the user: one made before a repair, one made during it, and one replaced during it."""

    package: Path
    venv: Path
    saved: bool = False

    @property
    def files(self) -> dict[Path, str]:
        """The files with their newest content."""
        return {
            self.package / "my_notes.txt": "made before\n",
            self.package / "my_results.csv": "made while uv runs\n",
            self.venv / "my_settings.toml": "saved by rename while uv runs\n",
        }

    def before(self) -> None:
        (self.package / "my_notes.txt").write_text("made before\n", encoding="utf-8")
        (self.venv / "my_settings.toml").write_text("old\n", encoding="utf-8")

    def while_installing(self) -> None:
        """Write and replace the files, once."""
        if self.saved:
            return
        self.saved = True
        *_, (new, words), (settings, text) = self.files.items()
        if new.parent.is_dir():
            new.write_text(words, encoding="utf-8")
        part = settings.with_name("my_settings.part")
        part.write_text(text, encoding="utf-8")
        part.replace(settings)

    @contextlib.contextmanager
    def working_beside(self, process: int) -> Iterator[None]:
        """Write the files when the installer is seen among the children of a process."""
        stop = threading.Event()

        def watch() -> None:
            while not stop.is_set() and not self.saved:
                if any(is_installer(words) for words in children(process)):
                    self.while_installing()
                time.sleep(0.002)

        thread = threading.Thread(target=watch, daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def lost(self) -> tuple[str, ...]:
        def is_kept(path: Path, words: str) -> bool:
            return path.is_file() and path.read_text(encoding="utf-8") == words

        return tuple(str(path) for path, words in self.files.items() if not is_kept(path, words))

    def remove(self) -> None:
        for path in self.files:
            path.unlink(missing_ok=True)

    def restore_names(self, former: Tree) -> None:
        """Take the user's files out of the former tree."""
        for path in [path for path in former if Path(path).name in {file.name for file in self.files}]:
            del former[path]


def is_installer(words: Sequence[str]) -> bool:
    """Return whether a command line is uv's that installs."""
    return words[0].endswith("uv") and "install" in words and "--dry-run" not in words


def children(process: int) -> Iterator[list[str]]:
    """Yield the command lines of the processes below a process."""
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{process}/task").iterdir():
            for child in (task / "children").read_text().split():
                words = Path(f"/proc/{child}/cmdline").read_bytes().decode(errors="replace").split("\0")
                if words[0]:
                    yield words
                yield from children(int(child))
