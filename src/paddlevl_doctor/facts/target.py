"""Chooses the target environment and reads its inventory with its own Python."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from pathlib import Path

from paddlevl_doctor.facts.conda import files_of_conda
from paddlevl_doctor.frozen import dataclass
from paddlevl_doctor.messages import Text, message
from paddlevl_doctor.system.files import load_json
from paddlevl_doctor.system.machine import Completed, System
from paddlevl_doctor.values.errors import UsageError
from paddlevl_doctor.values.facts import (
    BrokenEnvironment,
    Distribution,
    MissingCode,
    PaddleBuild,
    RecordedFile,
    Target,
    UnownedCode,
)

STATE_FOLDER = ".paddlevl-doctor"
"""The doctor's own folder inside a target."""
INVENTORY = Path(__file__).parents[1] / "probes" / "inventory.py"
_STARTUP = INVENTORY.with_name("startup.py")
_STARTUP_TIMEOUT = 5.0
INVENTORY_TIMEOUT = 30.0
"""Seconds; the probe takes 0.03 s on a warm disk, network disks are slower."""
BUILD_FILE = "paddle/version/__init__.py"
"""The file with the build information of paddle, relative to site-packages."""
MANAGED = ("paddlepaddle", "paddlepaddle-gpu", "paddleocr", "paddlex")
"""The distributions whose versions describe an installation of the stack."""
_TRUE = ("1", "true", "t", "yes", "y", "on")
_USUAL = (".venv", ".venv-paddlevl")
"""The names of environments that the doctor creates without being told a name."""
SYSTEM = "--system"
"""A value of `python` that means the first Python on PATH that is not in a virtual environment."""


@dataclass(frozen=True)
class Choice:
    """The chosen target. `python` is None if the environment `planned` does not exist yet."""

    python: Path | None
    planned: str
    explicit: bool
    """Whether the user named it, so that a mistake is a usage error."""
    broken: bool = False
    """Whether `planned` is an environment whose Python no longer exists, or without pyvenv.cfg."""
    own: str | None = None
    """The active environment, if nothing was chosen because it contains the doctor itself."""


@dataclass(frozen=True)
class Silent:
    """A Python that did not answer."""

    reason: Text
    startup_file: str | None
    """The file that ends it while it starts, or that does not end; None if it is not such a file."""


def python_of(venv: Path, platform: str) -> Path:
    """Return the interpreter of a virtual environment on this platform."""
    return venv / "Scripts" / "python.exe" if platform == "win32" else venv / "bin" / "python"


def choose_target(
    system: System, python: str | None, venv: str | None, own_prefix: str = sys.prefix
) -> Choice:
    """Choose the target environment.

    Order: `--python`, `--system` or `--venv`; the system's Python if UV_SYSTEM_PYTHON is set, as in uv
    (docs.astral.sh/uv/reference/environment); `$VIRTUAL_ENV`, `$CONDA_PREFIX` unless it is conda's base, and `./.venv`,
    all of them unless it is the doctor's own; the notebook's interpreter on Kaggle and Colab; the first of these
    environments that is broken; else a new environment. Raises UsageError for an invalid path.
    """
    planned = ".venv-paddlevl" if _same(system.cwd() / ".venv", own_prefix) else ".venv"
    wanted = system.env.get("UV_SYSTEM_PYTHON", "").lower() in _TRUE
    if python == SYSTEM or (wanted and python is None and venv is None):
        return _of_system(system, own_prefix, planned, explicit=python == SYSTEM)
    if python is not None:
        return _named_python(system, python, planned)
    if venv is not None:
        return _named_venv(system, venv)
    active = [name for name in (system.env.get("VIRTUAL_ENV"), _active_conda(system)) if name]
    own = next((name for name in active if _same(system.cwd() / name, own_prefix)), None)
    folders = [name for name in (*active, ".venv", planned) if not _same(system.cwd() / name, own_prefix)]
    broken = [folder for folder in folders if _is_broken(system, system.cwd() / folder)]
    for folder in folders:
        candidate = _python_in(system, folder)
        if folder not in broken and candidate is not None:
            _refuse_other_prefix(system, folder)
            if folder not in active:
                refuse_foreign(system, system.cwd() / folder, f"--venv {folder}")
            return Choice(candidate, planned, explicit=False)
    notebook = _notebook_python(system, own_prefix)
    if notebook is None and broken:
        return Choice(None, broken[0], explicit=False, broken=True)
    return Choice(notebook, planned, explicit=False, own=None if notebook else own)


