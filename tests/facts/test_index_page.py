"""The index page at run time: what it lists, where it differs from what is known, and what is not believed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from doctor import doctor
from fake_system import FakeSystem
from paddle_index import PaddleIndex, paddle_index
from paddlevl_doctor.commands.matrix import MatrixRequest, matrix
from paddlevl_doctor.facts.network import read_index_page, wheels_on
from paddlevl_doctor.knowledge.install_options import InstallOption
from paddlevl_doctor.knowledge.selection_rules import RULES
from paddlevl_doctor.system.http import Reply
from paddlevl_doctor.system.machine import RealSystem
from paddlevl_doctor.values.facts import PublishedWheel

CU126 = "https://www.paddlepaddle.org.cn/packages/stable/cu126/paddlepaddle-gpu/"


@pytest.fixture
def index() -> Iterator[PaddleIndex]:
    with paddle_index() as running:
        yield running


def links(*names: str) -> str:
    return "<html><body>" + "".join(f'<a href="{name}">{name}</a><br>' for name in names) + "</body></html>"


def wheel(version: str, python: str = "312", platform: str = "linux_x86_64") -> str:
    return f"paddlepaddle_gpu-{version}-cp{python}-cp{python}-{platform}.whl"


KNOWN = [wheel("3.2.0", python) for python in ("310", "312")]
KNOWN += [wheel("3.2.1", python) for python in ("39", "310", "311", "312", "313")]


def ask(reply: Reply, python: str = "3.12") -> InstallOption:
    """Ask for a T4 on Linux while the page answers like this."""
    request = MatrixRequest(platform="linux", gpus=("T4",), python=python, online=True)
    return matrix(FakeSystem(replies={f"GET {CU126}": reply}), request)


CASES = {
    "as known": (Reply(200, links(*KNOWN)), "confirmed", ["index-confirms"], ("3.2.0", "3.2.1")),
    "newer wheels too": (
        Reply(200, links(*KNOWN, wheel("3.3.1"))),
        "confirmed",
        ["index-confirms", "index-more"],
        ("3.2.0", "3.2.1", "3.3.1"),
    ),
    "an older one is gone": (
        Reply(200, links(*KNOWN[1:])),
        "differs",
        ["index-confirms", "index-fewer"],
        ("3.2.0", "3.2.1"),
    ),
    "the chosen one is gone": (
        Reply(200, links(*KNOWN[:2])),
        "differs",
        ["index-lacks", "index-fewer"],
        ("3.2.0",),
    ),
    "an empty page with 200": (Reply(200, links()), "empty", ["index-empty"], ()),
    "a page of other things": (Reply(200, links("numpy-2.3.5.tar.gz")), "empty", ["index-empty"], ()),
    "refused by a wall": (Reply(403, "forbidden"), "unreachable", ["index-unreachable"], ()),
    "no network": (Reply(None, error="timeout"), "unreachable", ["index-unreachable"], ()),
}


@pytest.mark.parametrize("name", CASES)
def test_the_page_confirms_or_differs_and_the_answer_stands_in_either_case(name: str) -> None:
    reply, state, rules, versions = CASES[name]
    answer = ask(reply)
    look = answer.index
    assert look is not None
    assert (look.url, look.state, look.versions) == (CU126, state, versions)
    assert [said.rule for said in look.texts] == rules
    assert (answer.possible, answer.wheel.requirement) == (True, "paddlepaddle-gpu==3.2.1")


def test_what_differs_is_named() -> None:
    look = ask(Reply(200, links(*KNOWN[:2], wheel("3.3.1", "313")))).index
    assert look is not None
    assert [said.text("en") for said in look.texts] == [
        "The page has no paddlepaddle-gpu 3.2.1 for Python 3.12 on linux. It has: 3.2.0.",
        "The page no longer has these known wheels: 3.2.1 (3.9, 3.10, 3.11, 3.12, 3.13). Please report this.",
        "The page has wheels that paddlevl-doctor does not know: 3.3.1 (3.13). No set uses them.",
    ]


def test_a_wheel_that_the_page_lists_is_no_longer_said_to_be_unseen() -> None:
    request = {"platform": "linux", "gpus": ("RTX 5090",), "python": "3.13"}
    page = "https://www.paddlepaddle.org.cn/packages/stable/cu129/paddlepaddle-gpu/"
    listed = Reply(200, links(wheel("3.2.1"), wheel("3.2.1", "313")))
    unasked = matrix(FakeSystem(), MatrixRequest(**request))  # type: ignore[arg-type]
    asked = matrix(FakeSystem(replies={f"GET {page}": listed}), MatrixRequest(**request, online=True))  # type: ignore[arg-type]
    assert "wheel-not-seen" in [said.rule for said in unasked.reasons]
    assert "wheel-not-seen" not in [said.rule for said in asked.reasons]


def test_without_the_option_and_for_the_default_index_no_page_is_asked() -> None:
    assert matrix(FakeSystem(), MatrixRequest(platform="linux", gpus=("T4",))).index is None
    assert matrix(FakeSystem(), MatrixRequest(platform="macos", online=True)).index is None


def test_a_real_page_is_read_over_http(index: PaddleIndex) -> None:
    page = read_index_page(RealSystem(), index.page("cu129"))
    assert page.problem == ""
    assert PublishedWheel("3.2.1", "windows", "x86_64", "3.13") in page.wheels
    assert len(page.wheels) == len(index.pages["/packages/stable/cu129/paddlepaddle-gpu/"])
    assert read_index_page(RealSystem(), index.page("cu130")).wheels == ()


def test_a_page_where_nothing_listens_is_a_problem_and_no_error(index: PaddleIndex) -> None:
    address = re.sub(r":\d+/", ":9/", index.page("cu126"))
    assert read_index_page(RealSystem(), address).problem != ""


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        (
            "<a HREF='https://host/x/paddlepaddle_gpu-3.3.1-cp313-cp313-win_amd64.whl#sha256=ab'>x</a>",
            [PublishedWheel("3.3.1", "windows", "x86_64", "3.13")],
        ),
        (
            links("paddlepaddle_gpu-3.4.0.post20260612%2B99af93f9466-cp312-cp312-linux_aarch64.whl"),
            [PublishedWheel("3.4.0.post20260612+99af93f9466", "linux", "aarch64", "3.12")],
        ),
        (
            links("paddlepaddle_gpu-3.0.0-cp310-cp310-manylinux1_x86_64.whl"),
            [PublishedWheel("3.0.0", "linux", "x86_64", "3.10")],
        ),
        (links("paddlepaddle-3.2.2-cp312-cp312-linux_x86_64.whl", "paddlepaddle_gpu-3.2.2.tar.gz"), []),
        (links("paddlepaddle_gpu-oops.whl", "paddlepaddle_gpu-3.2.1-py3-none-any.whl"), []),
        ("\x00\xff<<<", []),
    ],
)
def test_links_are_read_in_every_spelling(page: str, expected: list[PublishedWheel]) -> None:
    assert list(wheels_on(page)) == expected


def test_every_rule_about_the_page_is_said_here() -> None:
    said = {rule for _, _, rules, _ in CASES.values() for rule in rules}
    assert said == {rule for rule in RULES if rule.startswith("index-")}


def test_the_command_takes_the_option_and_describes_what_the_page_said(tmp_path: Path) -> None:
    nowhere = {"https_proxy": "http://127.0.0.1:9", "HTTPS_PROXY": "http://127.0.0.1:9", "NO_PROXY": ""}
    words = ("matrix", "--for", "kaggle", "--online")
    answer = doctor(*words, "--format", "json", cwd=tmp_path, env={**nowhere, "no_proxy": ""})
    look = answer.document["index"]
    assert (answer.code, look["url"], look["state"]) == (0, CU126, "unreachable")
    assert [rule["rule"] for rule in look["rules"]] == ["index-unreachable"]
    shown = doctor(*words, cwd=tmp_path, env={**nowhere, "no_proxy": ""}).stdout
    assert f"The index page {CU126}" in shown
    assert "the known data is used" in shown
