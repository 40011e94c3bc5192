"""What the journals of a target say, read without trusting them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from fake_system import FakeSystem
from paddlevl_doctor.facts.journals import VERSION, checksum
from paddlevl_doctor.facts.state_folder import StateFolder, read_state_folder, start_time
from paddlevl_doctor.messages import message
from paddlevl_doctor.values.facts import DamagedJournal

PREFIX = Path("/srv/.venv")
FOLDER = "/srv/.venv/.paddlevl-doctor"
PLAN = {"steps": [{"kind": "apply-patch", "arguments": {"patch": "fuse-rms-norm"}}]}


def journal(*events: dict[str, object] | bytes) -> bytes:
    """Return the lines of a journal with their checksums; bytes are lines as they are."""
    data, former = b"", b""
    for one in events:
        body = b"" if isinstance(one, bytes) else json.dumps(one).encode()[:-1]
        former = checksum(former, body)
        data += one if isinstance(one, bytes) else b'%s, "sum": "%s"}\n' % (body, former)
    return data


def event(kind: str, **fields: object) -> dict[str, object]:
    return {"event": kind, "time": 1.0, **fields}


def damaged(reason: str, **values: object) -> StateFolder:
    return StateFolder(damaged=(DamagedJournal(1, f"{FOLDER}/transactions/0001", message(reason, **values)),))


def read(files: dict[str, bytes], holder: dict[str, object] | None = None) -> StateFolder:
    prepared = {f"{FOLDER}/transactions/{name}": data for name, data in files.items()}
    if holder is not None:
        prepared[f"{FOLDER}/holder.json"] = json.dumps(holder).encode()
    return read_state_folder(FakeSystem(files=prepared), PREFIX)


BEGIN = event("begin", journal=VERSION, plan=PLAN)
COMMIT, UNDO, DONE = event("commit"), event("undo"), event("rolled-back")
JOURNALS = {
    "nothing": (b"", damaged("journal-empty")),
    "begun": (journal(BEGIN), StateFolder(interrupted=1)),
    "cut in a line": (journal(BEGIN, b'{"event": "comm'), StateFolder(interrupted=1)),
    "garbage": (b"\0\0\n[]\n", damaged("journal-line-damaged", line=1)),
    "a line of another form": (journal(BEGIN, b'{"event": 3}\n'), damaged("journal-line-damaged", line=2)),
    "of version 1": (b'{"event": "begin"}\n', damaged("journal-of-version-1")),
    "committed by version 1": (b'{"event": "begin"}\n{"event": "commit"}\n', StateFolder()),
    "rolled back": (journal(BEGIN, DONE), StateFolder()),
    "committed": (journal(BEGIN, COMMIT), StateFolder(("fuse-rms-norm",))),
    "an undo that was interrupted": (journal(BEGIN, COMMIT, UNDO), StateFolder(interrupted=1)),
    "undone": (journal(BEGIN, COMMIT, UNDO, DONE), StateFolder()),
    "committed with a plan that is none": (journal({**BEGIN, "plan": 7}, COMMIT), StateFolder()),
}


@pytest.mark.parametrize("name", JOURNALS)
def test_the_state_of_a_transaction(name: str) -> None:
    data, expected = JOURNALS[name]
    assert read({"0001/journal.jsonl": data}) == expected


def test_only_numbered_folders_are_transactions_and_the_newest_is_named() -> None:
    files = {"0001/journal.jsonl": journal(BEGIN, COMMIT), "0002/journal.jsonl": journal(BEGIN)}
    assert read({**files, "new/journal.jsonl": b""}) == StateFolder(("fuse-rms-norm",), 2)
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