def _active_conda(system: System) -> str | None:
    """Return the activated environment of conda; its base is for conda itself, as uv treats it."""
    is_base = system.env.get("CONDA_DEFAULT_ENV") in ("base", "root")
    return None if is_base else system.env.get("CONDA_PREFIX")


def _python_in(system: System, folder: str) -> Path | None:
    """Return the Python of an environment, None if it has none; conda on Windows puts it at the top."""
    top = (system.cwd() / folder / "python.exe",) if system.platform == "win32" else ()
    found = (python_of(system.cwd() / folder, system.platform), *top)
    return next((path for path in found if system.exists(path)), None)


def refuse_foreign(system: System, folder: Path, option: str) -> None:
    """Raise UsageError if another user owns a folder whose programs would run; `option` names it.

    As for git's safe.directory, the user who called sudo is not another one. Root can change every program anyway.
    """
    owner = system.foreign_owner(folder)
    if owner not in (None, "root", system.env.get("SUDO_USER")):
        raise UsageError(message("environment-of-another-user", path=folder, owner=owner, option=option))


def _same(folder: Path, prefix: str) -> bool:
    return folder.resolve() == Path(prefix).resolve()


def _is_broken(system: System, folder: Path) -> bool:
    """Return whether a folder is a virtual environment whose Python no longer exists, or without pyvenv.cfg.

    On Windows, Scripts\\python.exe is a copy that stays and starts the Python in the folder `home` of pyvenv.cfg.
    """
    settings = _settings(system, folder)
    if settings is None:
        return _lacks_settings(system, folder)
    if not system.exists(python_of(folder, system.platform)):
        return True
    home = settings.get("home")
    return system.platform == "win32" and home is not None and not system.exists(Path(home))


def _lacks_settings(system: System, folder: Path) -> bool:
    """Return whether a folder is a virtual environment with a Python but without pyvenv.cfg.

    Its Python then uses the packages of the installation that it was linked or copied from. A folder of another kind
    with such a link, such as ~/.local, is no environment: nobody may set its content aside.
    """
    python = python_of(folder, system.platform)
    if not system.exists(python) or system.exists(folder / "pyvenv.cfg"):
        return False
    of_venv = system.exists(python.with_name("activate")) or system.exists(folder / STATE_FOLDER)
    if _leads_out(python, folder):
        return of_venv or folder.name in _USUAL
    return of_venv and not any(system.exists(library / "os.py") for library in _libraries(system, folder))


def _leads_out(python: Path, folder: Path) -> bool:
    return not python.resolve().is_relative_to(folder.resolve())


def _libraries(system: System, folder: Path) -> list[Path]:
    """Return the folders that may contain the standard library and site-packages of a Python at `folder`."""
    return [folder / "Lib", *(folder / "lib" / name for name in system.names(folder / "lib"))]


def _refuse_other_prefix(system: System, name: str) -> None:
    """Raise UsageError for a folder that is no environment, and whose Python is a link to one elsewhere."""
    folder = system.cwd() / name
    python = python_of(folder, system.platform)
    if system.exists(python) and not system.exists(folder / "pyvenv.cfg") and _leads_out(python, folder):
        raise UsageError(message("venv-is-link", path=name, python=python.resolve()))


def _settings(system: System, folder: Path) -> dict[str, str] | None:
    """Return the values of pyvenv.cfg, None without that file."""
    text = system.read_text(folder / "pyvenv.cfg")
    if text is None:
        return None
    pairs = (line.partition("=") for line in text.splitlines() if "=" in line)
    return {name.strip().lower(): value.strip() for name, _, value in pairs}


