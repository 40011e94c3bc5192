"""A repair waits for those who read the packages before it changes them."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

from environments import python_in
from paddlevl_doctor.fix.lock import locked
from paddlevl_doctor.fix.transaction import apply_plan
from paddlevl_doctor.system.machine import RealSystem
from paddlevl_doctor.values.plan import Plan
from small_target import Former, Where, build, install, write_wheel


def test_packages_change_only_after_the_last_reader_of_them_ended(tmp_path: Path) -> None:
    for version in ("1.0", "2.0"):
        write_wheel(tmp_path, version)
    project = tmp_path / "project"
    site = build(project, Former("3.7.2", "1.0", 0o644, "files", "absent"), tmp_path)
    seen: list[str] = []
    with locked(project / ".venv"):
        apply_plan(
            RealSystem(),
            Plan((install(Where(project, tmp_path, 1)),)),
            project / ".venv",
            python_in(project / ".venv"),
            lambda _: nullcontext(),
            ready=lambda: seen.append((site / "tiny" / "__init__.py").read_text(encoding="utf-8")),
        )
    assert seen == ["version = '1.0'\n"]
    assert (site / "tiny" / "__init__.py").read_text(encoding="utf-8") == "version = '2.0'\n"
