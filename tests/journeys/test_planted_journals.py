"""A journal that someone else planted in an environment makes no command write or delete outside of it."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from uv import find_uv_bin

from doctor import doctor, fingerprint
from environments import interpreter, python_in

NOBODY = 65534
MINE = b"mine\n"
SHA256 = hashlib.sha256(MINE).hexdigest()
Undo = dict[str, Any]


class Planted:
    """A project with an environment, a folder of the user's outside of it, and the journal to be planted."""

    def __init__(self, folder: Path) -> None:
        self.project, self.outside = folder / "project", folder / "outside"
        self.venv = self.project / ".venv"
        self.state = self.venv / ".paddlevl-doctor"
        self.transaction = self.state / "transactions" / "0001"
        self.outside.mkdir(parents=True)
        (self.outside / "victim.py").write_bytes(MINE)
        argv = (find_uv_bin(), "venv", "--quiet", "--python", interpreter("3.11"), self.venv)
        subprocess.run([str(word) for word in argv], check=True)
        self.transaction.mkdir(parents=True)
        self.python = str(python_in(self.venv))

    def write(self, name: str, content: object) -> None:
        """Write a file of the transaction; what is no bytes is written as JSON."""
        path = self.transaction / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())

    def journal(self, runner: str, undo: object, *, committed: bool) -> None:
        """Write a journal with one step."""
        begin = {"event": "begin", "python": self.python, "creates": False, "uv_lock": True, "plan": {}}
        events = [begin, {"event": "intent", "step": "s", "runner": runner, "undo": undo}]
        events += [{"event": "commit", "distributions": {}}] if committed else []
        self.write("journal.jsonl", "".join(json.dumps(event) + "\n" for event in events).encode())


def root_outside(at: Planted) -> tuple[str, Undo]:
    at.write("s/0/added.json", ["victim.py"])
    (at.transaction / "s/0/kept").mkdir()
    return "install-packages", {"roots": {"s/0": str(at.outside)}}


def added_outside(at: Planted) -> tuple[str, Undo]:
    at.write("s/0/added.json", ["../../outside/victim.py"])
    (at.transaction / "s/0/kept").mkdir()
    return "remove-packages", {"roots": {"s/0": str(at.venv)}}


def folders_outside(at: Planted) -> tuple[str, Undo]:
    at.write("s/0/added.json", [])
    at.write("s/0/folders.json", ["../../outside/new"])
    (at.transaction / "s/0/kept").mkdir()
    return "install-packages", {"roots": {"s/0": str(at.venv)}}


def kept_behind_a_link(at: Planted) -> tuple[str, Undo]:
    at.write("s/0/added.json", [])
    at.write("s/0/kept/away/victim.py", b"planted")
    (at.venv / "away").symlink_to(at.outside)
    return "install-packages", {"roots": {"s/0": str(at.venv)}}


def bytecode_behind_a_link(at: Planted) -> tuple[str, Undo]:
    (at.outside / "gone.cpython-311.pyc").write_bytes(MINE)
    (at.venv / "__pycache__").symlink_to(at.outside)
    at.write("s/0/added.json", ["gone.py"])
    (at.transaction / "s/0/kept").mkdir()
    return "install-packages", {"roots": {"s/0": str(at.venv)}}


def snapshot_outside(at: Planted) -> tuple[str, Undo]:
    (at.outside / "kept").mkdir()
    (at.outside / "kept" / "file").write_bytes(MINE)
    (at.outside / "added.json").write_text("[]", encoding="utf-8")
    return "install-packages", {"roots": {str(at.outside): str(at.venv)}}


def list_is_a_link(at: Planted) -> tuple[str, Undo]:
    (at.transaction / "s/0/kept").mkdir(parents=True)
    (at.transaction / "s/0/added.json.new").symlink_to(at.outside / "victim.py")
    return "install-packages", {"roots": {"s/0": str(at.venv)}}


def leftovers_into_outside(at: Planted) -> tuple[str, Undo]:
    at.write("s/new", b"planted")
    return "clear-leftovers", {"site": str(at.outside), "names": ["new"], "keep": "s"}


