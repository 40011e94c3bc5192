"""Every quick rule: what it says of the machine that is broken in its way, and that healthy machines are quiet."""

from __future__ import annotations

from dataclasses import replace

import pytest
import test_machine_rules
import test_model_rules
import test_package_rules
from test_package_rules import described

from checks_machines import (
    CURRENT,
    OF_VERSIONS,
    T4,
    context,
    hashes,
    machine,
    model,
    problems,
    target,
    with_gpu,
)
from paddlevl_doctor.checks import ALL
from paddlevl_doctor.checks.base import Check, Context
from paddlevl_doctor.checks.runner import run_checks
from paddlevl_doctor.messages import message
from paddlevl_doctor.values.facts import (
    BrokenEnvironment,
    DamagedJournal,
    Facts,
    Gpu,
    Gpus,
    Host,
    ModelCache,
    SuspectFile,
    Target,
)
from paddlevl_doctor.values.findings import Status

GPU_STACK = {**{k: v for k, v in CURRENT.items() if k != "paddlepaddle"}, "paddlepaddle-gpu": "3.2.1"}
SET_2025_11 = {**CURRENT, "paddlepaddle": "3.2.0", "paddleocr": "3.3.1", "paddlex": "3.3.6"}
P100 = Gpu(0, "Tesla P100-PCIE-16GB", "6.0", 16280, 16000)
V100 = Gpu(0, "Tesla V100-PCIE-16GB", "7.0", 16160, 16000)
WINDOWS = Host("windows", "10", "x86_64", cpu_count=8)
RTX5070 = Gpu(0, "NVIDIA GeForce RTX 5070 Ti", "12.0", 16303, 15000)


def without(*names: str) -> dict[str, str]:
    return {k: v for k, v in CURRENT.items() if k not in names}


def host(**changes: object) -> Facts:
    facts = machine()
    return replace(facts, host=replace(facts.host, **changes))  # type: ignore[arg-type]


HEALTHY = {
    "current on a CPU": machine(),
    "2025-11 on a CPU": machine(SET_2025_11),
    "current on two T4": with_gpu(GPU_STACK, T4, replace(T4, index=1), archs=(70, 75, 80, 86, 89, 90)),
    "current on an RTX 5070 Ti": with_gpu(
        GPU_STACK, RTX5070, driver="576.02", cuda="12.9", archs=(80, 90, 120)
    ),
    "current on a CPU with as much memory as it takes": host(memory_total_mb=9_000),
    "8 GB of memory beside a GPU": with_gpu(
        GPU_STACK,
        T4,
        archs=(70, 75, 80, 86, 89, 90),
        host=replace(machine().host, memory_total_mb=7_900),
    ),
    "current on Python 3.13": machine(target=target(CURRENT, version="3.13.0")),
    "current on Apple Silicon": host(system="macos", machine="aarch64", glibc=None, cpu=None),
}


@pytest.mark.parametrize("name", HEALTHY)
def test_a_healthy_machine_gives_no_error_no_warning_and_no_note(name: str) -> None:
    assert problems(HEALTHY[name]) == {}


def shadowed(where: Target, name: str, folder: str) -> Target:
    """Return the target with one package that is imported from another folder."""
    moved = (
        replace(one, imported_from=folder, origin="shadowing") if one.name == name else one
        for one in where.distributions
    )
    return replace(where, distributions=tuple(moved))


