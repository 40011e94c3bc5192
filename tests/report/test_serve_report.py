"""How `serve` looks to people: a plan that can be carried out, one that cannot, and a server that runs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from syrupy.assertion import SnapshotAssertion

from checks_machines import CURRENT, machine, with_gpu
from paddlevl_doctor.checks.server import judge_platform
from paddlevl_doctor.commands.serve import Running, ServeReport
from paddlevl_doctor.knowledge.servers import load_backends
from paddlevl_doctor.messages import set_language
from paddlevl_doctor.report.console import Screen
from paddlevl_doctor.report.serve import show
from paddlevl_doctor.serve.plan import choose_gpu, plan_server, refusal
from paddlevl_doctor.values.facts import Facts
from server_choices import H200, choice

ORIGINAL = "SubModules:\n  VLRecognition:\n    genai_config:\n      backend: native\n"


def report(backend: str, facts: Facts, original: str | None = None) -> ServeReport:
    known = load_backends()[backend]
    found = judge_platform(known, facts, choose_gpu(known, facts), refusal(known, facts))
    return ServeReport((found,), plan_server(choice(backend, facts, original=original), facts), dry_run=True)


def shown(answer: ServeReport, capsys: pytest.CaptureFixture[str], lang: str = "en") -> str:
    show(Screen(color=False, verbose=False, quiet=False, home=Path("/root"), lang=lang), answer)
    return capsys.readouterr().out


@pytest.mark.parametrize("lang", ["en", "zh"])
@pytest.mark.parametrize("name", ["with a GPU, no client yet", "no GPU, a client"])
def test_a_dry_run(
    name: str,
    lang: str,
    snapshot: SnapshotAssertion,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Who makes what, what starts what, why there are two environments, and what is left to the reader."""
    monkeypatch.setenv("COLUMNS", "100")
    set_language(lang)
    try:
        if name == "no GPU, a client":
            answer = report("vllm", machine(), ORIGINAL)
        else:
            answer = report("vllm", replace(with_gpu(CURRENT, H200), target=None))
        assert shown(answer, capsys, lang) == snapshot
    finally:
        set_language("en")


def test_a_configuration_that_the_server_reads_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    said = shown(report("fastdeploy", with_gpu(CURRENT, H200)), capsys)
    assert "reads a configuration file that this command writes: gpu-memory-utilization: 0.50" in said


@pytest.mark.parametrize(
    ("original", "last"),
    [
        (
            ORIGINAL,
            "      in another terminal: /srv/project/.venv/bin/paddleocr doc_parser -i page.png "
            "--paddlex_config paddleocr-vl-client.yaml",
        ),
        (None, "The client is not ready, so paddleocr-vl-client.yaml was not written: "),
    ],
    ids=["client ready", "no client"],
)
def test_a_server_that_runs_is_followed_by_what_to_do_with_it(
    original: str | None, last: str, capsys: pytest.CaptureFixture[str]
) -> None:
    planned = report("llama-cpp", machine() if original else machine(target=None), original)
    running = Running(1, "http://127.0.0.1:8118/v1", 12.3, "/srv/project/paddleocr-vl-server.log")
    lines = shown(replace(planned, running=running, dry_run=False), capsys).splitlines()
    ready = lines.index("Ready at http://127.0.0.1:8118/v1 after 12.3 s. Press Ctrl-C to stop it.")
    assert lines[ready + 1].startswith(last)
