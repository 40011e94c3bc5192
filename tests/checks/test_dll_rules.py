"""The rules about Windows' DLLs: paddle's own copies, those of others, and the runtime of Visual C++."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bundles import golden
from checks_machines import CURRENT, context, machine, target
from paddlevl_doctor.checks import ALL
from paddlevl_doctor.checks.runner import run_checks
from paddlevl_doctor.values.facts import DllFolder, Facts, Host, PaddleBuild
from paddlevl_doctor.values.findings import Evidence, Finding, Status
from wording import worded

HEALTHY = golden("windows-native").recording.facts
OLDER = golden("windows-older-cudnn").recording.facts
CUDNN_BIN = r"C:\Users\somebody\pages\.venv\Lib\site-packages\nvidia\cudnn\bin"
SYSTEM32 = r"C:\Windows\System32"
CUDA = r"C:\Program Files\NVIDIA GPU Computing Toolkit\CUDA\v12.4\bin"


def finding(facts: Facts, name: str, lang: str = "en") -> Finding:
    return worded(next(f for f in run_checks(context(facts), ALL) if f.id == name), lang)


def seen(facts: Facts, name: str) -> tuple[Status, list[tuple[str, str]]]:
    found = finding(facts, name)
    return found.status, [(e.source, e.value) for e in found.evidence]


def with_folders(facts: Facts, *folders: DllFolder, without: str = "") -> Facts:
    """Add folders at the end of the loader's order, and take away those whose path ends so."""
    assert facts.dlls is not None
    kept = tuple(f for f in facts.dlls if not without or not f.path.endswith(without))
    return replace(facts, dlls=(*kept, *folders))


def of_cuda_11(*folders: DllFolder) -> Facts:
    names = ("cublas64_11.dll", "cublasLt64_11.dll", "cufft64_10.dll", "curand64_10.dll")
    rest = (*names, "cusolver64_11.dll", "cusparse64_11.dll")
    assert HEALTHY.target is not None
    patient = replace(HEALTHY.target, paddle=PaddleBuild("3.2.0", "11.8", "8.9", (75, 86)))
    return replace(HEALTHY, target=patient, dlls=(DllFolder("wheel", "W", rest), *folders))


def test_the_wheels_own_copies_are_right_and_cudnn_is_shown() -> None:
    assert seen(HEALTHY, "cudnn-not-found") == (Status.OK, [("cudnn64_9.dll", CUDNN_BIN)])
    assert seen(HEALTHY, "windows-libpaddle-dll") == (
        Status.OK,
        [("LoadLibrary", "vcruntime140.dll, vcruntime140_1.dll, msvcp140.dll")],
    )


def test_an_older_cudnn_on_path_does_not_stand_in_for_one_that_is_missing() -> None:
    older = r"absent; cudnn64_8.dll in C:\Program Files\NVIDIA GPU Computing Toolkit\CUDA\v11.8\bin"
    assert seen(OLDER, "cudnn-not-found") == (Status.ERROR, [("cudnn64_9.dll", older)])
    shown = finding(OLDER, "cudnn-not-found")
    assert shown.title == "CUDA libraries that paddle requires are not installed with it: cudnn64_9.dll"


def test_the_first_copy_of_that_name_is_the_one_that_is_taken() -> None:
    on_path = DllFolder("path", CUDA, ("cudnn64_9.dll",))
    both = (DllFolder("system", SYSTEM32, ("CUDNN64_9.DLL",)), on_path)
    assert seen(with_folders(HEALTHY, on_path, without="cudnn\\bin"), "cudnn-not-found") == (
        Status.WARNING,
        [("cudnn64_9.dll", CUDA)],
    )
    assert seen(with_folders(HEALTHY, *both, without="cudnn\\bin"), "cudnn-not-found") == (
        Status.WARNING,
        [("cudnn64_9.dll", SYSTEM32)],
    )


def test_a_second_copy_beside_the_wheels_own_is_worth_knowing_and_no_more() -> None:
    facts = with_folders(HEALTHY, DllFolder("path", CUDA, ("cublas64_12.dll", "nvblas64_12.dll")))
    own = CUDNN_BIN.replace("cudnn", "cublas")
    assert seen(facts, "windows-libpaddle-dll") == (
        Status.NOTE,
        [("cublas64_12.dll", f"{own}; {CUDA}")],
    )
    assert seen(facts, "cudnn-not-found") == (Status.OK, [("cudnn64_9.dll", CUDNN_BIN)])


