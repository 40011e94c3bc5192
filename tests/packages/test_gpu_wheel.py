"""The CUDA wheel: where it is to be had, and that a plan takes it from here once it was fetched."""

from __future__ import annotations

import contextlib
import re
import sys
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from broken_server import Manners, broken_server
from checks_machines import T4, context, with_gpu
from paddlevl_doctor.checks import ALL
from paddlevl_doctor.checks.runner import run_checks
from paddlevl_doctor.commands import apply_plan
from paddlevl_doctor.commands.diagnose import TargetOptions, examine
from paddlevl_doctor.commands.fix import fix
from paddlevl_doctor.facts.host import collect_host
from paddlevl_doctor.fix.plan import build_plan
from paddlevl_doctor.fix.plan_input import PlanInput, Site
from paddlevl_doctor.fix.transaction import Applied
from paddlevl_doctor.knowledge.wheel_choice import WheelChoice
from paddlevl_doctor.packages import server_rates
from paddlevl_doctor.packages import wheel_cache as module
from paddlevl_doctor.packages.collect_wheels import WheelhouseSpec, export_wheelhouse
from paddlevl_doctor.packages.download import DownloadError, Limits
from paddlevl_doctor.packages.gpu_wheel import needs_gpu_wheel
from paddlevl_doctor.packages.http_range import DownloadRequest
from paddlevl_doctor.packages.request import Request
from paddlevl_doctor.packages.resolve import TargetPlatform
from paddlevl_doctor.packages.wheel_cache import gpu_wheel_request, linked_wheel, prefetch
from paddlevl_doctor.system.machine import RealSystem
from paddlevl_doctor.values.errors import DoctorError
from paddlevl_doctor.values.findings import no_bar
from paddlevl_doctor.values.plan import InstallPackages, Plan
from wheels import index, wheel

NAME, DATA = wheel("paddlepaddle-gpu", "3.2.1", tag="cp312-cp312-linux_x86_64", padding=300_000)
CHOICE = WheelChoice("paddlepaddle-gpu", "3.2.1", "cu126", None, "gpu:0", ())
QUICK = Limits(stall=60, attempts=2, pause=0.01)
COMMAND = ("uv", "pip", "install", "--find-links", "http://page/", "paddlepaddle-gpu==3.2.1", "numpy<2.4")
PLAN = Plan((InstallPackages(id="install-packages", summary="", commands=(COMMAND,)),))
PATCHES = ("use-doc-preprocessor", "queue-deadlock-on-error", "pipelines-link")
HOSTS = ["paddle-whl.cdn.bcebos.com", "paddle-whl.bj.bcebos.com"]


class LargeDisk(RealSystem):
    """This machine with room for the CUDA wheel, whatever else its disk holds."""

    def free_disk_mb(self, path: Path) -> int:
        return max(100_000, super().free_disk_mb(path) or 0)


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RealSystem:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return RealSystem()


@pytest.mark.parametrize(("name", "tag"), [("linux", "linux_x86_64"), ("windows", "win_amd64")])
def test_without_the_page_the_servers_behind_it_are_asked_by_name(name: str, tag: str) -> None:
    wanted = gpu_wheel_request(CHOICE, name, "3.12.4")
    assert wanted.name == f"paddlepaddle_gpu-3.2.1-cp312-cp312-{tag}.whl"
    assert wanted.urls == tuple(
        f"https://{host}/stable/cu126/paddlepaddle-gpu/{wanted.name}" for host in HOSTS
    )


def test_what_the_page_links_to_comes_first_with_its_hash() -> None:
    page = f'<a href="../files/{NAME}#sha256=00ff">{NAME}</a>'.encode()
    with broken_server({"flat/": page}) as server:
        wanted = gpu_wheel_request(replace(CHOICE, find_links=server.url("flat/")), "linux", "3.12")
        assert wanted.urls[0] == server.url(f"files/{NAME}#sha256=00ff")
        assert (len(wanted.urls), wanted.sha256) == (3, "00ff")
        assert wanted.tag == "cu126"
        assert linked_wheel(server.url("nothing/"), NAME) is None
        server.moved["old/page/"] = "/flat/"
        assert linked_wheel(server.url("old/page/"), NAME) == wanted.urls[0]


def wanted_from(url: str) -> DownloadRequest:
    return DownloadRequest(NAME, (url,), least=100_000, tag="cu126")


def test_the_plan_installs_the_file_that_was_fetched(system: RealSystem) -> None:
    assert needs_gpu_wheel(PLAN)
    with broken_server({NAME: DATA}, Manners(cut_after=120_000)) as server:
        done = prefetch(system, PLAN, wanted_from(server.url(NAME)), no_bar, QUICK)
    assert done.wheel == module.cache_folder(system, "cu126") / NAME
    assert done.wheel.read_bytes() == DATA
    (step,) = done.plan.steps
    assert step.commands == (("uv", "pip", "install", str(done.wheel), "numpy<2.4"),)