def leftovers_out_of_outside(at: Planted) -> tuple[str, Undo]:
    keep = os.path.relpath(at.outside, at.transaction)
    return "clear-leftovers", {"site": str(at.venv), "names": ["victim.py"], "keep": keep}


def leftovers_by_name(at: Planted) -> tuple[str, Undo]:
    at.write("s/x", b"planted")
    return "clear-leftovers", {"site": str(at.venv), "names": [f"../{at.outside.name}/new"], "keep": "s"}


def text_outside(at: Planted) -> tuple[str, Undo]:
    path = str(at.outside / "victim.py")
    return "edit-config", {"path": path, "before": None, "after": SHA256, "keep": "s"}


def activation_outside(at: Planted) -> tuple[str, Undo]:
    at.write("s", b"planted")
    path = str(at.outside / "victim.py")
    return "set-environment", {"path": path, "before": "0", "after": SHA256, "keep": "s"}


def patch_outside(at: Planted) -> tuple[str, Undo]:
    at.write("s/0", b"planted")
    file = {"path": "victim.py", "before": "0", "after": SHA256}
    return "apply-patch", {"site": str(at.outside), "keep": "s", "files": [file]}


def patch_by_name(at: Planted) -> tuple[str, Undo]:
    at.write("s/0", b"planted")
    file = {"path": "../../outside/victim.py", "before": "0", "after": SHA256}
    return "apply-patch", {"site": str(at.venv), "keep": "s", "files": [file]}


def models_outside(at: Planted) -> tuple[str, Undo]:
    (at.outside / "folder").mkdir()
    (at.outside / "folder" / "file").write_bytes(MINE)
    moves = [{"from": str(at.outside / "moved"), "to": str(at.outside / "folder")}]
    return "repair-model-cache", {"moves": moves}


def model_links_outside(at: Planted) -> tuple[str, Undo]:
    os.link(at.outside / "victim.py", at.outside / "other.py")
    paths = {"path": str(at.outside / "other.py"), "original": str(at.outside / "victim.py")}
    return "repair-model-cache", {"links": [{**paths, "mode": 0o777, "mtime_ns": 0}]}


def link_removed(at: Planted) -> tuple[str, Undo]:
    (at.outside / "pipelines").symlink_to(at.outside)
    undo = {"path": str(at.outside / "pipelines"), "former": None, "points_to": str(at.outside)}
    return "link-pipelines", undo


def link_made(at: Planted) -> tuple[str, Undo]:
    points_to = str(at.venv / "lib")
    return "link-pipelines", {"path": str(at.outside / "pipelines"), "former": "/", "points_to": points_to}


def link_of_another_name(at: Planted) -> tuple[str, Undo]:
    (at.project / "mine").symlink_to(at.venv / "lib")
    undo = {"path": str(at.project / "mine"), "former": None, "points_to": str(at.venv / "lib")}
    return "link-pipelines", undo


def program_outside(at: Planted) -> tuple[str, Undo]:
    """The interpreter that a journal names is started to ask what is installed."""
    program = at.outside / "program"
    program.write_text(f"#!/bin/sh\ntouch {at.outside}/ran\n", encoding="utf-8")
    program.chmod(0o755)
    at.python = str(program)
    return "create-environment", {"found": sorted(os.listdir(at.venv))}


def unknown_step(_: Planted) -> tuple[str, Undo]:
    return "delete-everything", {}


def no_step(_: Planted) -> tuple[str, Undo]:
    return "install-packages", {"roots": [3]}


def linked_state(at: Planted) -> tuple[str, Undo]:
    at.state.rename(at.outside / "state")
    at.state.symlink_to(at.outside / "state")
    return "create-environment", {"found": []}


def linked_transaction(at: Planted) -> tuple[str, Undo]:
    at.transaction.rename(at.outside / "transaction")
    at.transaction.symlink_to(at.outside / "transaction")
    return "create-environment", {"found": []}


def linked_holder(at: Planted) -> tuple[str, Undo]:
    (at.state / "holder.json.new").symlink_to(at.outside / "victim.py")
    return "link-pipelines", {"path": str(at.venv / "pipelines"), "former": None, "points_to": str(at.venv)}