def test_what_lies_in_the_folder_of_torch_is_no_copy_for_paddle() -> None:
    torch = DllFolder("torch", "T", ("cudnn64_9.dll",))
    assert finding(with_folders(HEALTHY, torch), "windows-libpaddle-dll").status is Status.OK
    assert seen(with_folders(HEALTHY, torch, without="cudnn\\bin"), "cudnn-not-found") == (
        Status.ERROR,
        [("cudnn64_9.dll", "absent; cudnn64_9.dll in T")],
    )


@pytest.mark.parametrize(
    ("names", "evidence"),
    [
        (("cudnn64_8.dll",), [("zlibwapi.dll", "absent"), ("cudnn64_8.dll", CUDA)]),
        (("cudnn64_8.dll", "zlibwapi.dll"), [("cudnn64_8.dll", CUDA)]),
    ],
)
def test_a_cudnn_8_of_somebody_else_may_ask_for_zlib(
    names: tuple[str, ...], evidence: list[tuple[str, str]]
) -> None:
    facts = of_cuda_11(DllFolder("path", CUDA, names))
    assert seen(facts, "cudnn-not-found") == (Status.WARNING, evidence)


def test_the_wheels_own_cudnn_8_has_zlib_inside() -> None:
    facts = of_cuda_11(DllFolder("wheel", CUDNN_BIN, ("cudnn64_8.dll",)))
    assert seen(facts, "cudnn-not-found") == (Status.OK, [("cudnn64_8.dll", CUDNN_BIN)])


def test_of_a_cuda_that_nobody_has_looked_at_only_the_packages_are_judged() -> None:
    assert HEALTHY.target is not None
    newer = replace(HEALTHY.target, paddle=PaddleBuild("3.3.1", "13.0", "9.13", (75, 89)))
    assert seen(replace(HEALTHY, target=newer), "cudnn-not-found") == (
        Status.SKIPPED,
        [("applies", "the wheel requires no CUDA libraries")],
    )


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_a_missing_runtime_of_visual_cpp_is_named(lang: str) -> None:
    host = Host("windows", "10.0.22631", "x86_64", cpu_count=8)
    facts = machine(host=host, target=target(CURRENT, missing_libraries=("msvcp140.dll",)))
    shown = finding(facts, "windows-libpaddle-dll", lang)
    assert (shown.status, shown.evidence) == (
        Status.WARNING,
        (Evidence("LoadLibrary", {"en": "absent: msvcp140.dll", "zh": "不存在：msvcp140.dll"}[lang]),),
    )
    assert shown.remedy is not None
    assert "msvcp140.dll" in shown.title
    assert "Visual C++" in shown.remedy.text


def test_elsewhere_nobody_asks() -> None:
    assert finding(machine(), "windows-libpaddle-dll").status is Status.SKIPPED


@pytest.mark.parametrize(
    ("version", "names", "status"),
    [
        ("2.9.0", ("cudnn64_9.dll", "cudnn_ops64_9.dll", "cublas64_12.dll"), Status.WARNING),
        ("2.9.0", (), Status.NOTE),
        ("2.9.0+cpu", (), Status.NOTE),
        ("2.9.0+cu126", ("cudnn64_9.dll",), Status.WARNING),
    ],
)
def test_a_torch_clashes_by_the_cudnn_in_its_folder_and_not_by_its_version(
    version: str, names: tuple[str, ...], status: Status
) -> None:
    folder = (DllFolder("torch", r"C:\venv\Lib\site-packages\torch\lib", names),) if names else ()
    assert HEALTHY.target is not None
    others = tuple(d for d in HEALTHY.target.distributions if d.name != "torch")
    torch = replace(HEALTHY.target.distributions[0], name="torch", version=version)
    facts = with_folders(
        replace(HEALTHY, target=replace(HEALTHY.target, distributions=(*others, torch))), *folder
    )
    shown = [("distributions", f"torch {version}, paddlepaddle-gpu 3.2.1")]
    shown += [("torch\\lib", "cudnn64_9.dll")] if names else []
    assert seen(facts, "windows-torch-dll-clash") == (status, shown)
