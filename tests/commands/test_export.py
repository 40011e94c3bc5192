"""What `matrix --export` writes is not only text: it is resolved, parsed and, as far as it can be, executed."""

from __future__ import annotations

import ast
import re
import subprocess
from dataclasses import replace
from functools import partial
from pathlib import Path

import dockerfile
import nbformat
import pytest
import uv

from broken_server import broken_server
from doctor import environment as clean_environment
from environments import interpreter, kept_bytecode, lend_bytecode, variables
from paddle_index import nvidia_pins, paddle_index
from paddlevl_doctor.commands import export as export_module
from paddlevl_doctor.commands.export import KINDS, Chosen, export
from paddlevl_doctor.knowledge.version_sets import default_set
from paddlevl_doctor.knowledge.wheel_choice import choose_wheel
from paddlevl_doctor.packages.wheel_cache import gpu_wheel_request
from paddlevl_doctor.packages.wheelhouse import Wheelhouse
from paddlevl_doctor.system.machine import RealSystem
from paddlevl_doctor.values.errors import UsageError
from paddlevl_doctor.values.facts import Gpu, Gpus, Host
from wheels import index, wheel
from wording import worded

pytestmark = pytest.mark.xdist_group("export")
LINUX = Host("linux", "6.1", "x86_64", glibc="2.36")
T4 = Gpus((Gpu(0, "Tesla T4", "7.5", 15_000, 15_000),), driver="560.35.03", cuda="12.6")
GPU_NAME, GPU_DATA = wheel("paddlepaddle-gpu", "3.2.1", ["numpy"], tag="cp312-cp312-linux_x86_64")


STACK = [
    wheel(*pin.split("=="))
    for pin in (
        *("paddleocr==3.7.0", "paddlex==3.7.2", "numpy==2.3.0", "safetensors==0.7.0", "setuptools==80.0"),
        *("httpx==0.28", "protobuf==6.0", "pillow==12.0", "opt-einsum==3.3.0", "networkx==3.4"),
        "typing-extensions==4.15",
    )
]
"""What the set and the CUDA wheel ask for, and nothing of the doctor's."""


def chosen(host: Host = LINUX, gpus: Gpus | None = None, python: str = "3.12") -> Chosen:
    wanted = default_set()
    return Chosen(wanted, choose_wheel(host, gpus or Gpus(), python, wanted), host, python)