BROKEN: dict[str, tuple[Facts, dict[str, str]]] = {
    "nothing there": (machine(target=None), {"target-environment": "error"}),
    "a target that does not answer": (
        machine(target=None, target_problem="no answer within 30 s"),
        {"target-environment": "unknown"},
    ),
    "an environment without its Python": (
        machine(
            target=None, broken_environment=BrokenEnvironment("/srv/project/.venv", "3.11.7", "/opt/old")
        ),
        {"base-python-missing": "error"},
    ),
    "an environment without pyvenv.cfg": (
        machine(
            target=None,
            broken_environment=BrokenEnvironment(
                "/srv/project/.venv", "3.11", "/opt/python", without_settings=True
            ),
        ),
        {"environment-without-settings": "error"},
    ),
    "an interrupted repair": (machine(interrupted_transaction=3), {"interrupted-repair": "warning"}),
    "an interrupted repair without its journal": (
        machine(damaged_journals=(DamagedJournal(3, "/srv/t/0003", message("journal-empty")),)),
        {"damaged-journal": "warning"},
    ),
    "Python 3.8": (
        machine(target=target(CURRENT, version="3.8.18")),
        {"python-version-unsupported": "error"},
    ),
    "Python 3.14": (
        machine(target=target(CURRENT, version="3.14.0")),
        {"python-version-unsupported": "error"},
    ),
    "32 bit": (machine(target=target(CURRENT, bits=32)), {"python-version-unsupported": "error"}),
    "free-threaded": (
        machine(target=target(CURRENT, free_threaded=True)),
        {"python-version-unsupported": "error"},
    ),
    "CentOS 7": (host(glibc="2.17"), {"glibc-too-old": "error"}),
    "no AVX": (host(cpu_flags=()), {"no-avx-illegal-instruction": "error"}),
    "AVX without AVX2": (host(cpu_flags=("avx",)), {"no-avx-illegal-instruction": "error"}),
    "AVX2 without FMA": (host(cpu_flags=("avx", "avx2")), {"no-avx-illegal-instruction": "error"}),
    "an amd64 image on an ARM machine": (
        host(cpu=None, cpu_flags=(), emulated_on="aarch64"),
        {"emulated-x86-on-arm": "warning"},
    ),
    "Intel Mac": (host(system="macos", glibc=None), {"macos-intel": "error"}),
    "full disk": (
        machine(target=None, free_disk_mb={"target": 900}),
        {"target-environment": "error", "disk-space": "error"},
    ),
    "8 GB of memory": (host(memory_total_mb=7_900), {"cpu-memory-short": "note"}),
    "slim container": (
        machine(target=target(CURRENT, missing_libraries=("libGL.so.1", "libgomp.so.1"))),
        {"libgl-missing": "error", "libgomp-missing": "error"},
    ),
    "no paddle": (machine(without("paddlepaddle")), {"no-paddle-installed": "error"}),
    "no paddleocr": (machine(without("paddleocr")), {"no-paddleocr-installed": "error"}),
    "both paddles": (
        machine({**CURRENT, "paddlepaddle-gpu": "3.2.1"}),
        {"both-paddle-dists": "error", "gpu-wheel-no-gpu-visible": "warning"},
    ),
    "GPU wheel of the default index": (
        with_gpu({**GPU_STACK, "paddlepaddle-gpu": "2.6.2"}, T4),
        {"gpu-wheel-2-6-2": "error", "version-set": "note"},
    ),
    "paddle 3.0": (
        machine({**CURRENT, "paddlepaddle": "3.0.0"}),
        {"paddle-too-old-fused-import": "error", "version-set": "note"},
    ),
    "paddle 3.3 on a CPU": (
        machine({**CURRENT, "paddlepaddle": "3.3.1"}),
        {"onednn-pir-doubleattribute": "warning", "version-set": "note"},
    ),
    "paddle 3.3 with a paddlex that runs the layout model through oneDNN": (
        machine({**SET_2025_11, "paddlepaddle": "3.3.1"}),
        {"onednn-pir-doubleattribute": "error", "version-set": "note"},
    ),
    "no networkx": (described(machine(), paddlepaddle=("networkx",)), {"requirements-unmet": "error"}),
    "paddle of another project over PaddlePaddle": (
        machine(
            suspect_files=(SuspectFile("paddle/__init__.py", 9, False, {"paddlepaddle": 5, "paddle": 9}),)
        ),
        {"overlapping-dists": "error"},
    ),
    "paddle of another project under PaddlePaddle": (
        machine(
            suspect_files=(SuspectFile("paddle/__init__.py", 5, False, {"paddlepaddle": 5, "paddle": 9}),)
        ),
        {"overlapping-dists": "warning"},
    ),
    "a library that is cut short": (
        machine(suspect_files=(SuspectFile("paddle/base/libpaddle.so", 5, True, {"paddlepaddle": 9}),)),
        {"half-installed-dist": "error"},
    ),
    "no setuptools": (machine(without("setuptools")), {"setuptools-missing": "error"}),
    "paddleocr 3.2": (
        machine({**CURRENT, "paddleocr": "3.2.0", "paddlex": "3.2.1"}, patched_files=()),
        {"paddleocr-too-old-for-vl": "error"},
    ),
    "another minor of paddlex": (
        machine({**CURRENT, "paddlex": "3.6.1"}),
        {"paddleocr-paddlex-skew": "error"},
    ),
    "no doc-parser extra": (machine(without("openai")), {"missing-doc-parser-extra": "error"}),
    "old safetensors": (
        machine({**CURRENT, "safetensors": "0.6.2"}),
        {"safetensors-framework-paddle": "error"},
    ),
    "numpy 2.4 with paddlex 3.3.6": (
        machine({**SET_2025_11, "numpy": "2.4.6"}),
        {"numpy-2-4-scalar": "error"},
    ),
    "paddleocr 3.3.0": (
        machine({**SET_2025_11, "paddleocr": "3.3.0"}),
        {"use-doc-preprocessor-wrapper": "warning"},
    ),
    "unpatched paddlex": (
        machine(patched_files=hashes("3.7.2", patched=False)),
        {"use-doc-preprocessor": "warning"},
    ),
    "GPU wheel on a CPU with paddlex 3.3.5": (
        with_gpu(
            {**GPU_STACK, "paddleocr": "3.3.1", "paddlex": "3.3.5"},
            patched_files=hashes("3.3.5", patched=True),
        ),
        {
            "gpu-detection": "note",
            "gpu-wheel-no-gpu-visible": "warning",
            "gpu-wheel-cpu-device-fused-kernel": "error",
        },
    ),
    "native Windows with CUDA 12": (
        with_gpu(GPU_STACK, T4, driver="560.76", host=WINDOWS),
        {"windows-fused-rms-norm-kernel": "warning"},
    ),
    "Kaggle P100 with a GPU wheel": (
        with_gpu(GPU_STACK, P100, archs=(70, 75, 80, 86, 89, 90)),
        {"p100-and-other-unbuilt-arch": "error"},
    ),
    "Kaggle P100 with the CPU wheel": (with_gpu(CURRENT, P100), {"p100-and-other-unbuilt-arch": "note"}),
    "RTX 5070 Ti with a cu126 wheel": (
        with_gpu(GPU_STACK, RTX5070, driver="576.02", archs=(75, 80, 86, 89, 90)),
        {"blackwell-arch-mismatch": "error"},
    ),
    "driver too old": (with_gpu(GPU_STACK, T4, driver="470.57.02", archs=(75,)), {"driver-too-old": "error"}),
    "driver too old for any CUDA wheel, and the CPU wheel": (
        with_gpu(CURRENT, T4, driver="418.87.01"),
        {"driver-too-old": "warning"},
    ),
    "RTX 5070 Ti that a newer driver would make usable, and the CPU wheel": (
        with_gpu(CURRENT, RTX5070, driver="570.86.10"),
        {"driver-too-old": "warning"},
    ),
    "RTX 5070 Ti with its wheel and a driver that came before it": (
        with_gpu(GPU_STACK, RTX5070, driver="570.86.10", cuda="12.9", archs=(80, 90, 120)),
        {"driver-too-old": "warning"},
    ),
    "a V100 on Windows, whose wheels have no code for it": (
        with_gpu(CURRENT, V100, driver="576.02", host=WINDOWS),
        {"p100-and-other-unbuilt-arch": "note"},
    ),
    "a GPU and the CPU wheel": (with_gpu(CURRENT, T4), {"cpu-wheel-gpu-requested": "warning"}),
    "NVML without permission": (
        machine(gpus=Gpus(reason="no-permission", detail="Insufficient Permissions")),
        {"gpu-detection": "warning"},
    ),
    "half a model": (
        machine(cache=ModelCache("/c", (model("PP-DocLayoutV3", "inference.yml", "inference.json"),))),
        {"partial-model-cache": "error"},
    ),
    "a model that never stops": (
        machine(cache=ModelCache("/c", (model("PaddleOCR-VL-1.6", "generation_config.json"),))),
        {"generation-config-missing": "error"},
    ),
    "the layout model twice": (
        machine(cache=ModelCache("/c", (model("PP-DocLayoutV2"), model("PaddleOCR-VL/PP-DocLayoutV2")))),
        {"duplicate-doclayoutv2": "note"},
    ),
    "a cache that cannot be written": (
        machine(cache=ModelCache("/c", problem=message("cache-read-only", path="/"))),
        {"model-cache-unusable": "error"},
    ),
    "an old numpy on PYTHONPATH": (
        machine(target=shadowed(target(CURRENT), "numpy", "/old")),
        {"package-shadowed": "error"},
    ),
    "a script that is called paddle.py": (
        machine(target=replace(target(CURRENT), hiding_modules=("paddle.py",))),
        {"modules-hidden": "warning"},
    ),
    "PaddleOCR 2, which needs no paddlex": (
        machine({"paddlepaddle": "3.2.2", "paddleocr": "2.10.0", "setuptools": "80.0.0", "numpy": "1.26.4"}),
        {"paddleocr-too-old-for-vl": "error"},
    ),
    "an environment that was copied": (machine(scripts_of="/old"), {"moved-environment": "warning"}),
    "a .pth file that ends Python": (
        machine(target=None, startup_file="/srv/zz.pth", target_problem=message("evidence-none")),
        {"startup-file": "error"},
    ),
    "the doctor's own environment": (
        machine(own_environment="/srv/doctor"),
        {"doctor-in-environment": "note"},
    ),
}


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.parametrize("lang", ["en", "zh"])
def test_a_broken_machine_gives_exactly_its_findings(name: str, lang: str) -> None:
    facts, expected = BROKEN[name]
    assert problems(facts, lang) == expected