def test_the_fastest_server_that_has_it_gives_the_wheel_and_the_numbers_are_shown(
    system: RealSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first is slow, one is silent, one refuses: nobody waits for them, and what was fetched before is kept.

    The fastest answers as soon as the others were asked, and they have two seconds from then on: on a busy machine
    their threads may come late.
    """
    monkeypatch.setattr(server_rates, "_GRACE", 2.0)
    with contextlib.ExitStack() as stack:
        slow, silent, refusing, fast = (
            stack.enter_context(broken_server({NAME: DATA}, manners))
            for manners in (
                Manners(rate=20_000),
                Manners(stall_after=0),
                Manners(status=403),
                Manners(rate=3_000_000),
            )
        )
        urls = tuple(server.url(NAME) for server in (slow, silent, refusing, fast))
        began = DownloadRequest(NAME, urls[3:], least=100_000)
        fast.manners = replace(fast.manners, cut_after=40_000)
        with pytest.raises(DownloadError):
            prefetch(system, PLAN, began, no_bar, replace(QUICK, attempts=1))
        fast.manners = replace(
            fast.manners, cut_after=None, after=lambda: slow.sent and silent.asked and refusing.asked
        )
        done = prefetch(system, PLAN, replace(began, urls=urls), no_bar, QUICK)
        asked = [[said for _, said in server.asked] for server in (slow, silent, refusing, fast)]
    first = "bytes=0-1048575"
    assert asked == [[first], [first], [first], [None, first, "bytes=40000-"]]
    assert [one.url for one in done.measured][:2] == [urls[3], urls[0]]
    reasons = {one.url: str(one.reason) for one in done.measured}
    assert (reasons[urls[2]], "no answer within" in reasons[urls[1]]) == ("HTTP 403", True)
    numbers = str(done.plan.steps[0].reasons[-1])
    assert re.fullmatch(r"Servers of the CUDA wheel, measured now: 127.*B/s, 127.*B/s, .*", numbers)


def test_where_every_server_refuses_uv_is_left_to_it(system: RealSystem) -> None:
    with broken_server({}) as server:
        done = prefetch(system, PLAN, wanted_from(server.url(NAME)), no_bar, QUICK)
    assert (done.plan, done.wheel) == (PLAN, None)
    assert "HTTP 404" in str(done.trouble)


def test_a_line_that_does_not_hold_is_an_error_and_keeps_what_came(system: RealSystem) -> None:
    with broken_server({NAME: DATA}, Manners(cut_after=20_000)) as server, pytest.raises(DownloadError):
        prefetch(system, PLAN, wanted_from(server.url(NAME)), no_bar, QUICK)
    kept = module.cache_folder(system, "cu126") / f".{NAME}.part"
    assert kept.stat().st_size == 40_000


def test_wheels_of_two_cuda_lines_have_one_name_and_are_never_taken_for_each_other(
    system: RealSystem,
) -> None:
    """Neither a whole wheel that a failed repair left in the cache, nor a part of one."""
    other = wheel("paddlepaddle-gpu", "3.2.1", ["numpy"], tag="cp312-cp312-linux_x86_64", padding=299_000)
    assert other[0] == NAME
    with broken_server({NAME: DATA}) as old, broken_server({NAME: other[1]}) as new:
        first = prefetch(system, PLAN, wanted_from(old.url(NAME)), no_bar, QUICK)
        second = prefetch(system, PLAN, replace(wanted_from(new.url(NAME)), tag="cu129"), no_bar, QUICK)
    assert [done.wheel and done.wheel.read_bytes() for done in (first, second)] == [DATA, other[1]]


def test_the_wheel_is_removed_by_the_last_one_who_installs_from_it(system: RealSystem) -> None:
    with broken_server({NAME: DATA}) as server:
        one, two = (prefetch(system, PLAN, wanted_from(server.url(NAME)), no_bar, QUICK) for _ in range(2))
        assert len(server.asked) == 1
    assert one.wheel is not None
    one.wheel.with_name(f"{NAME}.killed.used").touch()  # what a killed process leaves
    assert one.lease is not None
    one.lease.end()
    assert one.wheel.read_bytes() == DATA
    assert two.lease is not None
    two.lease.end()
    assert [path.name for path in one.wheel.parent.iterdir() if path.suffix != ".lock"] == []


def test_a_cache_that_cannot_be_written_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(DoctorError, match=r"cannot be stored in .*: Not a directory\. Free some space"):
        prefetch(RealSystem(), PLAN, wanted_from("http://127.0.0.1:9/"), no_bar, QUICK)


def test_a_plan_from_a_wheelhouse_fetches_nothing() -> None:
    made = Request(wheelhouse="/h", interpreter="3.12")
    nothing = replace(with_gpu({}, T4), target=None)
    known = context(nothing)
    site = Site("/srv/.venv", "/srv/.venv/bin/python", exists=False)
    plans = [build_plan(PlanInput(known, run_checks(known, ALL), site, r)) for r in (made, Request())]
    assert [needs_gpu_wheel(plan) for plan in plans] == [False, True]


def test_a_plan_for_a_processor_needs_no_such_wheel() -> None:
    step = replace(PLAN.steps[0], commands=(("uv", "pip", "install", "paddlepaddle==3.2.2"),))
    assert not needs_gpu_wheel(Plan((step,)))


def test_fix_fetches_it_before_the_first_change_and_installs_that_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole command on a machine with a GPU: uv is given the file, and the cache is empty afterwards."""
    project, seen = tmp_path / "project", []
    project.mkdir()
    monkeypatch.chdir(project)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def apply(system: RealSystem, plan: Plan, *rest: Any) -> Applied:
        gate = rest[4]
        gate.after.append(examine(system, TargetOptions()))
        (step,) = [step for step in plan.steps if step.kind == "install-packages"]
        (path,) = [word for word in step.commands[0] if word.endswith(".whl")]
        seen.append((Path(path).read_bytes() == DATA, list(project.glob(".venv/bin"))))
        return Applied(1, ())

    monkeypatch.setattr(apply_plan, "apply_plan", apply)
    with broken_server({NAME: DATA, "flat/": b""}, Manners(cut_after=120_000)) as server:
        nowhere, here = server.url("nowhere"), server.url(NAME).replace("127.0.0.1", "localhost")
        wanted = DownloadRequest(NAME, (nowhere, here), least=100_000, tag="cu126")
        monkeypatch.setattr(apply_plan, "gpu_wheel_request", lambda *_: wanted)
        choice = replace(CHOICE, find_links=server.url("flat/"))
        monkeypatch.setattr("paddlevl_doctor.commands.judge_facts.choose_wheel", lambda *_: choice)
        done = fix(LargeDisk(), TargetOptions(), Request(), lambda _: nullcontext(), apply=True)
    assert seen == [(True, [])]
    cut = "cut off after 120000 bytes"
    assert [(one.url, str(one.reason)) for one in done.mirrors] == [(nowhere, "HTTP 404"), (here, cut)]
    assert re.fullmatch(
        rf"Servers of the CUDA wheel, .*: 127.*: HTTP 404, localhost:\d+: {cut}", str(done.note)
    )
    assert not (tmp_path / "cache/paddlevl-doctor/wheels/cu126" / NAME).exists()


def test_a_machine_with_a_gpu_is_installed_from_a_house_and_nobody_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole command, uv included; the house has small wheels under the published names."""
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    tags = f"cp{python.replace('.', '')}-cp{python.replace('.', '')}-linux_x86_64"
    names = ["paddleocr", "paddlex", "numpy", "safetensors", "setuptools"]
    versions = ["3.7.0", "3.7.2", "2.3.5", "0.8.0", "80.9.0"]
    gpu = wheel("paddlepaddle-gpu", "3.2.1", tag=tags)
    stack = [wheel(*row) for row in zip(names, versions, strict=True)]
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    host = collect_host(RealSystem())
    machine = TargetPlatform(host.system, host.machine, python, host.glibc)
    with broken_server({gpu[0]: gpu[1], "flat/": b"", **index(*stack)}) as server:
        large = DownloadRequest(gpu[0], (server.url(gpu[0]),), tag="cu126")
        wanted = ("paddlepaddle-gpu==3.2.1", *names)
        contents = WheelhouseSpec("current", wanted, machine, large=(large,), index=server.url("simple"))
        house = export_wheelhouse(RealSystem(), contents, tmp_path / "house").wheelhouse
        choice = replace(CHOICE, find_links=server.url("flat/"))
        monkeypatch.setattr("paddlevl_doctor.commands.judge_facts.choose_wheel", lambda *_: choice)
        server.asked.clear()
        asked = Request(wheelhouse=str(house.folder), skip=PATCHES)
        fix(LargeDisk(), TargetOptions(), asked, lambda _: nullcontext(), apply=True)
        assert server.asked == []
    made = tmp_path / ".venv" / f"lib/python{python}/site-packages"
    assert (made / "paddlepaddle_gpu-3.2.1.dist-info").is_dir()
