"""`matrix --export`: writes the installation of a machine as wheels, requirements, a Dockerfile or a notebook."""

from __future__ import annotations

import functools
import json
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from paddlevl_doctor import __version__
from paddlevl_doctor.frozen import dataclass
from paddlevl_doctor.knowledge.version_sets import VersionSet, resolved_list
from paddlevl_doctor.knowledge.wheel_choice import WheelChoice
from paddlevl_doctor.messages import Text, language, message, text
from paddlevl_doctor.packages.collect_wheels import (
    EXTRA,
    NAME,
    CollectedWheelhouse,
    WheelhouseSpec,
    export_wheelhouse,
    own_wheel,
)
from paddlevl_doctor.packages.indexes import choose_index
from paddlevl_doctor.packages.mirrors import rates_note
from paddlevl_doctor.packages.request import Request
from paddlevl_doctor.packages.resolve import TargetPlatform
from paddlevl_doctor.packages.uv import UvError
from paddlevl_doctor.packages.wheel_cache import gpu_wheel_request
from paddlevl_doctor.packages.wheelhouse import DOCTOR, INDEX
from paddlevl_doctor.system.files import new_file
from paddlevl_doctor.system.machine import System
from paddlevl_doctor.url_logins import public_url
from paddlevl_doctor.values.errors import DoctorError, UsageError
from paddlevl_doctor.values.facts import Host
from paddlevl_doctor.values.findings import Bar, no_bar

KINDS = ("wheelhouse", "requirements", "dockerfile", "notebook")
_DEBIAN = ("libgl1", "libglib2.0-0", "libgomp1")
"""Libraries that OpenCV and PaddlePaddle load and slim images lack (PaddleOCR's own Dockerfiles install the same)."""
_MARK = "Written by paddlevl-doctor"
"""The first words of each file, by which a later export recognises it."""


@dataclass(frozen=True)
class Chosen:
    """The installation that `matrix` chose for a machine, this one or a described one."""

    version_set: VersionSet
    wheel: WheelChoice
    host: Host
    python: str
    """3.12 or 3.12.1."""
    index: str | None = None
    """URL or name of an index to use instead of the default one, or auto."""

    @property
    def minor(self) -> str:
        """The Python's minor version, for example 3.12."""
        return ".".join(self.python.split(".")[:2])

    @property
    def requirements(self) -> tuple[str, ...]:
        """The requirement strings of the set, paddle first."""
        return (self.wheel.requirement, *self.version_set.stack())

    @property
    def machine(self) -> TargetPlatform:
        """The machine that wheels are collected for."""
        return TargetPlatform(self.host.system, self.host.machine, self.minor, self.host.glibc)


@dataclass(frozen=True)
class Exported:
    """The written files, the main one first, and notes about them."""

    files: tuple[Path, ...]
    notes: tuple[Text, ...] = ()


def export(system: System, kind: str, folder: Path, chosen: Chosen, bar: Bar = no_bar) -> Exported:
    """Write an export into `folder`.

    Raises UsageError for an unknown kind, for a machine without a possible installation, and for a file of that name
    that the doctor did not write; for a wheelhouse what `export_wheelhouse` raises.
    """
    if kind not in KINDS:
        raise UsageError(message("export-unknown", kind=kind, kinds=", ".join(KINDS)))
    if not chosen.wheel.installable:
        refusals = (reason.message for reason in chosen.wheel.refusals)
        raise UsageError(functools.reduce(lambda a, b: message("two-sentences", first=a, second=b), refusals))
    if kind == "wheelhouse":
        return _export_wheelhouse(system, folder, chosen, bar)
    files = _WRITERS[kind](chosen)
    _refuse_foreign(folder, files)
    written = tuple(_write(folder / name, words.encode()) for name, words in files.items())
    return _with_own_wheel(system, folder, written) if kind == "notebook" else Exported(written)


def _with_own_wheel(system: System, folder: Path, written: tuple[Path, ...]) -> Exported:
    """Put the doctor's wheel beside a notebook, which installs it from there; without one, add a note."""
    with tempfile.TemporaryDirectory(prefix="paddlevl-doctor-") as work:
        try:
            made = own_wheel(system, Path(work))
        except DoctorError as error:
            return Exported(written, (message("export-wheel-elsewhere", reason=error.message),))
        return Exported((*written, _write(folder / made.name, made.read_bytes())))


