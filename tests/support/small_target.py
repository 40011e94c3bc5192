"""A small virtual environment with the real files of paddlex that patches know, tiny wheels, and steps on them."""

from __future__ import annotations

import base64
import hashlib
import zipfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from environments import environment, interpreter, python_in
from paddlevl_doctor.facts.collect import PIPELINES
from paddlevl_doctor.knowledge.patches import load_patches
from paddlevl_doctor.values.plan import ApplyPatch, InstallPackages, LinkPipelines, SetEnvironment, Step

VERSIONS = {"3.3.4": "bfloat16-on-a-cpu", "3.3.6": "set-2025-11", "3.7.2": "current-311"}
PATCHED = sorted({file.path for patch in load_patches() for file in patch.files})


# --- the target -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Former:
    """What is in the target beforehand."""

    version: str
    tiny: str | None
    """Version of the tiny package that is installed, if it is."""
    mode: int
    form: str
    """What the files are: files, links to files elsewhere, with other line endings, or edited by the user."""
    pipelines: str

    @property
    def patchable(self) -> bool:
        return self.form in ("files", "links")


@cache
def published(version: str) -> dict[str, bytes]:
    """The files that patches know, as paddlex of this version has them."""
    site = environment(VERSIONS[version]) / "lib" / "python3.11" / "site-packages"
    return {path: (site / path).read_bytes() for path in PATCHED if (site / path).is_file()}


def build(folder: Path, former: Former, wheels: Path) -> Path:
    """Make the target; returns its site-packages."""
    venv, site = folder / ".venv", folder / ".venv" / "lib" / "python3.11" / "site-packages"
    (venv / "bin").mkdir(parents=True)
    (venv / "bin" / "python").symlink_to(interpreter("3.11"))
    home = interpreter("3.11").parent
    (venv / "pyvenv.cfg").write_text(f"home = {home}\nversion_info = 3.11\n", encoding="utf-8")
    (site / PIPELINES).mkdir(parents=True)
    record = "".join(f"{path},{promise(data)}\n" for path, data in published(former.version).items())
    info = {
        "METADATA": f"Metadata-Version: 2.1\nName: paddlex\nVersion: {former.version}\n",
        "RECORD": record,
    }
    for name, words in info.items():
        (site / f"paddlex-{former.version}.dist-info").mkdir(exist_ok=True)
        (site / f"paddlex-{former.version}.dist-info" / name).write_text(words, encoding="utf-8")
    for path, data in published(former.version).items():
        put(site / path, data, former, folder / "store")
    if former.tiny is not None:
        with zipfile.ZipFile(wheels / f"tiny-{former.tiny}-py3-none-any.whl") as wheel:
            wheel.extractall(site)
    link_beforehand(folder, former, site)
    return site


def put(path: Path, data: bytes, former: Former, store: Path) -> None:
    """Write one file of paddlex in the form that is wanted, with bytecode of two Pythons beside it."""
    change = {"crlf": lambda d: d.replace(b"\n", b"\r\n"), "edited": lambda d: d + b"# mine\n"}
    path.parent.mkdir(parents=True, exist_ok=True)
    place = path
    if former.form == "links":
        store.mkdir(exist_ok=True)
        place = store / hashlib.sha256(str(path).encode()).hexdigest()
        path.symlink_to(place)
    place.write_bytes(change.get(former.form, bytes)(data))
    place.chmod(former.mode)


def link_beforehand(folder: Path, former: Former, site: Path) -> None:
    targets = {"dangling": Path("no/such/folder"), "right": (site / PIPELINES).relative_to(folder)}
    if former.pipelines in targets:
        (folder / "pipelines").symlink_to(targets[former.pipelines])


def write_wheel(folder: Path, version: str, script: str | None = None) -> None:
    """Write a wheel of tiny; `script` is the name of a command that it installs."""
    info = f"tiny-{version}.dist-info"
    files = {
        "tiny/__init__.py": f"version = {version!r}\n",
        f"tiny/only_in_{version[0]}.py": "",
        "tiny/data/same.txt": "same",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: tiny\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    if script is not None:
        files[f"{info}/entry_points.txt"] = f"[console_scripts]\n{script} = tiny:main\n"
    record = (
        "".join(f"{name},{promise(words.encode())}\n" for name, words in files.items()) + f"{info}/RECORD,,\n"
    )
    with zipfile.ZipFile(folder / f"tiny-{version}-py3-none-any.whl", "w") as wheel:
        for name, words in {**files, f"{info}/RECORD": record}.items():
            wheel.writestr(name, words)


def promise(data: bytes) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
    return f"sha256={digest},{len(data)}"


# --- the steps --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Where:
    """What a step is made of: the project, the wheels, and a number that chooses."""

    folder: Path
    wheels: Path
    choice: int


def install(where: Where) -> Step:
    words = (
        "uv",
        "pip",
        "install",
        "--offline",
        "--no-index",
        "--no-deps",
        "--find-links",
        str(where.wheels),
    )
    command = (*words, "--python", str(python_in(where.folder / ".venv")), f"tiny=={where.choice % 2 + 1}.0")
    return InstallPackages(id="install-packages", summary="install", commands=(command,))


def patch(where: Where) -> Step:
    chosen = load_patches()[where.choice % len(load_patches())]
    return ApplyPatch(id=f"patch-{chosen.id}", summary="patch", patch=chosen.id)


def link(where: Where) -> Step:
    arguments = {"path": str(where.folder / "pipelines")}
    return LinkPipelines(id="link-pipelines", summary="link", **arguments)


def activation(where: Where) -> Step:
    path = where.folder / ".venv" / "bin" / "paddlevl.sh"
    arguments = {"path": str(path), "content": f"export A={where.choice % 2}\n"}
    return SetEnvironment(id="set-environment", summary="variables", **arguments)