def collect_broken(system: System, choice: Choice) -> BrokenEnvironment | None:
    """Describe the chosen environment if it is broken, or the one without pyvenv.cfg that a named Python lies in."""
    folder = choice.python.parent.parent if choice.python else system.cwd() / choice.planned
    if not (choice.broken or (choice.python and _lacks_settings(system, folder))):
        return None
    settings = _settings(system, folder)
    version, home = _base_of(system, folder, settings)
    sites = [library / "site-packages" for library in _libraries(system, folder)]
    names = (name for site in sites for name in system.names(site) if name.endswith(".dist-info"))
    found = (name.removesuffix(".dist-info").rpartition("-")[::2] for name in names)
    versions = {name.replace("_", "-").lower(): number for name, number in found}
    packages = {name: versions[name] for name in MANAGED if name in versions}
    return BrokenEnvironment(str(folder), version, home, packages, without_settings=settings is None)


def _base_of(
    system: System, folder: Path, settings: Mapping[str, str] | None
) -> tuple[str | None, str | None]:
    """Return the version of the Python that an environment was created with, and its folder."""
    if settings is not None:  # the first name is that of uv and virtualenv, the second that of venv
        return settings.get("version_info") or settings.get("version"), settings.get("home")
    python = python_of(folder, system.platform)
    names = (
        name.removeprefix("python") for name in system.names(folder / "lib") if name.startswith("python")
    )
    return next(names, None), str(python.resolve().parent) if _leads_out(python, folder) else None


def _of_system(system: System, own_prefix: str, planned: str, *, explicit: bool) -> Choice:
    """Return the first Python on PATH that is neither the doctor's own nor in a virtual environment."""
    separator, names = (";", ("python.exe",)) if system.platform == "win32" else (":", ("python3", "python"))
    folders = [Path(part) for part in system.env.get("PATH", "").split(separator) if part]
    for path in (folder / name for folder in folders for name in names):
        homes = (path.parent, path.parent.parent)
        virtual = any(system.exists(home / "pyvenv.cfg") or _lacks_settings(system, home) for home in homes)
        if system.exists(path) and not virtual and not path.is_relative_to(own_prefix):
            return Choice(path, planned, explicit)
    raise UsageError(message("no-system-python"))


def _named_python(system: System, python: str, planned: str) -> Choice:
    found = python if "/" in python or "\\" in python else system.which(python) or python
    path = Path(system.cwd() / found)
    if not system.exists(path):
        raise UsageError(message("python-missing", path=python))
    if system.names(path):
        raise UsageError(message("python-is-folder", path=python))
    return Choice(path, planned, explicit=True)


def _named_venv(system: System, venv: str) -> Choice:
    folder = system.cwd() / venv
    candidate = python_of(folder, system.platform)
    if _is_broken(system, folder):
        return Choice(None, venv, explicit=True, broken=True)
    if system.exists(candidate):
        _refuse_other_prefix(system, venv)
        return Choice(candidate, venv, explicit=True)
    occupied = set(system.names(folder)) - {STATE_FOLDER}
    if system.exists(folder) and (occupied or system.read_bytes(folder) is not None):
        raise UsageError(message("venv-is-not-one", path=venv, python=candidate))
    return Choice(None, venv, explicit=True)


def _notebook_python(system: System, own_prefix: str) -> Path | None:
    if not {"KAGGLE_KERNEL_RUN_TYPE", "COLAB_RELEASE_TAG"} & set(system.env):
        return None
    found = system.which("python3")
    if found is None or Path(found).is_relative_to(own_prefix):
        return None
    return Path(found)


def collect_target(system: System, choice: Choice) -> Target | Silent | None:
    """Run the inventory probe in the target's Python.

    Returns the target, None if it does not exist yet, or why the probe failed.
    Raises UsageError if the path that the user named is not a Python.
    """
    if choice.python is None:
        return None
    argv = (str(choice.python), "-X", "utf8", str(INVENTORY))
    done = system.run(argv, timeout=INVENTORY_TIMEOUT, env=_quiet_environment(system))
    answer = _json_of(done)
    if answer is not None:
        return _target(system, answer)
    startup = _startup_file(system, choice.python)
    if choice.explicit and startup is None:
        raise UsageError(message("not-a-python", path=choice.python, detail=_detail(done)))
    return Silent(message("target-silent", path=choice.python, detail=_detail(done)), startup)