PLANTED = [
    root_outside,
    added_outside,
    folders_outside,
    kept_behind_a_link,
    bytecode_behind_a_link,
    snapshot_outside,
    list_is_a_link,
    leftovers_into_outside,
    leftovers_out_of_outside,
    leftovers_by_name,
    text_outside,
    activation_outside,
    patch_outside,
    patch_by_name,
    models_outside,
    model_links_outside,
    link_removed,
    link_made,
    link_of_another_name,
    program_outside,
    unknown_step,
    no_step,
    linked_state,
    linked_transaction,
    linked_holder,
]


def everything(folder: Path) -> dict[str, Any]:
    """Every entry below a folder, empty folders too."""
    folders = {str(Path(at).relative_to(folder)): names for at, names, _ in os.walk(folder)}
    return {**fingerprint(folder), "folders": {at: sorted(names) for at, names in folders.items()}}


@pytest.mark.parametrize("plant", PLANTED, ids=lambda plant: plant.__name__)
def test_a_planted_journal_is_refused_and_nothing_is_touched(
    plant: Callable[[Planted], tuple[str, Undo]], tmp_path: Path
) -> None:
    at = Planted(tmp_path)
    runner, undo = plant(at)
    runs = [(False, ("fix", "--apply")), (False, ("undo",)), (True, ("undo", "--to", "0"))]
    for committed, words in runs:
        at.journal(runner, undo, committed=committed)
        before = everything(tmp_path)
        answer = doctor(*words, cwd=at.project)
        assert (answer.code, answer.stdout) == (5, ""), answer.stderr
        assert "nothing was changed" in answer.stderr
        assert f"remove the folder {at.state}" in answer.stderr
        assert everything(tmp_path) == before
    check = doctor("check", "--format", "json", cwd=at.project)
    assert (check.code, check.document["target"]["prefix"]) == (1, str(at.venv))
    assert everything(tmp_path) == before


@pytest.fixture
def harmless(tmp_path: Path) -> Iterator[Planted]:
    """A journal that would only remove a file of the environment, and its owner."""
    at = Planted(tmp_path)
    at.write("s/0/added.json", ["new.txt"])
    (at.transaction / "s/0/kept").mkdir()
    (at.venv / "new.txt").write_bytes(MINE)
    at.journal("install-packages", {"roots": {"s/0": str(at.venv)}}, committed=False)
    yield at
    for folder, names, files in os.walk(at.state):
        for name in (".", *names, *files):
            os.chown(Path(folder) / name, os.geteuid(), -1)


@pytest.mark.parametrize(
    "name", [".", "transactions", "transactions/0001", "transactions/0001/journal.jsonl"]
)
def test_a_journal_of_another_user_is_refused(name: str, harmless: Planted) -> None:
    os.chown(harmless.state / name, NOBODY, -1)
    before = everything(harmless.project)
    for words in (("fix", "--apply"), ("undo",)):
        answer = doctor(*words, cwd=harmless.project)
        assert (answer.code, answer.stdout) == (5, ""), answer.stderr
        assert f"{(harmless.state / name)} belongs to another user (nobody)" in answer.stderr
    assert doctor("check", cwd=harmless.project).code == 1
    assert everything(harmless.project) == before


def test_a_journal_of_the_user_that_names_the_target_only_is_followed(harmless: Planted) -> None:
    answer = doctor("undo", "--format", "json", cwd=harmless.project)
    assert (answer.code, answer.document["undone"]) == (0, [1]), answer.stderr
    assert not (harmless.venv / "new.txt").exists()
    assert not harmless.state.exists()


def test_the_journal_of_a_renamed_environment_is_refused(harmless: Planted) -> None:
    """It names the former place, where another environment may be by now."""
    renamed = harmless.project / "renamed"
    harmless.venv.rename(renamed)
    before = everything(harmless.project)
    answer = doctor("undo", "--venv", "renamed", "--lang", "zh", cwd=harmless.project)
    assert (answer.code, str(harmless.venv) in answer.stderr, "事务" in answer.stderr) == (5, True, True)
    assert everything(harmless.project) == before
