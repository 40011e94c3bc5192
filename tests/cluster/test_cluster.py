"""The steps of `parse --ray` and `check --ray` before a task runs on a node, and their errors."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from ray._private.utils import check_version_info

from doctor import doctor
from fake_servers import listening
from paddlevl_doctor.cluster import connect
from paddlevl_doctor.cluster.ledger import Ledger
from paddlevl_doctor.cluster.node import DocumentTask, LimitedSystem
from paddlevl_doctor.cluster.parse import ResourceRequest, document_tasks
from paddlevl_doctor.cluster.storage import RemotePath
from paddlevl_doctor.commands.diagnose import TargetOptions
from paddlevl_doctor.messages import render
from paddlevl_doctor.parsing.run.report import ParseRequest
from paddlevl_doctor.system.machine import RealSystem
from paddlevl_doctor.values.errors import DoctorError, UsageError


def files(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)


def tasks(
    folder: Path, *inputs: str, ledger: Ledger | None = None, expect: str | None = None, **options: object
) -> list[DocumentTask]:
    output = RemotePath(str(folder / "out"))
    request = ParseRequest(tuple(str(folder / name) for name in inputs), Path("out"), **options)  # type: ignore[arg-type]
    return document_tasks(request, output, expect, ledger or Ledger.empty(output))


def results(folder: Path, *inputs: str, ledger: Ledger | None = None) -> dict[str, str]:
    found = tasks(folder, *inputs, ledger=ledger)
    return {task.display_name.removeprefix(f"{folder.as_uri()}/"): task.results for task in found}


def test_results_mirror_the_folders_of_the_documents_and_are_unique(tmp_path: Path) -> None:
    files(tmp_path, "rin/a/1.png", "rin/b/1.png", "rin/b/1.PNG", "other/1.png", "other/a/1.png")

    assert results(tmp_path, "rin", "other/1.png", "other") == {
        "rin/a/1.png": "a/1.png",
        "rin/b/1.PNG": "b/1.PNG",
        "rin/b/1.png": "b/1.png-2",
        "other/1.png": "1.png",
        "other/a/1.png": "a/1.png-2",
    }


def test_a_document_of_an_earlier_run_keeps_its_folder(tmp_path: Path) -> None:
    files(tmp_path, "a/1.png", "b/1.png")
    ledger = Ledger.empty(RemotePath(str(tmp_path / "out")))
    (first,) = tasks(tmp_path, "a")
    ledger.documents[first.display_name] = first.started("reader")

    assert results(tmp_path, "b", "a", ledger=ledger) == {"b/1.png": "1.png-2", "a/1.png": "1.png"}


def test_results_beside_the_documents_replace_no_document(tmp_path: Path) -> None:
    files(tmp_path, "out/1.png")

    assert results(tmp_path, "out") == {"out/1.png": "1.png-2"}


def test_options_that_affect_the_result_change_the_key(tmp_path: Path) -> None:
    files(tmp_path, "in/1.png", "truths/1.md", "one.md")
    usual: dict[str, object] = {}
    variants: list[dict[str, object]] = [
        {"pipeline": "OCR"},
        {"witness": "none"},
        {"server_model": "other"},
        {"expect": str(tmp_path / "truths")},
        {"expect": str(tmp_path / "one.md")},
        {"expect": str(tmp_path / "one.md"), "threshold": 0.5},
    ]
    keys = [tasks(tmp_path, "in", **variant)[0].key for variant in (usual, *variants)]  # type: ignore[arg-type]
    (tmp_path / "truths" / "1.md").write_text("something else")
    changed = tasks(tmp_path, "in", expect=str(tmp_path / "truths"))[0].key

    assert len({*keys, changed}) == len(variants) + 2
    assert tasks(tmp_path, "in", engine="native", require="native", device="cpu")[0].key == keys[0]


def test_ground_truths_are_found_in_a_folder_that_mirrors_the_documents(
    tmp_path: Path,
) -> None:
    documents = ("in/1.png", "in/2.png", "in/a/1.png", "in/a/2.png", "in/a/b/3.png")
    files(tmp_path, *documents, "truths/1.md", "truths/1.png.md", "truths/2.txt", "truths/a/2.png.md")
    files(tmp_path, "truths/3.md", "truths/a/b/4.md")
    truths = tmp_path / "truths"
    found = tasks(tmp_path, "in", expect=str(truths), threshold=0.9)

    assert {task.results: (task.expected and task.expected.display_name, task.missing) for task in found} == {
        "1.png": (str(truths / "1.png.md"), ""),
        "2.png": (str(truths / "2.txt"), ""),
        "a/1.png": (None, str(truths / "a/1.md")),
        "a/2.png": (str(truths / "a/2.png.md"), ""),
        "a/b/3.png": (None, str(truths / "a/b/3.md")),
    }


def test_a_threshold_without_a_ground_truth_is_a_usage_error(tmp_path: Path) -> None:
    files(tmp_path, "in/1.png")

    with pytest.raises(UsageError) as caught:
        tasks(tmp_path, "in", threshold=0.9)
    assert str(caught.value.message).startswith("--threshold needs a ground truth to compare with")


@pytest.mark.parametrize(
    ("inputs", "expect", "sentence"),
    [
        (("in", "empty"), None, "There is no image and no PDF in {folder}/empty."),
        (("none",), None, "{folder}/none cannot be read: No such file or directory"),
        (("in",), "none.md", "{folder}/none.md cannot be read: No such file or directory"),
        (("in",), "empty.md", "The ground truth {folder}/empty.md contains no text"),
        (("in",), "broken", "The ground truth {folder}/broken/1.png.md contains no text"),
        (
            ("in",),
            "empty",
            "{folder}/empty has no ground truth for any of the documents (1): {folder}/empty",
        ),
        (("two",), "one.md", "--expect names one text, {folder}/one.md, for 2 documents."),
    ],
)
def test_unreadable_inputs_and_ground_truths_are_usage_errors(
    inputs: tuple[str, ...], expect: str | None, sentence: str, tmp_path: Path
) -> None:
    files(tmp_path, "in/1.png", "empty/notes.txt", "two/1.png", "two/2.png", "one.md", "broken/1.md")
    for empty in ("empty.md", "broken/1.png.md"):
        (tmp_path / empty).touch()

    with pytest.raises(UsageError) as caught:
        tasks(tmp_path, *inputs, expect=str(tmp_path / expect) if expect else None)

    assert str(caught.value.message).startswith(sentence.format(folder=tmp_path))


@pytest.mark.parametrize(
    ("options", "gpus", "resources"),
    [
        ({}, False, ResourceRequest(1, 0, "auto")),
        ({}, True, ResourceRequest(1, 1, "auto")),
        ({"engine": "native"}, True, ResourceRequest(1, 1, "auto")),
        ({"engine": "reader"}, True, ResourceRequest(1, 0, "auto")),
        ({"engine": "server"}, True, ResourceRequest(1, 0, "auto")),
        ({"device": "cpu"}, True, ResourceRequest(1, 0, "cpu")),
        ({"device": "cpu, cpu,cpu"}, False, ResourceRequest(3, 0, "cpu,cpu,cpu")),
        ({"device": "gpu:5,cuda:7"}, True, ResourceRequest(1, 2, "gpu:0,gpu:1")),
        ({"device": "gpu:3,cpu,cpu"}, True, ResourceRequest(2, 1, "gpu:0,cpu,cpu")),
        ({"device": "npu:1"}, False, ResourceRequest(1, 0, "npu:1")),
    ],
)
def test_a_document_requests_the_resources_of_its_devices(
    options: dict[str, str], gpus: bool, resources: ResourceRequest
) -> None:
    assert ResourceRequest.of(replace(ParseRequest((), Path("out")), **options), gpus=gpus) == resources  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("resources", "fits"),
    [
        (ResourceRequest(2, 1, ""), True),
        (ResourceRequest(3, 0, ""), False),
        (ResourceRequest(1, 2, ""), False),
    ],
)
def test_whether_a_node_has_the_resources(resources: ResourceRequest, fits: bool) -> None:
    assert resources.fits({"Resources": {"CPU": 2.0, "GPU": 1.0}}) is fits
    assert not resources.fits({"Resources": {}})


def test_a_document_uses_no_more_cores_than_it_requested() -> None:
    count = RealSystem().cpu_count()

    assert [LimitedSystem(cores).cpu_count() for cores in (1, count, count + 1)] == [1, count, count]


def test_paths_of_a_target_become_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    def absolute(**named: str) -> TargetOptions:
        return connect.with_absolute_paths(TargetOptions(**named))

    assert absolute(venv="env") == TargetOptions(venv=str(tmp_path / "env"))
    assert absolute(python="env/bin/python") == TargetOptions(python=str(tmp_path / "env/bin/python"))
    assert absolute(python="python3.11") == TargetOptions(python="python3.11")
    assert absolute(python="--system") == TargetOptions(python="--system")


@pytest.mark.parametrize("answer", [b"HTTP/1.0 400 Bad Request\r\n\r\n", b""], ids=["web server", "silent"])
def test_a_server_that_is_no_cluster_is_an_error(answer: bytes) -> None:
    with listening(answer) as address, pytest.raises(DoctorError) as caught, connect.connected(address):
        pass

    assert str(caught.value.message) == (
        f"There is no Ray cluster at {address}: the program that listens there is not a Ray cluster. "
        "Give the address of its head node, such as 10.0.0.1:6379."
    )


def test_another_version_of_ray_or_python_is_one_message() -> None:
    with pytest.raises(RuntimeError) as caught:
        check_version_info({"ray_version": "2.40.0", "python_version": "3.9.1"}, "10.0.0.2:6379")
    error = connect.connection_error("10.0.0.1:6379", caught.value)
    sentences = {lang: render(error, lang) for lang in ("zh", "en")}

    assert sentences["en"].startswith(
        "The cluster at 10.0.0.1:6379 runs Ray 2.40.0 on Python 3.9.1, paddlevl-doctor runs Ray "
    )
    assert sentences["en"].endswith("run paddlevl-doctor in an environment with the versions of the cluster.")
    assert sentences["zh"].startswith(
        "10.0.0.1:6379 的集群使用 Ray 2.40.0 和 Python 3.9.1，而 paddlevl-doctor 使用 Ray "
    )


@pytest.mark.parametrize(
    ("inputs", "code", "sentence"),
    [
        (("--ray", "127.0.0.1:9"), 1, "There is no Ray cluster at 127.0.0.1:9: Connection refused"),
        (("--ray", "cluster"), 1, "There is no Ray cluster at cluster: Invalid address format: cluster"),
        (("--ray", "x", "--compare", "native,reader"), 2, "--compare cannot be used with --ray. "),
        (("--ray", "x", "--fix"), 2, "--fix cannot be used with --ray. "),
        (("--ray", "x", "--engine", "selftest"), 2, "--engine selftest cannot be used with --ray. "),
    ],
)
def test_an_unsupported_option_is_an_error_and_leaves_earlier_results_unchanged(
    inputs: tuple[str, ...], code: int, sentence: str, tmp_path: Path
) -> None:
    files(tmp_path, "in/1.png", "output/documents.jsonl")
    answer = doctor("parse", "in", *inputs, cwd=tmp_path)

    assert (answer.code, answer.stdout, answer.stderr.startswith(sentence)) == (code, "", True), answer.stderr
    assert (tmp_path / "output" / "documents.jsonl").read_text() == "output/documents.jsonl"


@pytest.mark.parametrize(
    ("inputs", "sentence"),
    [
        (("--record", "facts.zip"), "--record and --replay cannot be used with --ray. "),
        (("--replay", "facts.zip"), "--record and --replay cannot be used with --ray. "),
        (("--format", "html"), "This result cannot be written as html. "),
        (("--only", "no-such-check"), "There is no check "),
    ],
)
def test_an_unsupported_check_option_is_a_usage_error(
    inputs: tuple[str, ...], sentence: str, tmp_path: Path
) -> None:
    answer = doctor("check", "--ray", "127.0.0.1:9", *inputs, cwd=tmp_path)

    assert (answer.code, answer.stdout, answer.stderr.startswith(sentence)) == (2, "", True), answer.stderr
