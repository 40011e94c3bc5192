"""The rules about packages that are half there, that share libraries, or that one release has a flaw in."""

from __future__ import annotations

from dataclasses import replace

import pytest

from checks_machines import (
    CURRENT,
    OF_VERSIONS,
    SITE,
    T4,
    context,
    hashes,
    machine,
    problems,
    published,
    target,
    with_gpu,
)
from paddlevl_doctor.checks import ALL, sources
from paddlevl_doctor.checks.runner import run_checks
from paddlevl_doctor.knowledge.failures import load_all
from paddlevl_doctor.knowledge.patches import find_patch
from paddlevl_doctor.values.facts import (
    AlteredFile,
    Distribution,
    Facts,
    Gpu,
    Host,
    PaddleBuild,
    PatchedFile,
    Target,
    UnownedCode,
)

GPU_STACK = {**{k: v for k, v in CURRENT.items() if k != "paddlepaddle"}, "paddlepaddle-gpu": "3.2.1"}
SET_2025_11 = {**CURRENT, "paddlepaddle": "3.2.0", "paddleocr": "3.3.1", "paddlex": "3.3.6"}
RTX4070 = Gpu(0, "NVIDIA GeForce RTX 4070", "8.9", 12282, 11500)
LARGE = Gpu(0, "NVIDIA H100 NVL", "9.0", 95830, 95000)
WINDOWS = Host("windows", "10.0.22631", "x86_64", cpu_count=8)
ARCHS = (75, 80, 86, 89, 90, 120)


def changed(facts: Facts, **changes: object) -> Facts:
    assert facts.target is not None
    return replace(facts, target=replace(facts.target, **changes))  # type: ignore[arg-type]


def described(facts: Facts, **requires: tuple[str, ...]) -> Facts:
    """Give distributions (underscores for hyphens) other requirements."""
    assert facts.target is not None
    wanted = {name.replace("_", "-"): lines for name, lines in requires.items()}
    rows = (replace(d, requires=wanted.get(d.name, d.requires)) for d in facts.target.distributions)
    return changed(facts, distributions=tuple(rows))


def twice(name: str, version: str) -> Target:
    healthy = machine().target
    assert healthy is not None
    other = next(d for d in healthy.distributions if d.name == name)
    path = other.path.replace(other.version, version)
    return replace(
        healthy, distributions=(*healthy.distributions, replace(other, version=version, path=path))
    )


def without_record(name: str, **changes: object) -> Facts:
    facts = machine()
    assert facts.target is not None
    rows = (replace(d, **changes) if d.name == name else d for d in facts.target.distributions)  # type: ignore[arg-type]
    return changed(facts, distributions=tuple(rows))


def edited(version: str) -> tuple[PatchedFile, ...]:
    """Describe the files that the patches know, one of them after the edit that posts recommend."""
    (file,) = find_patch("fuse-rms-norm").files
    variant = file.variant_for(version)
    original = next(o for o in variant.originals if version in o.versions) if variant else None
    assert original is not None
    others = [one for one in hashes(version, patched=True) if one.path != file.path]
    return (*others, PatchedFile("fuse-rms-norm", file.path, original.edited_sha256[0], recorded=False))


def paddlex(version: str, paddleocr: str, facts: Facts | None = None) -> Facts:
    versions = {**SET_2025_11, "paddlex": version, "paddleocr": paddleocr}
    return facts or machine(versions, patched_files=hashes(version, patched=True))


def on_windows(version: str) -> Facts:
    """A card with room for what these versions need, so that memory is no finding."""
    versions = {**GPU_STACK, "paddleocr": "3.3.3", "paddlex": version}
    files = hashes(version, patched=True)
    # cu118: its wheel does not take the fused kernel, which is a finding of its own on Windows
    return with_gpu(
        versions, LARGE, driver="576.02", cuda="11.8", archs=ARCHS, host=WINDOWS, patched_files=files
    )


def replaced_torch(**changes: object) -> Facts:
    """Linux with a torch whose cuDNN gave way to the one that PaddlePaddle wants."""
    facts = with_gpu({**SHARED, "nvidia-cudnn-cu12": "9.5.1.17"}, T4, archs=ARCHS, **changes)
    return described(facts, torch=TORCH_PINS, paddlepaddle_gpu=PADDLE_PINS)


def beside(server: str, *torch_pins: str, paddle: tuple[str, ...] = ()) -> Facts:
    """Linux with a server and its torch beside the GPU wheel, every package in the version that paddle wants."""
    versions = {**GPU_STACK, **WANTED, server: "0.11.1", "torch": "2.9.0"}
    facts = published(with_gpu(versions, RTX4070, archs=ARCHS), "modelscope-without-torch")
    return described(facts, torch=torch_pins, paddlepaddle_gpu=paddle or PADDLE_PINS)


