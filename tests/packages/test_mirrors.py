"""Mirrors are measured with a real wheel; one that lies, stalls or has no wheel is not chosen."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from broken_server import Broken, Manners, broken_server
from doctor import doctor
from paddlevl_doctor.knowledge.resource_estimates import smallest_wheel
from paddlevl_doctor.packages import indexes as module
from paddlevl_doctor.packages.indexes import choose_index, known_mirrors
from paddlevl_doctor.packages.mirrors import measure_mirrors
from paddlevl_doctor.packages.request import Request
from paddlevl_doctor.packages.server_rates import ServerRate
from paddlevl_doctor.system.machine import RealSystem
from paddlevl_doctor.values.errors import UsageError
from wheels import index

LEAST = smallest_wheel("cpu") // 2
WHEEL = ("paddlepaddle-3.2.2-cp312-cp312-win_amd64.whl", b"PK\3\4" + bytes(smallest_wheel("cpu")))
FILES = index(WHEEL, hashes=False)
PAGE = "simple/paddlepaddle/"
KINDS = {
    "slow": Manners(rate=500_000),
    "fast": Manners(rate=5_000_000),
    "very-slow": Manners(rate=15_000),
    "empty": Manners(body=b""),
    "page": Manners(body=b"<html>" + bytes(LEAST)),
    "small": Manners(body=b"PK" + bytes(100)),
    "far-too-small": Manners(body=b"PK" + bytes(100_000)),
    "cut": Manners(cut_after=100_000),
    "refuses": Manners(status=403),
    "stalls": Manners(stall_after=10),
}


@contextlib.contextmanager
def servers(*kinds: str) -> Iterator[dict[str, Broken]]:
    with contextlib.ExitStack() as stack:
        yield {
            kind: stack.enter_context(broken_server(FILES, KINDS[kind], only_files=True)) for kind in kinds
        }


def measure(mirrors: dict[str, str], timeout: float) -> tuple[ServerRate, ...]:
    return measure_mirrors(mirrors, "paddlepaddle", "3.2.2", timeout=timeout, least=LEAST)


def urls(running: dict[str, Broken]) -> dict[str, str]:
    return {name: server.url("simple") for name, server in running.items()}


def test_the_fastest_that_has_the_wheel_comes_first_and_the_others_say_why_not() -> None:
    with servers(*KINDS) as running, broken_server({}) as nothing, broken_server({PAGE: b""}) as bare:
        asked = {**urls(running), "nothing": nothing.url("simple"), "bare": bare.url("simple/")}
        found = measure(asked, timeout=2)
    assert [mirror.name for mirror in found[:3]] == ["fast", "slow", "very-slow"]
    assert all(mirror.bytes_per_second and mirror.reason is None for mirror in found[:3])
    assert {mirror.name: str(mirror.reason) for mirror in found[3:]} == {
        "empty": "0 bytes are too few for this wheel",
        "page": "the response is not a wheel",
        "small": "102 bytes are too few for this wheel",
        "far-too-small": "100002 bytes are too few for this wheel",
        "cut": "cut off after 100000 bytes",
        "refuses": "HTTP 403",
        "stalls": "no answer within 2 s",
        "nothing": "HTTP 404",
        "bare": "does not list the wheel",
    }


def test_no_more_than_the_beginning_is_read() -> None:
    with broken_server(FILES) as server:
        (found,) = measure({"here": server.url("simple")}, timeout=5)
        ranges = [asked for path, asked in server.asked if path.startswith("/files/")]
    assert (found.reason, ranges) == (None, ["bytes=0-1048575"])


@pytest.mark.parametrize("unsaid", [False, True], ids=["with-a-length", "without-one"])
def test_a_body_that_ends_too_early_is_not_believed_whatever_was_promised(unsaid: bool) -> None:
    """An honest length that is too short, and a body without any length that simply ends."""
    short = Manners(body=b"PK" + bytes(100_000), ranges=False, unsaid=unsaid)
    with broken_server(FILES, short, only_files=True) as server:
        (found,) = measure({"short": server.url("simple")}, timeout=2)
    assert (found.bytes_per_second, str(found.reason)) == (None, "100002 bytes are too few for this wheel")


def test_a_slow_line_is_shown_by_its_rate_and_a_page_that_does_not_come_too() -> None:
    padded = {**FILES, PAGE: FILES[PAGE] + b" " * 100_000}
    with broken_server(FILES, Manners(rate=15_000), only_files=True) as slow:
        (found,) = measure({"slow": slow.url("simple")}, timeout=2)
    with broken_server(padded, Manners(rate=15_000)) as page:
        (late,) = measure({"late": page.url("simple")}, timeout=2)
    assert re.fullmatch(r"slow: \d+\.\d kB/s", str(found)), found
    assert re.fullmatch(r"only \d+ bytes per second", str(late.reason)), late


def test_auto_takes_the_fastest_and_shows_the_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    with servers("slow", "fast", "refuses") as running:
        monkeypatch.setattr(module, "known_mirrors", lambda: urls(running))
        chosen = choose_index(RealSystem(), Request(index="auto"), "3.2.2", timeout=3)
        assert chosen.request.index == running["fast"].url("simple")
    assert "refuses: HTTP 403" in str(chosen.notes[0])


def test_where_no_mirror_answers_the_default_index_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    with servers("refuses") as running:
        monkeypatch.setattr(module, "known_mirrors", lambda: urls(running))
        chosen = choose_index(RealSystem(), Request(index="auto"), "3.2.2", timeout=3)
    assert chosen.request.index is None
    assert [mirror.reason for mirror in chosen.mirrors] == ["HTTP 403"]


def test_a_mirror_is_named_by_its_name_or_its_url() -> None:
    assert choose_index(RealSystem(), Request(index="tuna"), "3").request.index == known_mirrors()["tuna"]
    assert (
        choose_index(RealSystem(), Request(index="http://a/simple"), "3").request.index == "http://a/simple"
    )
    with pytest.raises(UsageError, match="one of: auto, tuna, aliyun, ustc, tencent"):
        choose_index(RealSystem(), Request(index="nobody"), "3")


def test_the_index_of_pip_is_used_where_uv_has_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    config = tmp_path / "pip.conf"
    config.write_text("[global]\nindex-url = http://somebody:secret@127.0.0.1/simple\n", encoding="utf-8")
    for name in ("PIP_INDEX_URL", "UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_INDEX"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", str(config))
    chosen = choose_index(RealSystem(), Request(), "3")
    assert chosen.request.index == "http://somebody:secret@127.0.0.1/simple"
    assert "secret" not in " ".join(map(str, chosen.notes))
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://other/simple")
    monkeypatch.setenv("UV_LINK_MODE", "copy")
    kept = choose_index(RealSystem(), Request(), "3")
    assert kept.request.index is None
    assert "UV_DEFAULT_INDEX=http://other/simple, UV_LINK_MODE=copy" in str(kept.notes[0])


def test_the_plan_shows_what_uv_will_follow(tmp_path: Path) -> None:
    env = {"UV_LINK_MODE": "copy", "UV_DEFAULT_INDEX": "http://user:word@127.0.0.1:9/simple"}
    plan = doctor("fix", "--format", "json", cwd=tmp_path, env=env)
    (step,) = [s for s in plan.document["plan"]["steps"] if s["kind"] == "install-packages"]
    shown = step["arguments"]["reasons"][-1]
    assert "UV_LINK_MODE=copy" in shown
    assert "word" not in plan.stdout


def test_the_links_of_a_page_that_has_moved_are_relative_to_where_it_is_now() -> None:
    page = f'<a href="../files/{WHEEL[0]}">{WHEEL[0]}</a>'.encode()
    with broken_server({"deep/down/": page, f"deep/files/{WHEEL[0]}": WHEEL[1]}) as server:
        server.moved[PAGE] = "/deep/down/"
        (found,) = measure({"here": server.url("simple")}, timeout=5)
    assert (found.reason, bool(found.bytes_per_second)) == (None, True)
