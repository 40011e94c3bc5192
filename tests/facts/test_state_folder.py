"""What the journals of a target say, read without trusting them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from fake_system import FakeSystem
from paddlevl_doctor.facts.state_folder import StateFolder, read_state_folder, start_time

PREFIX = Path("/srv/.venv")
FOLDER = "/srv/.venv/.paddlevl-doctor"
PLAN = {"steps": [{"kind": "apply-patch", "arguments": {"patch": "fuse-rms-norm"}}]}


def journal(*events: object) -> bytes:
    return "".join(f"{event if isinstance(event, str) else json.dumps(event)}\n" for event in events).encode()


def event(kind: str, **fields: object) -> dict[str, object]:
    return {"event": kind, "time": 1.0, "checksum": "of a later version", **fields}


def read(files: dict[str, bytes], holder: dict[str, object] | None = None) -> StateFolder:
    prepared = {f"{FOLDER}/transactions/{name}": data for name, data in files.items()}
    if holder is not None:
        prepared[f"{FOLDER}/holder.json"] = json.dumps(holder).encode()
    return read_state_folder(FakeSystem(files=prepared), PREFIX)


BEGIN, COMMIT, UNDO, DONE = (event("begin", plan=PLAN), event("commit"), event("undo"), event("rolled-back"))

JOURNALS = {
    "nothing": ((), StateFolder(interrupted=1)),
    "begun": ((BEGIN,), StateFolder(interrupted=1)),
    "cut in a line": ((BEGIN, '{"event": "comm'), StateFolder(interrupted=1)),
    "garbage": (("\0\0", "[]", '{"event": 3}', '{"event": "begin", "plan": 7}'), StateFolder(interrupted=1)),
    "rolled back": ((BEGIN, DONE), StateFolder()),
    "committed": ((BEGIN, COMMIT), StateFolder(("fuse-rms-norm",))),
    "an undo that was interrupted": ((BEGIN, COMMIT, UNDO), StateFolder(interrupted=1)),
    "undone": ((BEGIN, COMMIT, UNDO, DONE), StateFolder()),
    "committed with a plan that is none": ((event("begin", plan=7), COMMIT), StateFolder()),
}


@pytest.mark.parametrize("name", JOURNALS)
def test_the_state_of_a_transaction(name: str) -> None:
    events, expected = JOURNALS[name]
    assert read({"0001/journal.jsonl": journal(*events)}) == expected


def test_only_numbered_folders_are_transactions_and_the_newest_is_named() -> None:
    files = {"0001/journal.jsonl": journal(BEGIN, COMMIT), "0002/kept/x": b"", "new/journal.jsonl": b""}
    assert read(files) == StateFolder(("fuse-rms-norm",), 2)
    assert read({}) == StateFolder()


def test_a_transaction_is_not_interrupted_while_its_doctor_works() -> None:
    files = {"0001/journal.jsonl": journal(BEGIN)}
    own = {
        "pid": os.getpid(),
        "born": start_time(os.getpid()),
        "since": 1.0,
        "command": "paddlevl-doctor fix",
    }
    assert read(files, own).interrupted is None
    assert read(files, {**own, "born": 1.0}).interrupted == 1
    assert read(files, {"pid": "?"}).interrupted == 1
