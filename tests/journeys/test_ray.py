"""Reading and looking on a real Ray cluster, one node of which is killed half way, and so is who asked for it."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from xml.etree import ElementTree

import pytest
import uv
from ray.cluster_utils import Cluster

import documents
import environments
import paddlevl_doctor
from doctor import doctor, environment, start_doctor
from native_desk import PROBES, WRITE_CACHE
from waiting import until

pytestmark = pytest.mark.xdist_group("ray")
NAMES = ("left/0.png", "left/1.png", "left/2.png", "right/0.png", "right/1.png", "right/2.png")
WRITTEN = (
    *("page.md", "page.json", "page.tables.xlsx"),
    *("page.layout.pdf", "page.order.pdf", "report.html"),
)
WORDS = {name: f"SHEET {21 + number}" for number, name in enumerate(NAMES)}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the nodes look for models."""
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def cluster(models: Path) -> Iterator[Cluster]:
    """A head without room for tasks, and a node with room for one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_DISABLE_IMPORT_WARNING", "1")
        patch.setenv("PADDLE_PDX_CACHE_HOME", str(models))
        with pytest.MonkeyPatch.context() as start:
            start.chdir(models)  # a .venv in the folder of the tests would be the target of the nodes
            made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
            made.add_node(num_cpus=1)
        yield made
        made.shutdown()


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    for name, words in WORDS.items():
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        documents.page(words).save(path)
    return tmp_path


def words(cluster: Cluster, *more: str | Path) -> tuple[str | Path, ...]:
    """Results lie among the documents, so that every run sees those of the one before."""
    base = ("parse", "in", "--ray", cluster.address, "--output", "in/out", "--format", "json")
    return (*base, "--engine", "reader", *more)


def lines(folder: Path, least: int = 0) -> list[str]:
    """Return the whole lines that are written, as soon as there are so many."""
    path = folder / "in" / "out" / "documents.jsonl"
    for _ in range(1200):
        found = path.read_text("utf-8").splitlines(keepends=True) if path.exists() else []
        if len(found) >= least:
            return [line for line in found if line.endswith("\n")]
        time.sleep(0.1)
    raise TimeoutError(f"{len(found)} of {least} lines")


def read(folder: Path, name: str) -> str:
    """Return what was read of a document."""
    path = folder / "in" / "out" / name / f"{Path(name).stem}.json"
    (page,) = json.loads(path.read_text("utf-8"))["pages"]
    return " ".join(block["text"] for block in page["blocks"])


def test_no_kill_loses_a_document_and_no_run_reads_one_twice(cluster: Cluster, shared: Path) -> None:
    second = cluster.add_node(num_cpus=1)
    killed = start_doctor(*words(cluster), cwd=shared)
    first = lines(shared, 1)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    run = start_doctor(*words(cluster, "--resume"), cwd=shared)
    lines(shared, len(first) + 2)
    cluster.remove_node(second, allow_graceful=False)
    said, errors = run.communicate(timeout=300)
    assert run.returncode == 0, errors
    report = json.loads(said)
    again = doctor(*words(cluster, "--resume"), cwd=shared)

    assert {name: read(shared, name) for name in NAMES} == WORDS
    assert report["resumed"] >= len(first)
    assert (again.code, again.document["resumed"]) == (0, len(NAMES)), again.stderr
    assert again.document["documents"] == report["documents"]
    assert [d["results"] for d in report["documents"]] == list(NAMES)
    written = [json.loads(line) for line in lines(shared)]
    assert sorted(written, key=lambda d: d["results"]) == report["documents"]
    assert all(json.loads(line) in written for line in first)


def test_a_document_is_read_natively_and_its_line_says_what_the_next_program_needs(
    cluster: Cluster, models: Path, tmp_path: Path
) -> None:
    venv = environments.environment("set-2025-11")
    page = tmp_path / "in" / "page.png"
    page.parent.mkdir()
    argv = [environments.python_in(venv), "-c", WRITE_CACHE, PROBES, models, page]
    subprocess.run(argv, env=environments.variables(venv), check=True, capture_output=True)
    (tmp_path / "env").symlink_to(venv)
    environments.lend_bytecode("set-2025-11", tmp_path / "env")
    native = ("--engine", "native", "--require", "native", "--venv", "env", "--keep-warm", "0")
    answer = doctor(*words(cluster, *native, "--witness", "none"), cwd=tmp_path)
    assert answer.code == 0, answer.stdout
    (document,) = answer.document["documents"]
    out = tmp_path / "in" / "out" / "page.png"

    assert document == {
        "input": page.as_uri(),
        "version": f"{page.stat().st_size} {page.stat().st_mtime}",
        "node": platform.node(),
        "passed": True,
        "pages": 1,
        "seconds": document["seconds"],
        "engine": "native",
        "device": "cpu",
        "summary": "Not evaluated: there is no ground truth to compare with (give one with --expect PATH).",
        "reasons": [],
        "requested_engine": "native",
        "reason": "",
        "judged": False,
        "similarity": None,
        "threshold": None,
        "outputs": [str(out / name) for name in WRITTEN],
        "incidents": [],
        "key": document["key"],
        "results": "page.png",
    }
    assert all(Path(path).is_file() for path in document["outputs"])
    assert "TL:blue TR:green" in (out / "page.md").read_text("utf-8")
    assert [json.loads(line) for line in lines(tmp_path)] == [document]


def test_documents_come_from_an_archive_behind_a_chain_and_go_to_a_url(
    cluster: Cluster, tmp_path: Path
) -> None:
    documents.page("SHEET 21").save(tmp_path / "page.png")
    with zipfile.ZipFile(tmp_path / "in.zip", "w") as archive:
        archive.write(tmp_path / "page.png", "some/page.png")
        archive.write(tmp_path / "page.png", "some/lost/page.png")
    (tmp_path / "truths" / "lost").mkdir(parents=True)
    for text in ("page.md", "lost/page.png.md"):
        (tmp_path / "truths" / text).write_text("SHEET 21\n", "utf-8")
    argv = (
        "parse",
        "zip://some::in.zip",
        "--ray",
        cluster.address,
        "--engine",
        "reader",
        "--expect",
        "truths",
    )
    answer = doctor(*argv, "--output", (tmp_path / "store").as_uri(), "--format", "junit", cwd=tmp_path)

    assert answer.code == 0, answer.stderr
    cases = [case.get("name") for case in ElementTree.fromstring(answer.stdout).iter("testcase")]  # noqa: S314 - our own
    assert cases == ["lost/page.png", "page.png", "engine reader"]
    assert "SHEET 21" in (tmp_path / "store" / "lost" / "page.png" / "page.md").read_text("utf-8")
    assert sorted(os.listdir(tmp_path / "store")) == ["documents.jsonl", "lost", "page.png"]
    rows = [json.loads(line) for line in (tmp_path / "store" / "documents.jsonl").read_text().splitlines()]
    zipped = f"{tmp_path / 'in.zip'}"
    assert sorted((row["input"], row["results"], row["similarity"]) for row in rows) == [
        (f"zip://some/lost/page.png::{zipped}", "lost/page.png", 1.0),
        (f"zip://some/page.png::{zipped}", "page.png", 1.0),
    ]


def test_every_node_is_looked_at_in_the_way_that_was_asked_for(cluster: Cluster, tmp_path: Path) -> None:
    ray = ("check", "--ray", cluster.address, "--only", "target-environment")
    answer = doctor(*ray, "--format", "json", cwd=tmp_path)
    table = doctor(*ray, cwd=tmp_path)
    junit = doctor(*ray, "--format", "junit", cwd=tmp_path)
    found = [node["document"]["findings"] for node in answer.document["nodes"]]

    assert (answer.code, table.code, junit.code) == (1, 1, 1), "there is no target on them"
    assert [[finding["id"] for finding in findings] for findings in found] == [["target-environment"]] * 2
    assert [(n["status"], [p.split(":")[0] for p in n["problems"]]) for n in answer.document["nodes"]] == [
        ("error", ["target-environment"])
    ] * 2
    assert table.stdout.count("target-environment: ") == 2
    suites = list(ElementTree.fromstring(junit.stdout))  # noqa: S314 - our own
    assert [[case.get("name") for case in suite] for suite in suites] == [["target-environment"]] * 2


@contextlib.contextmanager
def bare_node(cluster: Cluster, folder: Path) -> Iterator[None]:
    """A node whose Python is the same, with Ray and nothing of the doctor."""
    tool, env = uv.find_uv_bin(), environment(folder)
    python = environments.python_in(folder)
    subprocess.run([tool, "venv", "--quiet", "--python", sys.executable, folder], check=True, env=env)
    packages = f"ray=={metadata.version('ray')}"
    subprocess.run([tool, "pip", "install", "--quiet", "--python", python, packages], check=True, env=env)
    argv = [python.with_name("ray"), "start", f"--address={cluster.address}", "--num-cpus=1", "--block"]
    before = len(alive(cluster))
    node = subprocess.Popen(argv, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until(lambda: len(alive(cluster)) > before or node.poll() is not None, every=0.2)
        assert node.poll() is None, "the node did not start"
        yield
    finally:
        node.terminate()
        node.wait()


def alive(cluster: Cluster) -> list[object]:
    return [node for node in cluster.global_state.node_table() if node["Alive"]]


def test_a_node_without_the_doctor_is_named_before_anything_is_read(cluster: Cluster, shared: Path) -> None:
    with bare_node(cluster, shared / "bare"):
        reading = doctor(*words(cluster), cwd=shared)
        looking = doctor("check", "--ray", cluster.address, "--format", "github", cwd=shared)
    version = paddlevl_doctor.__version__
    sentence = (
        "Ray's Python has no paddlevl-doctor. Run there: "
        f"pip install 'paddlevl-doctor[ray,reader]=={version}'"
    )

    assert (reading.code, reading.document["error"]["message"].startswith("On the node ")) == (1, True)
    assert reading.stderr.endswith(f"{sentence}\n")
    assert not (shared / "in" / "out").exists()
    assert looking.code == 3
    assert [line.split("::")[2].endswith(sentence) for line in looking.stdout.splitlines()].count(True) == 1
