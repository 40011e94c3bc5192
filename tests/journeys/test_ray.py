"""Reading and looking on a real Ray cluster of two nodes, one of which is killed half way."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from ray.cluster_utils import Cluster

from doctor import doctor, environment
from parsing import documents

pytestmark = pytest.mark.xdist_group("ray")
COUNT = 8


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    """A head without room for tasks, and two nodes with room for one each."""
    monkeypatch.setenv("RAY_DISABLE_IMPORT_WARNING", "1")
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    made.nodes = [made.add_node(num_cpus=1) for _ in range(2)]
    yield made
    made.shutdown()


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(COUNT):
        documents.page(f"SHEET {21 + number}").save(folder / f"{number}.png")
    return tmp_path


def words(cluster: Cluster, *more: str) -> tuple[str, ...]:
    return ("parse", "in", "--ray", cluster.address, "--engine", "reader", "--output", "out", *more)


def read(folder: Path) -> list[str]:
    """Return what was read of every document, in order."""
    found = []
    for number in range(COUNT):
        page = json.loads((folder / "out" / f"{number}.png" / f"{number}.json").read_text("utf-8"))["pages"][
            0
        ]
        found.append(" ".join(block["text"] for block in page["blocks"]))
    return found


def test_a_node_that_is_killed_half_way_loses_no_document_and_the_next_run_reads_nothing_twice(
    cluster: Cluster, shared: Path
) -> None:
    argv = [sys.executable, "-m", "paddlevl_doctor", *words(cluster, "--format", "json")]
    pipe = subprocess.PIPE
    run = subprocess.Popen(argv, cwd=shared, env=environment(shared), stdout=pipe, stderr=pipe, text=True)
    lines = shared / "out" / "documents.jsonl"
    for _ in range(1200):
        if lines.exists() and len(lines.read_text().splitlines()) >= 2:
            break
        time.sleep(0.1)
    cluster.remove_node(cluster.nodes[0], allow_graceful=False)
    said, errors = run.communicate(timeout=300)
    assert run.returncode == 0, errors
    report = json.loads(said)
    again = doctor(*words(cluster, "--resume", "--format", "json"), cwd=shared)
    one = [str(Path("in", "0.png")) if word == "in" else word for word in words(cluster)]
    other = doctor(*one, "--resume", "--server-prompt", "other", "--format", "json", cwd=shared)

    assert read(shared) == [f"SHEET {21 + number}" for number in range(COUNT)]
    assert [d["passed"] for d in report["documents"]] == [True] * COUNT
    assert len(lines.read_text().splitlines()) == COUNT
    assert (again.code, again.document["resumed"]) == (0, COUNT)
    assert again.document["documents"] == report["documents"]
    assert (other.code, other.document["resumed"]) == (0, 0), "asked for in another way"


def test_every_node_is_looked_at_and_an_address_without_a_cluster_is_one_sentence(
    cluster: Cluster, tmp_path: Path
) -> None:
    answer = doctor("check", "--ray", cluster.address, "--format", "json", cwd=tmp_path)
    table = doctor("check", "--ray", cluster.address, cwd=tmp_path)
    nowhere = doctor("check", "--ray", "127.0.0.1:9", cwd=tmp_path)

    assert (answer.code, table.code) == (1, 1), "there is no target on them"
    assert [(n["status"], [p.split(":")[0] for p in n["problems"]]) for n in answer.document["nodes"]] == [
        ("error", ["target-environment"])
    ] * 3
    assert table.stdout.count("target-environment: ") == 3
    assert (nowhere.code, nowhere.stdout) == (1, "")
    assert nowhere.stderr.startswith("There is no Ray cluster at 127.0.0.1:9: ")


def test_documents_come_from_and_go_to_any_place_that_fsspec_knows(cluster: Cluster, shared: Path) -> None:
    argv = ("parse", (shared / "in" / "0.png").as_uri(), "--ray", cluster.address, "--engine", "reader")
    answer = doctor(*argv, "--output", (shared / "store").as_uri(), "--format", "json", cwd=shared)

    assert answer.code == 0, answer.stderr
    assert "SHEET 21" in (shared / "store" / "0.png" / "0.md").read_text("utf-8")
    assert (
        os.listdir(shared / "store") == ["0.png", "documents.jsonl"] or len(os.listdir(shared / "store")) == 2
    )