def test_every_rule_is_shown_to_fail() -> None:
    everywhere = (BROKEN, test_machine_rules.BROKEN, test_model_rules.BROKEN, test_package_rules.BROKEN)
    shown = {finding for broken in everywhere for _, expected in broken.values() for finding in expected}
    # What only a link on a disk, or a GPU on an ARM machine, can show has its own tests, as have notes.
    assert {check.id for check in ALL} - shown - set(OF_VERSIONS) == {
        "aarch64-no-gpu-wheel",
        "patch-lost",
        "pipelines-link",
    }


def test_an_arm_machine_with_a_gpu_is_told_that_it_cannot_be_used() -> None:
    facts = with_gpu(CURRENT, T4)
    jetson = replace(facts, host=replace(facts.host, machine="aarch64"))
    assert problems(jetson) == {"aarch64-no-gpu-wheel": "note"}


@pytest.mark.parametrize(
    ("facts", "name"),
    [
        (with_gpu(CURRENT, RTX5070, driver="570.86.10"), "driver-too-old"),
        (with_gpu(CURRENT, V100, driver="576.02", host=WINDOWS), "p100-and-other-unbuilt-arch"),
    ],
)
def test_a_gpu_that_matrix_refuses_is_refused_in_the_same_words(facts: Facts, name: str) -> None:
    looked = context(facts)
    found = next(f for f in run_checks(looked, ALL) if f.id == name)
    assert [said.text("en") for said in looked.wheel.refusals] == [str(found.evidence[-1].value)]


def test_findings_name_the_root_and_say_it_once() -> None:
    findings = {f.id: f for f in run_checks(context(machine(target=None)), ALL)}
    blocked = {f.blocked_by for f in findings.values() if f.status is Status.BLOCKED}
    assert blocked == {"target-environment"}
    assert not [f.id for f in findings.values() if f.status is Status.UNKNOWN]


def test_a_check_that_crashes_is_unknown_and_hides_no_other() -> None:
    def crash(_: Context) -> object:
        raise ZeroDivisionError("a slip")

    checks = (Check("numpy-2-4-scalar", crash), Check("no-avx-illegal-instruction", ALL[3].run))  # type: ignore[arg-type]
    crashed, other = run_checks(context(machine()), checks)
    assert (crashed.status, crashed.evidence[0].value) == (Status.UNKNOWN, "ZeroDivisionError: a slip")
    assert other.status is Status.OK