def _startup_file(system: System, python: Path) -> str | None:
    """Return the .pth file, sitecustomize or usercustomize that ends a Python while it starts, or that does not end."""
    argv = (str(python), "-S", str(_STARTUP))
    done = system.run(argv, timeout=_STARTUP_TIMEOUT, env=_quiet_environment(system))
    announced = [line for line in done.stdout.splitlines() if line.startswith(_ANNOUNCED)]
    return announced[-1].removeprefix(_ANNOUNCED) or None if announced else None


_ANNOUNCED = "starts: "
"""The beginning of a line of probes/startup.py."""


def _quiet_environment(system: System) -> dict[str, str]:
    # A check must not change the target: write no bytecode. PYTHONIOENCODING would decide over `-X utf8`.
    return {**system.env, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONIOENCODING": "utf-8"}


def _json_of(done: Completed) -> dict[str, object] | None:
    """Return the probe's answer, None after a crash, a timeout or the output of another program."""
    if not done.ok:
        return None
    try:
        answer = load_json(done.stdout.strip().rpartition("\n")[2])
    except ValueError:
        return None
    return answer if isinstance(answer, dict) and "distributions" in answer else None


def _detail(done: Completed) -> Text:
    if done.timed_out:
        return message("no-answer-in", seconds=f"{INVENTORY_TIMEOUT:.0f}")
    lines = [line for line in (done.stderr or done.stdout).splitlines() if line.strip()]
    return lines[-1].strip()[:200] if lines else message("exit-status", code=done.returncode)


def _target(system: System, answer: dict[str, object]) -> Target:
    fields = dict(answer)
    entries = fields.pop("distributions")
    names = ("missing_libraries", "leftovers", "site_folders", "hiding_modules")
    lists = {name: fields.pop(name) for name in names}
    unowned, single = fields.pop("unowned_code"), fields.pop("single_files")
    missing = fields.pop("missing_code")
    assert isinstance(entries, list) and isinstance(single, list) and isinstance(missing, list)  # noqa: S101 - our own probe's shape
    return Target(
        **fields,  # type: ignore[arg-type]
        distributions=tuple(
            Distribution(**{**entry, "requires": tuple(entry["requires"])}) for entry in entries
        ),
        paddle=_paddle_build(system, Path(_paddle_folder(entries) or str(answer["platlib"]))),
        unowned_code=_unowned_code(system, str(answer["prefix"]), unowned),
        missing_code=tuple(MissingCode(**entry) for entry in missing),
        single_files=tuple(RecordedFile(**entry) for entry in single),
        **{name: tuple(values) for name, values in lists.items()},  # type: ignore[arg-type]
    )


def _unowned_code(system: System, prefix: str, entries: object) -> tuple[UnownedCode, ...] | None:
    """Return the code without an owner, without what conda lists; None if the probe could not look."""
    if not isinstance(entries, list):
        return None
    listed = files_of_conda(system, Path(prefix)) if entries else frozenset()
    return tuple(UnownedCode(**entry) for entry in entries if entry["path"] not in listed)


def _paddle_folder(entries: list[dict[str, str | None]]) -> str | None:
    """Return the folder that paddle is imported from, None without an installed paddle."""
    names = ("paddlepaddle", "paddlepaddle-gpu")
    return next((entry.get("imported_from") for entry in entries if entry["name"] in names), None)


def _paddle_build(system: System, site: Path) -> PaddleBuild | None:
    """Read BUILD_FILE without importing paddle.

    Source: the CPU wheels 3.2.0 and 3.3.1; the GPU wheels contain the same generated file (matrix.md, 0.6).
    """
    code = system.read_text(site / BUILD_FILE)
    return None if code is None else build_of(code)


def build_of(code: str) -> PaddleBuild:
    """Parse paddle/version/__init__.py; its lines end in CRLF in the wheels for Windows."""
    values = dict(re.findall(r"^(\w+) *= *([^\r\n]+)", code, re.MULTILINE))
    version = values.get("full_version", "").strip("'\" ")
    return PaddleBuild(
        version=version or "unknown",
        cuda=_unless_false(values.get("cuda_version", "")),
        cudnn=_unless_false(values.get("cudnn_version", "")),
        architectures=tuple(int(n) for n in re.findall(r"\d+", values.get("compiled_cuda_archs", ""))),
    )


def _unless_false(value: str) -> str | None:
    bare = value.strip("'\" ")
    return None if bare in ("", "False", "None") else bare