def _export_wheelhouse(system: System, folder: Path, chosen: Chosen, bar: Bar) -> Exported:
    """Collect the stack, and in a subfolder the doctor itself, so that the machine needs no network."""
    source = choose_index(system, Request(index=chosen.index), chosen.version_set.paddle_cpu)
    on_page = chosen.wheel.find_links is not None
    spec = WheelhouseSpec(
        chosen.version_set.name,
        chosen.requirements,
        chosen.machine,
        resolved_list(chosen.version_set, chosen.host, chosen.python),
        (gpu_wheel_request(chosen.wheel, chosen.host.system, chosen.python),) if on_page else (),
        index=source.request.index,
        extra_indexes=source.request.extra_indexes,
    )
    with tempfile.TemporaryDirectory(prefix="paddlevl-doctor-") as work:
        own_wheel(system, Path(work))  # refuses before anything is collected
        made = export_wheelhouse(system, spec, folder, bar)
        missing_doctor = _collect_doctor(system, replace(spec, links=Path(work)), folder, bar)
    files = (folder / INDEX, made.wheelhouse.requirements_file, folder / "README.md")
    return Exported(files, (*source.notes, *_collection_notes(made), *missing_doctor))


def _collection_notes(made: CollectedWheelhouse) -> tuple[Text, ...]:
    servers = (rates_note(made.measured),) if made.measured else ()
    return (
        *made.dropped,
        *servers,
        *((message("export-untested", reason=made.untested),) if made.untested else ()),
    )


def _collect_doctor(system: System, spec: WheelhouseSpec, folder: Path, bar: Bar) -> tuple[Text, ...]:
    """Collect the doctor for the same machine; return a note if that is not possible there."""
    requirements = (f"{NAME}[{EXTRA}]=={__version__}",)
    own = replace(spec, set=NAME, requirements=requirements, tested=None, large=())
    try:
        export_wheelhouse(system, own, folder / DOCTOR, bar)
    except UvError as error:
        if not error.unsolvable:
            raise
        shutil.rmtree(folder / DOCTOR)
        return (message("export-no-doctor", machine=spec.machine, reason=error.message),)
    return ()


# --- the contents of the files ------------------------------------------------------------------------------


def _requirements(chosen: Chosen) -> dict[str, str]:
    lang, version_set, wheel = language(), chosen.version_set, chosen.wheel
    lines = [f"# {_MARK}: PaddleOCR-VL, {version_set.name}; {chosen.machine}"]
    lines += [f"# uv venv --python {chosen.minor} .venv"]
    lines += ["# uv pip install --python .venv --only-binary :all: -r requirements.txt", ""]
    lines += [
        f"# {line}"
        for sentence in [*wheel.reasons, *wheel.refusals]
        for line in sentence.text(lang).splitlines()
    ]
    if chosen.index:
        lines += [f"--index-url {public_url(chosen.index)}"]
    if wheel.find_links:
        lines += [f"# {text('export-flat')}", f"--find-links {wheel.find_links}"]
    lines += [wheel.requirement, "", f"# {version_set.why(lang)}", *version_set.stack()]
    return {"requirements.txt": "\n".join(lines) + "\n"}


def _dockerfile(chosen: Chosen) -> dict[str, str]:
    """Write a Dockerfile for Linux; CUDA is in the wheels, and the driver is that of the host."""
    if chosen.host.system != "linux":
        raise UsageError(message("export-linux-only", machine=chosen.machine))
    gpu = " --gpus all" if chosen.wheel.find_links else ""
    index = f"--index-url {public_url(chosen.index)} " if chosen.index else ""
    lines = [
        f"# {_MARK}: PaddleOCR-VL, {chosen.version_set.name}; {chosen.machine}",
        "# docker build -t paddleocr-vl . && "
        f"docker run --rm{gpu} -v paddlex:/models -v .:/work paddleocr-vl --help",
        f"FROM python:{chosen.minor}-slim",
        f"# {text('export-debian')}",
        "RUN apt-get update && apt-get install -y --no-install-recommends "
        f"{' '.join(_DEBIAN)} && rm -rf /var/lib/apt/lists/*",
        f"RUN python -m pip install --no-cache-dir {index}uv",
        "COPY requirements.txt /requirements.txt",
        "RUN uv pip install --system --no-cache --only-binary :all: -r /requirements.txt",
        'RUN python -c "import paddle, paddlex, paddleocr"',
        "ENV PADDLE_PDX_CACHE_HOME=/models",
        "WORKDIR /work",
        'ENTRYPOINT ["paddleocr", "doc_parser"]',
    ]
    return {"Dockerfile": "\n".join(lines) + "\n", **_requirements(chosen)}