def compiled(file: Path, *more: str) -> dict[str, str]:
    """Resolve a requirements file with uv; return the version by name."""
    words = (
        uv.find_uv_bin(),
        "pip",
        "compile",
        "--quiet",
        "--no-header",
        "--no-annotate",
        "--only-binary",
        ":all:",
    )
    where = (
        "--python-platform",
        "x86_64-manylinux_2_28",
        "--python-version",
        "3.12",
        "--no-python-downloads",
    )
    done = subprocess.run(
        (*words, *where, *more, file), capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return dict(line.split("==") for line in done.stdout.split() if "==" in line)


def test_the_requirements_file_is_commented_and_resolves(tmp_path: Path) -> None:
    (file,) = export(RealSystem(), "requirements", tmp_path, chosen()).files
    found = compiled(file)
    assert {name: found[name] for name in ("paddlepaddle", "paddleocr", "paddlex")} == {
        "paddlepaddle": "3.2.2",
        "paddleocr": "3.7.0",
        "paddlex": "3.7.2",
    }
    comments = [line for line in file.read_text(encoding="utf-8").splitlines() if line.startswith("# ")]
    assert default_set().why("en") in comments[-1]


def test_the_requirements_file_for_a_gpu_takes_the_wheel_from_paddles_page(tmp_path: Path) -> None:
    (file,) = export(RealSystem(), "requirements", tmp_path, chosen(gpus=T4)).files
    words = file.read_text(encoding="utf-8")
    page = "https://www.paddlepaddle.org.cn/packages/stable/cu126/paddlepaddle-gpu/"
    assert f"\n--find-links {page}\npaddlepaddle-gpu==3.2.1\n" in words
    served = {"flat/": f'<a href="/{GPU_NAME}">{GPU_NAME}</a>'.encode(), GPU_NAME: GPU_DATA}
    with broken_server(served) as server:
        file.write_text(words.replace(page, server.url("flat/")), encoding="utf-8")
        assert compiled(file)["paddlepaddle-gpu"] == "3.2.1"


def test_the_dockerfile_parses_and_its_run_lines_work(tmp_path: Path) -> None:
    file, requirements = export(RealSystem(), "dockerfile", tmp_path, chosen(python="3.11")).files
    commands = dockerfile.parse_file(str(file))
    assert [command.cmd.upper() for command in commands] == [
        *("FROM", "RUN", "RUN", "COPY", "RUN", "RUN", "ENV", "WORKDIR", "ENTRYPOINT"),
    ]
    assert commands[0].value == ("python:3.11-slim",)
    assert (tmp_path / commands[3].value[0]) == requirements
    venv = tmp_path / "venv"
    subprocess.run(
        (uv.find_uv_bin(), "venv", "-q", "--python", interpreter("3.11"), venv), check=True, timeout=60
    )
    _, _, install, imports = (command.value[0] for command in commands if command.cmd.upper() == "RUN")
    here = install.replace("--system --no-cache", f"--python {venv}").replace(
        " /requirements", f" {tmp_path}/requirements"
    )
    lend_bytecode("current-311", venv)
    path = f"{venv}/bin:{Path(uv.find_uv_bin()).parent}:/usr/bin:/bin"
    env = clean_environment(tmp_path, {**variables(venv), "PATH": path})
    for line in (here, imports, f"{venv}/bin/paddleocr doc_parser --help"):
        done = subprocess.run(
            ("/bin/sh", "-ec", line), env=env, cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr


def test_a_mirror_is_in_every_file_and_its_password_in_none(tmp_path: Path) -> None:
    index = "https://somebody:secret@h.example/simple"
    mirrored = replace(chosen(gpus=T4), index=index)
    for kind in ("dockerfile", "notebook"):
        export(RealSystem(), kind, tmp_path, mirrored)
    texts = (path for path in tmp_path.iterdir() if path.suffix != ".whl")
    written = {path.name: path.read_text(encoding="utf-8") for path in texts}
    shown = {
        "requirements.txt": "\n--index-url https://h.example/simple\n",
        "Dockerfile": "pip install --no-cache-dir --index-url https://h.example/simple uv\n",
        "paddleocr-vl.ipynb": "MIRROR = 'https://h.example/simple'",
    }
    assert [name for name in shown if shown[name] not in written[name] or "secret" in written[name]] == []
    assert set(written) == set(shown)


def test_a_dockerfile_for_windows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="A Dockerfile is for Linux"):
        export(RealSystem(), "dockerfile", tmp_path, chosen(Host("windows", "10", "x86_64")))


def cells_of(notebook: Path) -> list[str]:
    book = nbformat.read(notebook, as_version=nbformat.NO_CONVERT)
    nbformat.validate(book)
    cells = [cell.source for cell in book.cells if cell.cell_type == "code"]
    for cell in cells:
        ast.parse(cell)
    return cells


def run_in_a_bare_kernel(cells: list[str], folder: Path, *, has_uv: bool) -> subprocess.CompletedProcess[str]:
    """Run the cells with a Python that knows no doctor; afterwards it knows none either."""
    (folder / "cells.py").write_text("\n".join(cells), encoding="utf-8")
    python, programs = interpreter("3.11"), [str(Path(uv.find_uv_bin()).parent)] if has_uv else []
    env = clean_environment(folder) | {"PATH": ":".join((*programs, "/usr/bin", "/bin"))}
    if not has_uv:
        del env["PIP_CONFIG_FILE"]  # this machine's pip knows where packages are
    run = partial(
        subprocess.run, cwd=folder, env=env, capture_output=True, text=True, check=False, timeout=600
    )
    done = run((python, "cells.py"))
    assert run((python, "-c", "import paddlevl_doctor")).returncode == 1
    return done


def test_the_notebook_is_valid_and_its_cells_install_check_and_parse(tmp_path: Path) -> None:
    notebook, own = export(RealSystem(), "notebook", tmp_path, chosen()).files
    with kept_bytecode("current-3.11", tmp_path / "paddleocr-vl"):
        done = run_in_a_bare_kernel(cells_of(notebook), tmp_path, has_uv=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "output" / "demo.md").read_text(encoding="utf-8")[:3000] in done.stdout
    assert (tmp_path / "paddleocr-vl" / "pyvenv.cfg").is_file()
    (said,) = (tmp_path / "paddlevl-doctor").glob(
        "lib/*/site-packages/paddlevl_doctor-*.dist-info/direct_url.json"
    )
    assert own.as_uri() in said.read_text(encoding="utf-8")


def test_the_notebook_gives_the_doctor_an_environment_where_there_is_no_uv(tmp_path: Path) -> None:
    notebook, _ = export(RealSystem(), "notebook", tmp_path, chosen()).files
    choose, install, *_ = cells_of(notebook)
    assert install.count("[reader]") == install.count('doctor("fix"') == 1
    light = install.replace("[reader]", "")  # whose engine alone has hundreds of megabytes
    light = re.sub(r'doctor\("fix".*', 'doctor("patches", "list")', light)
    done = run_in_a_bare_kernel([choose, light], tmp_path, has_uv=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "fuse-rms-norm" in done.stdout


def test_a_notebook_whose_doctor_has_no_wheel_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("paddlevl_doctor.packages.collect_wheels.NAME", "no-such-distribution")
    made = export(RealSystem(), "notebook", tmp_path, chosen())
    assert [path.name for path in made.files] == ["paddleocr-vl.ipynb"]
    assert str(made.notes[0]).startswith(
        "The wheel of paddlevl-doctor could not be written next to the notebook"
    )


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "wheelhouse"])
def test_an_export_is_written_again_but_never_over_somebody_elses_file(kind: str, tmp_path: Path) -> None:
    written = export(RealSystem(), kind, tmp_path, chosen())
    assert export(RealSystem(), kind, tmp_path, chosen()) == written
    written.files[0].write_text("mine", encoding="utf-8")
    with pytest.raises(UsageError, match="was not written by paddlevl-doctor"):
        export(RealSystem(), kind, tmp_path, chosen())
    assert written.files[0].read_text(encoding="utf-8") == "mine"


