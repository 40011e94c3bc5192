"""Recordings: what is saved is read back, and what a stranger made of one is refused with a sentence."""

from __future__ import annotations

import json
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bundles import golden
from checks_machines import machine
from doctor import doctor
from paddlevl_doctor.commands.check import CheckRequest, check
from paddlevl_doctor.commands.diagnose import TargetOptions
from paddlevl_doctor.facts.recording import Provenance, Recording, load, save
from paddlevl_doctor.messages import message
from paddlevl_doctor.report.progress import Progress
from paddlevl_doctor.system.machine import RealSystem
from paddlevl_doctor.values.check_report import CheckReport
from paddlevl_doctor.values.errors import UsageError

FULL = "colab-broken-torch"
Change = Callable[[Any], Any]


def unchanged(value: Any) -> Any:
    return value


def case(folder: Path, name: str = FULL) -> Path:
    path = folder / "case.zip"
    save(path, golden(name).recording, unchanged)
    return path


def members(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def write(path: Path, content: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    return path


def edited(path: Path, member: str, change: Change) -> Path:
    content = members(path)
    document = json.loads(content[member])
    return write(path, {**content, member: json.dumps(change(document)).encode()})


def judged(path: Path) -> CheckReport | str:
    """Judge a file as the command line does; return what comes of it, or the sentence that refuses it."""
    request = CheckRequest(replay=path)
    try:
        return check(RealSystem(), TargetOptions(), Progress(enabled=False, lang="en").stage, request)
    except UsageError as error:
        return str(error)


@pytest.mark.parametrize("name", ["colab-broken-torch", "h200-server", "macos-intel"])
def test_what_is_saved_is_read_back(name: str, tmp_path: Path) -> None:
    recording = golden(name).recording
    assert load(case(tmp_path, name)) == recording
    assert isinstance(load(case(tmp_path, name)), Recording)


def test_equal_recordings_are_equal_bytes_and_nothing_else_is_left(tmp_path: Path) -> None:
    first = case(tmp_path).read_bytes()
    assert case(tmp_path).read_bytes() == first
    assert [path.name for path in tmp_path.iterdir()] == ["case.zip"]


def test_a_folder_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"case\.zip"):
        save(tmp_path / "absent" / "case.zip", golden(FULL).recording, unchanged)


# --- hostile files ----------------------------------------------------------------------------------------


def no_zip(path: Path) -> None:
    path.write_text("not a zip file")


def empty(path: Path) -> None:
    path.write_bytes(b"")


def traversal(path: Path) -> None:
    write(path, {**members(path), "../evil.json": b"{}"})


def absolute(path: Path) -> None:
    write(path, {**members(path), "/etc/evil.json": b"{}"})


def unknown_member(path: Path) -> None:
    write(path, {**members(path), "more.json": b"{}"})


def missing_member(path: Path) -> None:
    write(path, {"manifest.json": members(path)["manifest.json"]})


def twice(path: Path) -> None:
    content = members(path)
    with zipfile.ZipFile(path, "w") as archive, pytest.warns(UserWarning, match="Duplicate"):
        for name in (*content, "facts.json"):
            archive.writestr(name, content[name])


def symbolic_link(path: Path) -> None:
    content = members(path)
    entry = zipfile.ZipInfo("facts.json")
    entry.create_system, entry.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("manifest.json", content["manifest.json"])
        archive.writestr(entry, "/etc/passwd")


def odd_compression(path: Path) -> None:
    write(path, members(path), zipfile.ZIP_BZIP2)


def encrypted(path: Path) -> None:
    data = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = data.find(signature)
        while at >= 0:
            data[at + offset] |= 1
            at = data.find(signature, at + 4)
    path.write_bytes(bytes(data))


def bomb(path: Path) -> None:
    write(path, {**members(path), "facts.json": b" " * (100 << 20)})


def wrong_types(path: Path) -> None:
    edited(path, "facts.json", lambda facts: {**facts, "host": [facts["host"]]})


def wrong_leaf(path: Path) -> None:
    edited(path, "facts.json", lambda facts: {**facts, "host": {**facts["host"], "cpu_count": "many"}})


def not_a_number(path: Path) -> None:
    content = members(path)
    write(path, {**content, "deep.json": content["deep.json"].replace(b"2.0", b"NaN", 1)})


def deep_nesting(path: Path) -> None:
    write(path, {**members(path), "facts.json": b"[" * 100_000 + b"]" * 100_000})


def nested_value(path: Path) -> None:
    nest = b'{"a":' * 50_000 + b"1" + b"}" * 50_000
    content = members(path)
    write(
        path, {**content, "deep.json": b'{"probes":{"kernels":{"status":"answered","data":' + nest + b"}}}"}
    )


def no_text(path: Path) -> None:
    write(path, {**members(path), "manifest.json": b"\xff\xfe{}"})


def newer_schema(path: Path) -> None:
    edited(path, "manifest.json", lambda manifest: {**manifest, "schema": "paddlevl-doctor/recording/2"})


def unknown_field(path: Path) -> None:
    edited(path, "facts.json", lambda facts: {**facts, "run": ["rm", "-rf"]})


def another_probes_document(path: Path) -> None:
    def exchange(deep: dict[str, Any]) -> dict[str, Any]:
        probes = deep["probes"]
        return {**deep, "probes": {**probes, "kernels": probes["selftest cpu"]}}

    edited(path, "deep.json", exchange)


def unknown_probe(path: Path) -> None:
    edited(path, "deep.json", lambda deep: {**deep, "probes": {"evil": deep["probes"]["selftest cpu"]}})


def answer_without_a_document(path: Path) -> None:
    silent = {"status": "answered", "data": None, "detail": "", "seconds": 1.0}
    edited(path, "deep.json", lambda deep: {**deep, "probes": {"kernels": silent}})


HOSTILE = [
    no_zip, empty, traversal, absolute, unknown_member, missing_member, twice, symbolic_link, odd_compression,
    encrypted, bomb, wrong_types, wrong_leaf, not_a_number, deep_nesting, nested_value, no_text, newer_schema,
    unknown_field, another_probes_document, unknown_probe, answer_without_a_document,
]  # fmt: skip


@pytest.mark.parametrize("harm", HOSTILE, ids=lambda harm: harm.__name__)
def test_a_hostile_recording_is_refused_with_one_sentence(
    harm: Callable[[Path], None], tmp_path: Path
) -> None:
    path = case(tmp_path)
    harm(path)
    before = sorted(tmp_path.iterdir())
    answer = doctor("check", "--replay", path, "--format", "json", cwd=tmp_path)
    assert (answer.code, answer.document["error"]["exit_code"]) == (2, 2)
    assert answer.stderr.count("\n") == 1
    assert "Traceback" not in answer.stderr
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("absent", ["nothing.zip", "."])
def test_a_recording_that_is_not_there_is_a_sentence(absent: str, tmp_path: Path) -> None:
    answer = doctor("check", "--replay", absent, cwd=tmp_path)
    assert (answer.code, answer.stdout, answer.stderr.count("\n")) == (2, "", 1)


def test_a_cut_recording_is_refused_wherever_it_is_cut(tmp_path: Path) -> None:
    whole = case(tmp_path).read_bytes()
    for length in range(0, len(whole), 100):
        (tmp_path / "cut.zip").write_bytes(whole[:length])
        assert isinstance(judged(tmp_path / "cut.zip"), str), length


def test_why_the_target_did_not_answer_is_recorded_as_a_message(tmp_path: Path) -> None:
    problem = message("target-silent", path="/x/python", detail=message("exit-status", code=3))
    facts = machine(target=None, target_problem=problem)
    save(tmp_path / "case.zip", Recording(facts, Provenance("recorded", "2026-11-30")), lambda value: value)
    assert load(tmp_path / "case.zip").facts.target_problem == problem


@pytest.mark.parametrize(
    "problem", [{"id": "no-such-message", "params": {}}, {"id": "target-silent", "params": {}}]
)
def test_a_recorded_message_that_cannot_be_worded_is_refused(
    problem: dict[str, object], tmp_path: Path
) -> None:
    path = case(tmp_path)
    facts = json.loads(members(path)["facts.json"])
    changed = {**members(path), "facts.json": json.dumps({**facts, "target_problem": problem}).encode()}
    assert str(judged(write(path, changed))).endswith(f": facts.json: {problem['id']}")


@given(data=st.data())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_bytes_that_were_changed_give_a_diagnosis_or_a_sentence(data: st.DataObject, tmp_path: Path) -> None:
    whole = bytearray(case(tmp_path).read_bytes())
    for _ in range(data.draw(st.integers(1, 8))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    (tmp_path / "mutated.zip").write_bytes(bytes(whole))
    judged(tmp_path / "mutated.zip")


STRANGE = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=8),
    st.lists(st.integers(), max_size=2), st.dictionaries(st.text(max_size=4), st.integers(), max_size=2),
    st.just(""), st.just("999999999.0"), st.just("9" * 5000), st.just("../../etc/passwd"),
)  # fmt: skip


def paths_of(value: Any, prefix: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [prefix, *(path for key, item in items for path in paths_of(item, (*prefix, key)))]


@given(data=st.data())
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_values_that_were_changed_give_a_diagnosis_or_a_sentence(data: st.DataObject, tmp_path: Path) -> None:
    path = case(tmp_path)
    member = data.draw(st.sampled_from(["manifest.json", "facts.json", "deep.json"]))
    document = json.loads(members(path)[member])
    where = data.draw(st.sampled_from(paths_of(document)[1:]))
    inner = document
    for key in where[:-1]:
        inner = inner[key]
    inner[where[-1]] = data.draw(STRANGE)
    judged(write(path, {**members(path), member: json.dumps(document).encode()}))
