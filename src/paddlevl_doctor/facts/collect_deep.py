"""Collects the facts of the deep check: runs probes concurrently, and queries hubs, index page and model files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from paddlevl_doctor.facts.model_cache import altered_models
from paddlevl_doctor.facts.network import HubQuery, read_index_page
from paddlevl_doctor.facts.run_probes import probe_environment, run_concurrently, run_probe
from paddlevl_doctor.knowledge.visible_gpus import as_counted
from paddlevl_doctor.system.machine import System
from paddlevl_doctor.values.facts import DeepFacts, Facts, ProbeResult, Target, did_import, unending_import

PROBE_TIMEOUT = 300.0
"""Seconds for all probes. A self-test takes 4 s on two cores; a cold network disk makes it many times slower."""
_LEAST_TIMEOUT = 20.0
"""Seconds that a probe has in any case."""
HUB_TIMEOUT = 3.0
"""Seconds. PaddleX waits one second for each hub, which is too short for many proxies."""
MODULES = ("paddle", "paddlex", "paddleocr")

_Jobs = dict[str, tuple[str, tuple[str, ...]]]


def collect_deep(
    system: System,
    facts: Facts,
    devices: Sequence[str],
    *,
    ask_hubs: bool = False,
    index: str | None = None,
) -> DeepFacts:
    """Run the probes for these devices, at most as many at a time as there are processors.

    The three modules are imported in probes of their own only if no self-test could import them, and none tells which
    import does not end: these probes then show which module failed first. `index` is the URL of the page of CUDA
    wheels to read. `facts` must have a target.
    Never raises for the failure of a probe.
    """
    assert facts.target is not None  # noqa: S101 - commands/diagnose_deep.py checks this
    started = system.clock()
    hubs = HubQuery(system, HUB_TIMEOUT) if ask_hubs else None
    with ThreadPoolExecutor(2) as meanwhile:
        page = meanwhile.submit(read_index_page, system, index) if index else None
        models = meanwhile.submit(altered_models, system, facts.cache)
        results = _run(system, facts, facts.target, _jobs(facts.target, devices), started)
    selftests = [result for key, result in results.items() if key.startswith("selftest ")]
    if not any(map(did_import, selftests)) and not any(map(unending_import, selftests)):
        imports: _Jobs = {f"import {name}": ("imports", ("--only", name)) for name in MODULES}
        results.update(_run(system, facts, facts.target, imports, started))
    answers = hubs.answers() if hubs else ()
    listed = page.result() if page else None
    return DeepFacts(results, answers, round(system.clock() - started, 3), listed, models.result())


def _jobs(target: Target, devices: Sequence[str]) -> _Jobs:
    """Return the probes, the longest first."""
    jobs: _Jobs = {f"selftest {name}": ("selftest", ("--device", name)) for name in devices}
    jobs["kernels"] = ("kernels", ("--devices", ",".join(dict.fromkeys(("cpu", *devices)))))
    if target.version_of("torch") is not None:
        jobs["torch-first"] = ("imports", ("--only", "torch,paddle"))
        jobs["paddle-first"] = ("imports", ("--only", "paddle,torch"))
    jobs["installed_files"] = ("installed_files", ())
    return jobs


def _run(system: System, facts: Facts, target: Target, jobs: _Jobs, started: float) -> dict[str, ProbeResult]:
    """Run the probes; what is left of PROBE_TIMEOUT since `started` is the limit of each."""
    environment = as_counted(facts.gpus, probe_environment(system, target))

    def run(name: str, args: tuple[str, ...]) -> ProbeResult:
        left = max(_LEAST_TIMEOUT, PROBE_TIMEOUT - (system.clock() - started))
        return run_probe(system, target.python, name, args, left, environment)

    calls: dict[str, Callable[[], ProbeResult]] = {key: partial(run, *job) for key, job in jobs.items()}
    return run_concurrently(calls, system.cpu_count())
