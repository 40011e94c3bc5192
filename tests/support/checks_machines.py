"""Facts of made-up machines: a healthy one, and functions that break it in one way each."""

from __future__ import annotations

from dataclasses import replace

from paddlevl_doctor.checks import ALL, sources
from paddlevl_doctor.checks.base import Context
from paddlevl_doctor.checks.runner import run_checks
from paddlevl_doctor.commands.judge_facts import context_of
from paddlevl_doctor.knowledge.failures import load_failure
from paddlevl_doctor.knowledge.patches import load_patches
from paddlevl_doctor.values.facts import (
    CachedModel,
    Distribution,
    Facts,
    Gpu,
    Gpus,
    Host,
    ModelCache,
    PaddleBuild,
    PatchedFile,
    PipelinesLink,
    Target,
)
from paddlevl_doctor.values.findings import Status
from wording import worded

SITE = "/srv/project/.venv/lib/python3.11/site-packages"
PADDLEX_REQUIRES = (
    'numpy<2.4,>=1.24; extra == "ocr"',
    'safetensors>=0.7.0; extra == "ocr"',
    'openai>=1.63; extra == "genai-client"',
)
CURRENT = {
    "paddlepaddle": "3.2.2",
    "paddleocr": "3.7.0",
    "paddlex": "3.7.2",
    "numpy": "2.3.5",
    "safetensors": "0.8.0",
    "setuptools": "80.9.0",
    "openai": "3.54.0",
}
T4 = Gpu(0, "Tesla T4", "7.5", 15360, 15000)


def distribution(name: str, version: str) -> Distribution:
    requires = {
        "paddleocr": (
            f"paddlex[ocr-core]{_range(version)}",
            f'paddlex[ocr]{_range(version)}; extra == "doc-parser"',
        ),
        "paddlex": PADDLEX_REQUIRES,
    }.get(name, ())
    return Distribution(name, version, f"{SITE}/{name}-{version}.dist-info", True, requires)


def _range(version: str) -> str:
    major, minor = version.split(".")[:2]
    return f"<{major}.{int(minor) + 1}.0,>={major}.{minor}.0"


def target(versions: dict[str, str], **changes: object) -> Target:
    healthy = Target(
        python="/srv/project/.venv/bin/python",
        version="3.11.7",
        implementation="cpython",
        bits=64,
        free_threaded=False,
        prefix="/srv/project/.venv",
        base_prefix="/usr",
        purelib=SITE,
        platlib=SITE,
        externally_managed=False,
        distributions=tuple(distribution(*item) for item in versions.items()),
        paddle=PaddleBuild("3.2.2", None, None),
    )
    return replace(healthy, **changes)  # type: ignore[arg-type]


def hashes(version: str, *, patched: bool) -> tuple[PatchedFile, ...]:
    """The files that the patches know, as this paddlex was published, or as the patches leave them."""
    found = []
    for patch in load_patches():
        for file in patch.files:
            original = next((o for v in file.variants for o in v.originals if version in o.versions), None)
            if original is None:
                continue  # a paddlex that the patches do not know
            keep = patch.id == "fuse-rms-norm" or not patched
            found.append(
                PatchedFile(patch.id, file.path, original.sha256 if keep else original.patched_sha256)
            )
    return tuple(found)


def machine(versions: dict[str, str] | None = None, **changes: object) -> Facts:
    """A healthy Linux machine without a GPU; `versions` replaces what is installed, None removes the target."""
    installed = CURRENT if versions is None else versions
    healthy = Facts(
        host=Host(
            "linux",
            "6.1.0",
            "x86_64",
            "Debian 12",
            glibc="2.36",
            cpu="Xeon",
            cpu_count=8,
            cpu_flags=("avx", "avx2", "fma"),
        ),
        gpus=Gpus(reason="no-library"),
        target=target(installed),
        cache=ModelCache("/home/somebody/.paddlex"),
        patched_files=hashes(installed.get("paddlex", "3.7.2"), patched=True),
        pipelines=PipelinesLink(
            "/srv/project/pipelines", "right", ".venv/lib", f"{SITE}/paddlex/configs/pipelines"
        ),
        free_disk_mb={"target": 50_000, "uv-cache": 50_000},
    )
    return replace(healthy, **changes)  # type: ignore[arg-type]


def with_gpu(
    versions: dict[str, str],
    *gpus: Gpu,
    driver: str = "550.54.14",
    cuda: str = "12.6",
    archs: tuple[int, ...] = (),
    **changes: object,
) -> Facts:
    """A machine with NVIDIA GPUs and this stack; a CUDA build where the GPU wheel is installed."""
    build = (
        PaddleBuild("3.2.1", cuda, "9.5", archs)
        if "paddlepaddle-gpu" in versions
        else PaddleBuild("3.2.2", None, None)
    )
    devices = (
        Gpus(gpus, driver, "12.4") if gpus else Gpus(reason="no-devices", detail="No devices were found")
    )
    return machine(versions, gpus=devices, target=target(versions, paddle=build), **changes)


def model(name: str, *missing: str, size_mb: int = 100) -> CachedModel:
    return CachedModel(name, f"/home/somebody/.paddlex/official_models/{name}", size_mb, missing)


def context(facts: Facts) -> Context:
    return context_of(facts, None)


# What is true of released versions, whatever the machine: notes for those who want to know.
OF_VERSIONS = (
    *(name for name in sources.VERSION_FAILURES if load_failure(name).quick == "note"),
    "multi-device-batch-starvation",
)


def problems(facts: Facts, lang: str = "en") -> dict[str, str]:
    """The quick findings that are neither right nor silent, without the notes about released versions."""
    silent = (Status.OK, Status.SKIPPED, Status.BLOCKED)
    found = {
        f.id: f.status.value for f in worded(run_checks(context(facts), ALL), lang) if f.status not in silent
    }
    return {name: status for name, status in found.items() if (name, status) not in _NOTES}


_NOTES = {(name, "note") for name in OF_VERSIONS}


def published(facts: Facts, patch: str) -> Facts:
    """Leave the files of one patch as they were published."""
    assert facts.target is not None
    originals = hashes(facts.target.version_of("paddlex") or "", patched=False)
    others = (f for f in facts.patched_files if f.patch != patch)
    return replace(facts, patched_files=(*others, *(f for f in originals if f.patch == patch)))