def _notebook(chosen: Chosen) -> dict[str, str]:
    """Write a notebook (nbformat 4.5) for Kaggle or Colab: installs, checks, parses."""
    cells = [
        _cell("markdown", "about", text("export-about", set=chosen.version_set.name, machine=chosen.machine)),
        _cell("code", "choose", _choices_cell(chosen)),
        _cell("markdown", "installing", text("export-installing", version=__version__)),
        _cell("code", "install", _INSTALL),
        _cell("code", "check", _CHECK),
        _cell("markdown", "parsing", text("export-parsing")),
        _cell("code", "parse", _PARSE),
    ]
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    notebook = {
        "cells": cells,
        "metadata": {"kernelspec": kernel, "language_info": {"name": "python"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return {"paddleocr-vl.ipynb": json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"}


def _choices_cell(chosen: Chosen) -> str:
    mirror = public_url(chosen.index) if chosen.index else ""
    values = {"SET_NAME": chosen.version_set.name, "INDEX_URL": mirror, "OWN_VERSION": __version__}
    return functools.reduce(lambda source, name: source.replace(name, repr(values[name])), values, _CHOOSE)


def _cell(kind: str, name: str, source: str) -> dict[str, object]:
    cell: dict[str, object] = {"cell_type": kind, "id": name, "metadata": {}, "source": source}
    return cell | ({"execution_count": None, "outputs": []} if kind == "code" else {})


_CHOOSE = """\
import glob, os, pathlib, shutil, subprocess, sys

WHEELHOUSE = ""  # folder of a data set made with `matrix --export wheelhouse`: no downloads at all
PAGE = "demo.png"  # your image
SET = SET_NAME
MIRROR = INDEX_URL  # of a package index, or a mirror's name; empty: the default index
VERSION = OWN_VERSION  # of the doctor; where its wheel may lie: beside this notebook, in the wheelhouse, in a data set
PLACES = (".", f"{WHEELHOUSE}/doctor", "/kaggle/input/*", "/kaggle/input/*/*")

# Two environments: the doctor's and PaddleOCR-VL's. The notebook's packages stay as they are.
DOCTOR, VENV = (str(pathlib.Path.cwd() / name) for name in ("paddlevl-doctor", "paddleocr-vl"))
PYTHON = str(pathlib.Path(DOCTOR, *(("Scripts", "python.exe") if os.name == "nt" else ("bin", "python"))))


def doctor(*words):
    done = subprocess.run([PYTHON, "-m", "paddlevl_doctor", *words, "--venv", VENV, "--no-color"])
    if done.returncode not in (0, 1):
        raise RuntimeError(f"paddlevl-doctor {words[0]} ended with {done.returncode}")
    return done.returncode
"""
_INSTALL = """\
wheels = [path for place in PLACES for path in glob.glob(f"{place}/paddlevl_doctor-{VERSION}-*.whl")]
wanted = "paddlevl-doctor[reader]" + (f" @ {pathlib.Path(wheels[0]).resolve().as_uri()}" if wheels else f"=={VERSION}")
index = ["--index-url", MIRROR] if "://" in MIRROR else []
index = ["--no-index", "--find-links", f"{WHEELHOUSE}/doctor"] if WHEELHOUSE else index
if uv := shutil.which("uv"):
    make = [uv, "venv", "-q", "--no-project", "--allow-existing", "--python", sys.executable, DOCTOR]
    install = [uv, "pip", "install", "-q", "--python", PYTHON]
else:
    make = [sys.executable, "-m", "venv", "--without-pip", DOCTOR]
    install = [sys.executable, "-m", "pip", "--python", PYTHON, "install", "-q"]
subprocess.run(make, check=True)
subprocess.run([*install, *index, wanted], check=True)
source = ["--wheelhouse", WHEELHOUSE] if WHEELHOUSE else ["--mirror", MIRROR] if MIRROR else []
doctor("fix", "--apply", "--set", SET, *source)
"""
_CHECK = """\
assert doctor("check", "--deep") == 0, "see the findings above"
"""
_PARSE = """\
doctor("parse", PAGE, "--output", "output")
print(next(pathlib.Path("output").glob("*.md")).read_text(encoding="utf-8")[:3000])
"""

_WRITERS: dict[str, Callable[[Chosen], dict[str, str]]] = {
    "requirements": _requirements,
    "dockerfile": _dockerfile,
    "notebook": _notebook,
}


# --- writing the files --------------------------------------------------------------------------------------


def _refuse_foreign(folder: Path, files: Iterable[str]) -> None:
    """Raise UsageError, before anything is written, if the doctor did not write a file of that name."""
    for name in files:
        path = folder / name
        ours = path.is_file() and re.search(f"{_MARK}|paddlevl_doctor", path.read_text("utf-8", "replace"))
        if path.exists() and not ours:
            raise UsageError(message("export-occupied", path=path))


def _write(path: Path, data: bytes) -> Path:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with new_file(path) as file:
            file.write(data)
    except OSError as error:
        raise UsageError(
            message("cannot-write", option="--export", path=path, reason=error.strerror)
        ) from error
    return path
