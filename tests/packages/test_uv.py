"""How uv is called and understood: its changes, its reasons, and the versions that an index does not have."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fake_system import FakeSystem
from paddlevl_doctor.packages.uv import Change, UvError, command, install, parse_changes, run_uv
from paddlevl_doctor.system.machine import Completed

DRY_RUN = """Using Python 3.11.7 environment at: .venv
Resolved 2 packages in 241ms
Would uninstall 2 packages
Would install 3 packages
 - numpy==2.4.6
 + numpy==2.3.5
 - tabulate==0.9.0
 + einops==0.8.1
 ~ paddlex==3.7.2
"""
NO_SOLUTION = (
    "error: No solution found when resolving dependencies\n  cause: there is no version of pandas==3.1.1"
)
WORDS = ("uv", "pip", "install", "--requirements", "/data/tested.txt", "paddlex==3.7.2")


def test_every_kind_of_change_is_read() -> None:
    changes = parse_changes(DRY_RUN)
    assert changes == (
        Change("einops", None, "0.8.1"),
        Change("numpy", "2.4.6", "2.3.5"),
        Change("paddlex", "3.7.2", "3.7.2"),
        Change("tabulate", "0.9.0", None),
    )
    assert [str(change) for change in changes[:2]] == ["+ einops 0.8.1", "~ numpy 2.4.6 -> 2.3.5"]
    assert str(changes[3]) == "- tabulate 0.9.0"


def answering(**stderr_of: str) -> FakeSystem:
    """A machine on which uv fails with the given words for a command, by the command's length."""
    known = (WORDS, WORDS[:3] + WORDS[5:])
    answers = {}
    for words, said in zip(known, stderr_of.values(), strict=False):
        answers[command(words)] = Completed(command(words), 1 if said else 0, stderr=said)
    return FakeSystem(commands=answers)


@pytest.mark.parametrize(
    ("said", "hint"),
    [
        (
            "error: Request failed after 3 retries\n  cause: error sending request for url\n  cause: dns error",
            "--mirror",
        ),
        ("error: failed to copy file\n  cause: No space left on device (os error 28)", "UV_CACHE_DIR"),
        (NO_SOLUTION, "pandas==3.1.1"),
    ],
)
def test_a_failure_says_what_uv_said_and_what_to_do(said: str, hint: str) -> None:
    with pytest.raises(UvError, match=hint):
        run_uv(answering(first=said), WORDS, timeout=1)


def test_the_tested_versions_are_taken_where_the_index_has_them() -> None:
    assert install(answering(first=""), WORDS).notes == ()


def test_where_it_has_not_the_newest_are_taken_and_that_is_said() -> None:
    (note,) = install(answering(first=NO_SOLUTION, second=""), WORDS).notes
    assert "newest" in str(note)


def test_any_other_failure_is_not_tried_again() -> None:
    with pytest.raises(UvError):
        install(answering(first="error: No space left on device (os error 28)"), WORDS)


def test_the_error_is_said_without_the_warnings_before_it_and_with_its_deepest_cause() -> None:
    noise = "warning: Failed to hardlink files; falling back to full copy\n"
    causes = "".join(f"  cause: number {n}\n" for n in range(20))
    machine = answering(first=f"{noise}error: Failed to install: a.whl\n{causes}  cause: os error 13\n")
    with pytest.raises(UvError) as raised:
        run_uv(machine, WORDS, timeout=1)
    shown = " ".join(f"cause: number {n}" for n in range(5))
    assert str(raised.value) == (
        f"`uv pip install` failed: error: Failed to install: a.whl {shown} … cause: number 19 cause: os error 13"
    )


NO_SPACE = "error: failed to copy file\n  cause: No space left on device (os error 28)"


@pytest.mark.parametrize(
    ("inodes", "free", "named"),
    [((3, 10_000), 5_000, True), ((3, 10_000), 2, False), ((9_000, 10_000), 5_000, False), (None, 0, False)],
)
def test_a_file_system_without_inodes_is_not_called_full(
    inodes: tuple[int, int] | None, free: int, named: bool
) -> None:
    machine = replace(answering(first=NO_SPACE), inode_counts=inodes, disk_mb=free)
    with pytest.raises(UvError) as raised:
        run_uv(machine, WORDS, timeout=1)
    assert ("has no free inodes" in str(raised.value)) == named
    assert ("ran out of disk space" in str(raised.value)) != named


def test_a_cut_connection_is_no_reason_for_other_versions() -> None:
    cut = f"WARN `numpy==2.3.5` has an invalid package format: Failed to read from zip file\n{NO_SOLUTION}"
    with pytest.raises(UvError, match=r"cut while .* read numpy==2\.3\.5\. Run the same command again"):
        install(answering(first=cut), WORDS)