def test_a_wheelhouse_for_windows_is_exported_from_here(tmp_path: Path) -> None:
    made = export(RealSystem(), "wheelhouse", tmp_path / "house", chosen(Host("windows", "10", "x86_64")))
    house, doctor = Wheelhouse.check(made.files[0].parent), Wheelhouse.check(tmp_path / "house/doctor")
    tags = {w.file.rpartition("-")[2] for w in (*house.wheels, *doctor.wheels)}
    assert tags <= {"any.whl", "win_amd64.whl", "win32.win_amd64.whl"}
    assert "paddlepaddle-3.2.2-cp312-cp312-win_amd64.whl" in {w.file for w in house.wheels}


def test_a_wheelhouse_for_a_gpu_holds_the_cuda_wheel_and_its_libraries_and_says_what_it_lacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From an index like Paddle's and a small one beside it, which has other versions than were tested, and no uv."""
    monkeypatch.setattr(export_module, "gpu_wheel_request", partial(gpu_wheel_request, least=512))
    with paddle_index() as paddle:
        nvidia = [
            (name, paddle.wheels[path])
            for path in paddle.wheels
            if "nvidia" in (name := path.rpartition("/")[2]) and "manylinux" in name
        ]
        with broken_server(index(*STACK, *nvidia)) as server:
            for_gpu = replace(chosen(gpus=T4), index=server.url("simple"))
            for_gpu = replace(for_gpu, wheel=replace(for_gpu.wheel, find_links=paddle.page("cu126")))
            made = export(RealSystem(), "wheelhouse", tmp_path / "house", for_gpu)
    house = Wheelhouse.check(tmp_path / "house")
    found = {f"{w.name}=={w.version}" for w in house.wheels}
    assert {for_gpu.wheel.requirement, "paddleocr==3.7.0"} | nvidia_pins("cu126", "linux") <= found
    assert GPU_NAME in {w.file for w in house.wheels}
    servers, untested, lacking = worded(made.notes[-3:])
    assert re.search(r"Servers of the CUDA wheel.*: 127\.0\.0\.1:\d+: \S+ .B/s, paddle-whl", servers)
    assert "Some tested versions are not available" in untested
    assert "paddlevl-doctor itself is not available for linux x86_64, Python 3.12" in lacking
    assert not (tmp_path / "house/doctor").exists()


def test_nothing_is_exported_for_a_machine_that_nothing_runs_on(tmp_path: Path) -> None:
    for kind in KINDS:
        with pytest.raises(UsageError):
            export(RealSystem(), kind, tmp_path, chosen(Host("macos", "23", "x86_64")))
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_kind_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no export 'floppy'\. Available: wheelhouse, requirements"):
        export(RealSystem(), "floppy", tmp_path, chosen())