TORCH_PINS = (
    'nvidia-nccl-cu12==2.27.5; platform_system == "Linux"',
    'nvidia-cudnn-cu12==9.10.2.21; platform_system == "Linux"',
    'opt-einsum>=3.3; extra == "opt-einsum"',
)
PADDLE_PINS = ('nvidia-cudnn-cu12==9.5.1.17; platform_system == "Linux" and platform_machine == "x86_64"',)
ARM = 'nvidia-nccl-cu12==2.27.5; platform_system == "Linux" and platform_machine == "x86_64"'
ARM_HOST = Host("linux", "6.1.0", "aarch64", glibc="2.36", cpu_count=4)
CU118_PINS = ('nvidia-cudnn-cu11==8.9.4.19; platform_system == "Linux"',)
WANTED = {"nvidia-cudnn-cu12": "9.5.1.17", "nvidia-cudnn-cu11": "8.9.4.19"}
LIBRARIES = {"nvidia-nccl-cu12": "2.27.5", "nvidia-cudnn-cu12": "9.10.2.21"}
SHARED = {**GPU_STACK, **LIBRARIES, "torch": "2.9.0"}

BROKEN: dict[str, tuple[Facts, dict[str, str]]] = {
    "two dist-infos": (machine(target=twice("paddlex", "3.7.1")), {"half-installed-dist": "error"}),
    "no RECORD": (without_record("paddlex", has_record=False), {"half-installed-dist": "error"}),
    "no METADATA": (without_record("numpy", has_metadata=False), {"half-installed-dist": "error"}),
    "what a killed pip leaves": (
        machine(target=target(CURRENT, leftovers=("~addlex", "~addlex-3.7.1.dist-info"))),
        {"pip-leftovers": "note"},
    ),
    "what a killed pip leaves, and a lost RECORD": (
        changed(without_record("paddlex", has_record=False), leftovers=("~addlex",)),
        {"half-installed-dist": "error", "pip-leftovers": "note"},
    ),
    "a .pth file and a module that no package owns": (
        changed(
            machine(),
            unowned_code=(UnownedCode(f"{SITE}/beside.py"), UnownedCode(f"{SITE}/stray.pth", runs_at_start=True)),
        ),
        {"unowned-code": "note"},
    ),
    "a RECORD that cannot be read": (
        changed(machine(), ownership_problem=f"{SITE}/six-1.17.0.dist-info/RECORD: Permission denied"),
        {"unowned-code": "unknown"},
    ),
    "an altered file that decides": (
        machine(altered_files=(AlteredFile(f"{SITE}/paddleocr/__init__.py", "paddleocr", "0" * 64),)),
        {"altered-files": "note"},
    ),
    "a file of a patch that was edited by hand": (
        machine(altered_files=(), patched_files=edited("3.7.2")),
        {"altered-files": "note"},
    ),
    "paddlex 3.3.2": (
        paddlex("3.3.2", "3.3.1"),
        {"vl-official-name-3-3-2": "error", "dtype-mismatch-bf16": "error"},
    ),
    "bfloat16 weights on a CPU": (paddlex("3.3.4", "3.3.1"), {"dtype-mismatch-bf16": "error"}),
    "bfloat16 weights on a T4": (
        with_gpu(
            {**GPU_STACK, "paddleocr": "3.3.1", "paddlex": "3.3.4"}, T4,
            archs=ARCHS, patched_files=hashes("3.3.4", patched=True),
        ),
        {"dtype-mismatch-bf16": "error"},
    ),
    "langchain 1 beside paddlex 3.3.6": (
        machine({**SET_2025_11, "langchain": "1.0.3"}),
        {"langchain-docstore": "error"},
    ),
    "FlashAttention 2 on Windows": (on_windows("3.3.11"), {"flashattention2-unsupported": "error"}),
    "torch that replaced what PaddlePaddle wants": (
        described(with_gpu(SHARED, T4, archs=ARCHS), torch=TORCH_PINS, paddlepaddle_gpu=PADDLE_PINS),
        {"nvidia-wheel-mismatch": "warning"},
    ),
    "a cuDNN of another CUDA line over the one that PaddlePaddle wants": (
        described(
            with_gpu({**GPU_STACK, **WANTED, "nvidia-cudnn-cu13": "9.13.0.50"}, T4, archs=ARCHS),
            paddlepaddle_gpu=PADDLE_PINS,
        ),
        {"nvidia-wheel-mismatch": "warning"},
    ),
    "PaddlePaddle that replaced what torch wants": (
        published(replaced_torch(), "modelscope-without-torch"),
        {"linux-torch-import-breaks-paddlex": "warning"},
    ),
    "torch on Windows": (
        with_gpu(
            {**GPU_STACK, "torch": "2.9.0"}, RTX4070, driver="576.02", cuda="11.8", archs=ARCHS, host=WINDOWS
        ),
        {"windows-torch-dll-clash": "warning"},
    ),
    "torch of the CPU on Windows, harmless unless paddle comes first": (
        with_gpu(
            {**GPU_STACK, "torch": "2.9.0+cpu"}, RTX4070, driver="576.02", cuda="11.8", archs=ARCHS, host=WINDOWS
        ),
        {"windows-torch-dll-clash": "note"},
    ),
    "vLLM whose torch wants another cuDNN": (
        beside("vllm", "nvidia-cudnn-cu12==9.10.2.21"),
        {"vllm-same-env-conflict": "warning", "linux-torch-import-breaks-paddlex": "warning"},
    ),
    "SGLang whose torch brings the files of another CUDA line": (
        beside("sglang", "nvidia-cudnn-cu13==9.13.0.50"),
        {"vllm-same-env-conflict": "warning", "linux-torch-import-breaks-paddlex": "warning"},
    ),
    "the safetensors that Paddle published itself": (
        machine({**CURRENT, "safetensors": "0.6.2.dev0"}),
        {"safetensors-dev-wheel-platform": "note"},
    ),
    "vLLM on a T4": (
        with_gpu({**CURRENT, "vllm": "0.11.1"}, T4),
        {"vllm-platform-and-cc": "warning", "cpu-wheel-gpu-requested": "warning"},
    ),
    "transformers 5 beside an old vLLM": (
        machine({**CURRENT, "vllm": "0.10.2", "transformers": "5.0.0"}),
        {"vllm-transformers-5": "warning"},
    ),
    "an old aistudio-sdk": (
        machine({**CURRENT, "aistudio-sdk": "0.2.6"}),
        {"aistudio-sdk-conflict": "error"},
    ),
    "SGLang on Windows": (
        machine({**CURRENT, "sglang": "0.5.0"}, host=WINDOWS),
        {"vllm-platform-and-cc": "warning"},
    ),
}  # fmt: skip
HEALTHY = {
    "torch of the CPU beside the stack": described(
        machine({**CURRENT, "torch": "2.9.0+cpu"}), torch=("filelock", "sympy>=1.13.3")
    ),
    "a broken torch that the patch makes harmless": replaced_torch(),
    "vLLM that wants the same packages as paddlepaddle-gpu": beside("vllm", *PADDLE_PINS),
    "vLLM whose CUDA line has files of other names": beside("vllm", *PADDLE_PINS, paddle=CU118_PINS),
    "torch on a processor for which it wants no NVIDIA package": described(
        published(machine({**CURRENT, "torch": "2.8.0"}, host=ARM_HOST), "modelscope-without-torch"),
        torch=(ARM,),
    ),
    "libraries of one CUDA line whose versions begin alike": described(
        with_gpu({**GPU_STACK, "nvidia-cufft-cu12": "11.3.0.4", "nvidia-cusolver-cu12": "11.7.1.2"}, T4, archs=ARCHS),
        paddlepaddle_gpu=("nvidia-cufft-cu12==11.3.0.4", "nvidia-cusolver-cu12==11.7.1.2"),
    ),
    "the cuDNN that the wheel was built with, though it asks for another": described(
        changed(
            with_gpu({**GPU_STACK, "nvidia-cudnn-cu12": "9.9.0.52"}, T4),
            paddle=PaddleBuild("3.2.1", "12.6", "9.9.0", ARCHS),
        ),
        paddlepaddle_gpu=PADDLE_PINS,
    ),
    "vLLM on a machine without a GPU": machine({**CURRENT, "vllm": "0.11.1"}),
    "transformers 4 beside vLLM": machine({**CURRENT, "vllm": "0.10.2", "transformers": "4.57.1"}),
    "aistudio-sdk 0.3.8": machine({**CURRENT, "aistudio-sdk": "0.3.8"}),
    "torch of the CPU on Windows with the CPU wheel": machine({**CURRENT, "torch": "2.9.0"}, host=WINDOWS),
    "torch whose packages are all there": described(
        published(machine({**CURRENT, **LIBRARIES, "torch": "2.9.0"}), "modelscope-without-torch"), torch=TORCH_PINS
    ),
    "an editable paddlex": without_record("paddlex", has_record=False, editable=True),
    "another program without RECORD": machine({**CURRENT}),
    "an environment whose files were looked at": machine(
        altered_files=(), target=target(CURRENT, unowned_code=(), site_folders=(SITE,))
    ),
    "a distribution that the base interpreter has as well": machine(
        target=replace(
            twice("numpy", "1.26.4"),
            distributions=(
                *(machine().target or target(CURRENT)).distributions,
                Distribution("numpy", "1.26.4", "/usr/lib/python3/dist-packages/numpy-1.26.4.dist-info", True),
            ),
        )
    ),
    "langchain 0.3": machine({**SET_2025_11, "langchain": "0.3.27"}),
    "langchain 1 with paddlex 3.7.2": machine({**CURRENT, "langchain": "1.0.3"}),
    "paddlex 3.3.5 on a CPU": paddlex("3.3.5", "3.3.1"),
    "paddlex 3.3.12 on Windows": on_windows("3.3.12"),
    "paddlex 3.3.11 on Linux": with_gpu(
        {**GPU_STACK, "paddleocr": "3.3.3", "paddlex": "3.3.11"}, RTX4070,
        archs=ARCHS, patched_files=hashes("3.3.11", patched=True),
    ),
    "vLLM in an environment of its own": with_gpu(
        {**{k: v for k, v in CURRENT.items() if k != "paddlepaddle"}, "vllm": "0.11.1", "paddlepaddle": "3.2.2"},
        RTX4070,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.parametrize("lang", ["en", "zh"])
def test_a_broken_environment_gives_exactly_its_findings(name: str, lang: str) -> None:
    facts, expected = BROKEN[name]
    assert problems(facts, lang) == expected


@pytest.mark.parametrize("name", HEALTHY)
def test_an_environment_that_looks_alike_gives_none(name: str) -> None:
    cpu_wheel = {"cpu-wheel-gpu-requested"} if "of its own" in name else set()
    assert set(problems(HEALTHY[name])) == cpu_wheel


def test_the_edit_that_posts_recommend_cures_what_the_patch_cures() -> None:
    facts = with_gpu({**GPU_STACK}, RTX4070, host=WINDOWS, archs=ARCHS, patched_files=edited("3.7.2"))
    found = {f.id: f for f in run_checks(context(facts), ALL)}
    assert found["windows-fused-rms-norm-kernel"].status.value == "ok"


def test_facts_without_a_look_at_the_owners_are_never_right() -> None:
    found = {f.id: f.status.value for f in run_checks(context(machine()), ALL)}
    assert {name: found[name] for name in ("unowned-code", "altered-files")} == {
        "unowned-code": "skipped",
        "altered-files": "skipped",
    }


def notes(facts: Facts) -> set[str]:
    found = run_checks(context(facts), ALL)
    return {f.id for f in found if f.status.value == "note"} & set(OF_VERSIONS)


def unpatched(versions: dict[str, str]) -> Facts:
    return machine(versions, patched_files=hashes(versions["paddlex"], patched=False))


def test_flaws_of_released_versions_are_notes_and_gone_where_the_version_is_another() -> None:
    always = {"native-bgr-swap", "pipeline-close-leak", "queue-deadlock-on-error"}
    assert notes(unpatched(CURRENT)) == always
    assert notes(unpatched(SET_2025_11)) == set(OF_VERSIONS) - {"multi-device-batch-starvation"}
    future = machine({**CURRENT, "paddleocr": "3.9.0", "paddlex": "3.9.0"}, patched_files=())
    assert notes(future) == set()


def test_a_flaw_is_gone_where_its_patch_is_in_place() -> None:
    assert notes(machine()) == {"pipeline-close-leak"}, "there is no patch for this one"
    assert "native-bgr-swap" in notes(published(machine(), "image-channel-order"))


def test_several_gpus_are_a_note_where_paddle_would_use_them() -> None:
    two = with_gpu(SET_2025_11, T4, replace(T4, index=1))
    assert "multi-device-batch-starvation" not in notes(two), "the CPU wheel uses no GPU"
    both = with_gpu(GPU_STACK, T4, replace(T4, index=1), archs=ARCHS)
    assert "multi-device-batch-starvation" in notes(both)


def test_the_evidence_of_a_server_beside_paddle_is_what_both_ask_for() -> None:
    facts = beside("vllm", "nvidia-cudnn-cu12==9.10.2.21", "nvidia-nccl-cu12>=2.27")
    found = next(f for f in run_checks(context(facts), ALL) if f.id == "vllm-same-env-conflict")
    assert [(e.source, str(e.value)) for e in found.evidence] == [
        ("nvidia-cudnn-cu12", "9.5.1.17, or 9.10.2.21")
    ]


def test_every_entry_that_versions_alone_show_is_listed() -> None:
    assert {failure.id for failure in load_all() if failure.quick} == set(sources.VERSION_FAILURES)


def test_a_patch_that_was_applied_and_is_gone_is_a_note() -> None:
    def found(patched: bool) -> str:
        facts = machine(
            applied_patches=("doc-preprocessor-defaults", "of-another-doctor"),
            patched_files=hashes("3.7.2", patched=patched),
        )
        return next(f.status.value for f in run_checks(context(facts), ALL) if f.id == "patch-lost")

    assert (found(True), found(False)) == ("ok", "note")
