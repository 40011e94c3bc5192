"""Whether Windows allows long paths is asked only where a path is long."""

from __future__ import annotations

import pytest

from checks_machines import CURRENT, target
from fake_system import FakeSystem
from paddlevl_doctor.facts.host import long_paths_allowed
from paddlevl_doctor.system.machine import Completed

ASK = ("reg", "query", r"HKLM\SYSTEM\CurrentControlSet\Control\FileSystem", "/v", "LongPathsEnabled")
DEEP = target(CURRENT, purelib="C:\\" + "x" * 130 + "\\Lib\\site-packages")
SHALLOW = target(CURRENT, purelib="C:\\venv\\Lib\\site-packages")


@pytest.mark.parametrize(
    ("answer", "allowed"),
    [
        (
            Completed(ASK, 0, "\r\nHKEY_LOCAL_MACHINE\\...\r\n    LongPathsEnabled    REG_DWORD    0x1\r\n"),
            True,
        ),
        (Completed(ASK, 0, "    LongPathsEnabled    REG_DWORD    0x0\r\n"), False),
        (Completed(ASK, 1, "", "ERROR: The system was unable to find the specified registry value"), None),
        (Completed(ASK, 0, ""), None),
    ],
)
def test_the_registry_answers_for_a_deep_installation(answer: Completed, allowed: bool | None) -> None:
    assert long_paths_allowed(FakeSystem(platform="win32", commands={ASK: answer}), DEEP) is allowed


def test_nothing_is_asked_where_no_path_is_long_or_nothing_limits_it() -> None:
    assert long_paths_allowed(FakeSystem(platform="win32"), SHALLOW) is None
    assert long_paths_allowed(FakeSystem(platform="win32"), None) is None
    assert long_paths_allowed(FakeSystem(), DEEP) is None
