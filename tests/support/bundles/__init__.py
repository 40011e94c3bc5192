"""Golden machines: recordings built from readable descriptions, and what the doctor has to say about them.

`python tests/support/bundles/__init__.py` prints what it says today, for whoever adds a rule.

One TOML file a machine: `[provenance]` (where its values were published), `[host]`, `[gpus]` and `[[gpus.device]]`
in the words of facts/model.py, `[[dlls]]` likewise, `[target]` with its Python (`prefix` where it lies on Windows),
`[target.versions]`, and for a CUDA wheel `cuda` and `architectures`; `patched = false` where the source patches are
not applied; `[deep]` with an error that the self-test met; `[expected]` with every finding that is no note about
released versions.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import tomli

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))

from checks_machines import distribution, hashes, machine, target
from paddlevl_doctor.facts.recording import Provenance, Recording
from paddlevl_doctor.values.facts import (
    DeepFacts,
    DllFolder,
    Facts,
    Gpu,
    Gpus,
    Host,
    ModelCache,
    PaddleBuild,
    PipelinesLink,
    ProbeResult,
)

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Golden:
    """A machine, and the findings (id to status) that its user needs to hear."""

    name: str
    recording: Recording
    expected: dict[str, str]


def names() -> list[str]:
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def golden(name: str) -> Golden:
    """Build the recording that a file describes."""
    source = tomli.loads((FOLDER / f"{name}.toml").read_text(encoding="utf-8"))
    provenance = Provenance(
        source["provenance"]["kind"], source["provenance"]["date"], tuple(source["provenance"]["sources"])
    )
    deep = _deep(source["deep"]) if "deep" in source else None
    recording = Recording(_facts(source), provenance, deep, deep is not None)
    return Golden(name, recording, source.get("expected", {}))


def _facts(source: dict[str, Any]) -> Facts:
    host = Host(
        **{"cpu_count": 8, "cpu_flags": ("avx", "avx2", "fma"), "memory_total_mb": 32000, **source["host"]}
    )
    described = source.get("target")
    versions = described["versions"] if described else {}
    patched = described.get("patched", True) if described else True
    paddlex = versions.get("paddlex", "")
    base = machine(
        versions,
        host=replace(host, cpu_flags=tuple(host.cpu_flags)),
        gpus=_gpus(source.get("gpus", {"reason": "no-library"})),
        target=_target(described) if described else None,
        patched_files=hashes(paddlex, patched=patched) if paddlex else (),
        settings=source.get("settings", {}),
        dlls=_dlls(source),
    )
    if host.system == "windows" and described:
        base = replace(base, cache=ModelCache(r"C:\Users\somebody\.paddlex"), pipelines=_junction(base))
    return base if described else replace(base, pipelines=None)


def _dlls(source: dict[str, Any]) -> tuple[DllFolder, ...] | None:
    folders = source.get("dlls")
    return None if folders is None else tuple(DllFolder(**{**f, "names": tuple(f["names"])}) for f in folders)


def _junction(facts: Facts) -> PipelinesLink:
    wanted = rf"{facts.target.purelib}\paddlex\configs\pipelines" if facts.target else ""
    return PipelinesLink(r"C:\Users\somebody\pages\pipelines", "right", wanted, wanted)


def _gpus(source: dict[str, Any]) -> Gpus:
    devices = tuple(Gpu(index, **device) for index, device in enumerate(source.pop("device", ())))
    return Gpus(devices, **source)


def _target(source: dict[str, Any]) -> Any:
    cuda = source.get("cuda")
    gpu = "paddlepaddle-gpu" in source["versions"]
    version = source["versions"].get("paddlepaddle-gpu" if gpu else "paddlepaddle", "0")
    build = PaddleBuild(version, cuda, "9.5" if cuda else None, tuple(source.get("architectures", ())))
    requires = {name: tuple(lines) for name, lines in source.get("requires", {}).items()}
    rows = (distribution(*item) for item in source["versions"].items())
    prefix = source.get("prefix")
    places = {
        "prefix": prefix,
        "python": rf"{prefix}\Scripts\python.exe",
        "base_prefix": r"C:\Users\somebody\AppData\Local\Programs\Python\Python312",
        "purelib": rf"{prefix}\Lib\site-packages",
        "platlib": rf"{prefix}\Lib\site-packages",
    }
    return target(
        source["versions"],
        **(places if prefix else {}),
        version=source["python"],
        paddle=build if version != "0" else None,
        missing_libraries=tuple(source.get("missing_libraries", ())),
        distributions=tuple(replace(row, requires=requires.get(row.name, row.requires)) for row in rows),
    )


def _deep(source: dict[str, Any]) -> DeepFacts:
    """Describe a look in which the imports failed with these words."""
    kind, _, message = source["error"].partition(": ")
    error = {
        "type": kind,
        "message": message,
        "root": source["error"],
        "traceback": [source["error"]],
        "module": source["module"],
    }
    document = {"seconds": {"total": 2.0}, "error": error}
    failed = {"probe": "selftest", "ok": False, "parts": [], "queue_drill": None, **document}
    imported = {"probe": "imports", "versions": {}, **document}
    fine = {"probe": "imports", "versions": {}, "seconds": {"total": 2.0}, "error": None}
    documents: dict[str, dict[str, Any]] = {
        "selftest cpu": failed,
        "import paddle": fine,
        "import paddlex": imported,
        "import paddleocr": imported,
    }
    return DeepFacts(
        {key: ProbeResult("answered", data, "", 2.0) for key, data in documents.items()}, (), 4.0
    )


def main() -> None:
    """Print what the doctor says of every machine today."""
    from checks_machines import OF_VERSIONS
    from paddlevl_doctor.checks.deep import merge
    from paddlevl_doctor.commands.diagnose_deep import judge_deep
    from paddlevl_doctor.commands.judge_facts import examine_facts

    for name in names():
        recording = golden(name).recording
        examination = examine_facts(recording.facts, None)
        findings = examination.findings
        if recording.looked_deep:
            findings = merge(findings, judge_deep(examination, recording.deep))
        loud = [f for f in findings if f.status.value not in ("ok", "skipped", "blocked")]
        print(f"\n{name}")
        for f in loud:
            if f.id not in OF_VERSIONS:
                print(f'{f.id} = "{f.status.value}"   # {f.title}')


if __name__ == "__main__":
    main()
