"""What is chosen of a server, for tests of plans and of how plans look; on machines of `checks_machines`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import PurePosixPath

from checks_machines import context
from paddlevl_doctor.knowledge.catalogue import load_models, load_pipelines
from paddlevl_doctor.knowledge.servers import load_backends, load_server_memory
from paddlevl_doctor.knowledge.version_sets import load_sets
from paddlevl_doctor.serve.plan import Choice
from paddlevl_doctor.values.facts import Facts, Gpu

H200 = Gpu(0, "NVIDIA H200", "9.0", 143771, 143155)


def choice(name: str, facts: Facts, **changes: object) -> Choice:
    """Return the choice of this backend for PaddleOCR-VL 1.6 on a machine; `changes` replaces fields of it."""
    pipeline = next(p for p in load_pipelines() if p.paddlex == "PaddleOCR-VL-1.6")
    backend = load_backends()[name]
    chosen = Choice(
        backend,
        next(m for m in load_models() if m.name == pipeline.language_model),
        pipeline,
        8118,
        PurePosixPath("/srv/project/.venv-server"),
        backend.python,
        context(facts).wheel,
        next(one for one in load_sets() if one.default),
        load_server_memory(),
    )
    return replace(chosen, **changes)  # type: ignore[arg-type]
