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
from environments import interpreter
from paddlevl_doctor.fix.journal import VERSION, Transaction

NOBODY = 65534
MINE = b"mine\n"
SHA256 = hashlib.sha256(MINE).hexdigest()
WRITTEN = ["file", len(MINE), None, SHA256, ""]
"""The state of a file that a step is said to have written."""
Change = dict[str, Any]


class Planted:
    """A project with an environment, a folder of the user's outside of it, and the journal to be planted."""

    def __init__(self, folder: Path) -> None:
        self.project, self.outside = folder / "project", folder / "outside"
        self.venv = self.project / ".venv"
        self.state = self.venv / ".paddlevl-doctor"
        self.outside.mkdir(parents=True)
        (self.outside / "victim.py").write_bytes(MINE)
        argv = (find_uv_bin(), "venv", "--quiet", "--python", interpreter("3.11"), self.venv)
        subprocess.run([str(word) for word in argv], check=True)
        self.journal_of = Transaction(self.venv, 1)
        self.transaction = self.journal_of.folder
        self.transaction.mkdir(parents=True)

    def write(self, name: str, content: object) -> None:
        """Write a file of the transaction; what is no bytes is written as JSON."""
        path = self.transaction / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())

    def installed(
        self, entries: list[Any], folders: tuple[str, ...] = (), roots: tuple[str, ...] = (".",)
    ) -> Change:
        """Write the list of what an installer is said to have changed."""
        listed = {"entries": entries, "folders": list(folders), "created": []}
        self.write("s/entries.json", listed)
        return {"runner": "install-packages", "roots": roots, "requirements": [], "planned": []}

    def journal(self, change: Change, *, committed: bool) -> None:
        """Write a journal with one step, with right checksums."""
        for path in (self.journal_of.journal, self.transaction / "commit.json"):
            path.unlink(missing_ok=True)
        found = self.venv.stat()
        target = {"path": str(self.venv), "device": found.st_dev, "inode": found.st_ino}
        self.journal_of.write("begin", journal=VERSION, target=target, creates=False, uv_lock=True, plan={})
        self.journal_of.write("intent", **{"step": "s", "runner": "apply-patch", **change})
        listed = self.transaction / "s" / "entries.json"
        if "roots" in change and listed.exists():
            self.journal_of.write("done", step="s", sha256=hashlib.sha256(listed.read_bytes()).hexdigest())
        if committed:
            self.journal_of.commit(distributions=[])


def entry_outside(_: Planted) -> Change:
    return {"entries": [["../../outside/victim.py", None, WRITTEN, None]]}


def entry_at_an_absolute_path(at: Planted) -> Change:
    return {"entries": [[str(at.outside / "victim.py"), None, WRITTEN, None]]}


def entry_behind_a_link(at: Planted) -> Change:
    (at.venv / "away").symlink_to(at.outside)
    return {"entries": [["away/victim.py", None, WRITTEN, None]]}


def kept_into_outside(at: Planted) -> Change:
    at.write("s/0", MINE)
    return {"entries": [["../../outside/new", WRITTEN, None, "s/0"]]}


def kept_out_of_outside(at: Planted) -> Change:
    keep = os.path.relpath(at.outside / "victim.py", at.transaction)
    return {"entries": [["new.txt", WRITTEN, None, keep]]}


def kept_at_an_absolute_path(at: Planted) -> Change:
    return {"entries": [["new.txt", WRITTEN, None, str(at.outside / "victim.py")]]}


def kept_behind_a_link(at: Planted) -> Change:
    (at.transaction / "s").symlink_to(at.outside)
    return {"entries": [["new.txt", WRITTEN, None, "s/victim.py"]]}


def listed_entry_outside(at: Planted) -> Change:
    return at.installed([["../../outside/victim.py", None, WRITTEN, None]])


def listed_entry_behind_a_link(at: Planted) -> Change:
    (at.venv / "away").symlink_to(at.outside)
    return at.installed([["away/victim.py", None, WRITTEN, None]])


def folders_outside(at: Planted) -> Change:
    return at.installed([], folders=("../../outside/new",))


def created_outside(at: Planted) -> Change:
    (at.outside / "empty").mkdir()
    at.installed([])
    at.write("s/entries.json", {"entries": [], "folders": [], "created": ["../../outside/empty"]})
    return {"runner": "install-packages", "roots": ["."], "requirements": [], "planned": []}


def root_outside(at: Planted) -> Change:
    return at.installed([], roots=("../../outside",))


def root_outside_of_an_interrupted_installation(at: Planted) -> Change:
    (at.transaction / "s" / "0").mkdir(parents=True)
    (at.transaction / "s" / "outside").mkdir()
    at.write("s/before.json", {"outside": [], "folders": []})
    return {
        "runner": "install-packages",
        "roots": ["../../outside"],
        "requirements": [],
        "planned": ["victim"],
    }


def kept_tree_behind_a_link(at: Planted) -> Change:
    """The list of an interrupted installation is made from the kept tree, which leads outside here."""
    at.write("s/0/away/victim.py", b"planted")
    (at.transaction / "s" / "outside").mkdir()
    at.write("s/before.json", {"outside": [], "folders": []})
    (at.venv / "away").symlink_to(at.outside)
    return {"runner": "install-packages", "roots": ["."], "requirements": [], "planned": ["victim"]}


def bytecode_behind_a_link(at: Planted) -> Change:
    (at.outside / "gone.cpython-311.pyc").write_bytes(MINE)
    (at.venv / "__pycache__").symlink_to(at.outside)
    (at.venv / "gone.py").write_bytes(MINE)
    return {"entries": [["gone.py", None, WRITTEN, None]]}


def list_is_a_link(at: Planted) -> Change:
    change = at.installed([])
    (at.transaction / "s" / "entries.json.new").symlink_to(at.outside / "victim.py")
    return change


def step_with_a_path(at: Planted) -> Change:
    return {"step": os.path.relpath(at.outside, at.transaction), **at.installed([])}


def models_outside(at: Planted) -> Change:
    (at.outside / "folder").mkdir()
    (at.outside / "folder" / "file").write_bytes(MINE)
    return {"moves": [{"from": str(at.outside / "moved"), "to": str(at.outside / "folder")}]}


def model_links_outside(at: Planted) -> Change:
    os.link(at.outside / "victim.py", at.outside / "other.py")
    paths = {"path": str(at.outside / "other.py"), "original": str(at.outside / "victim.py")}
    return {"links": [{**paths, "mode": 0o777, "mtime_ns": 0}]}


def link_removed(at: Planted) -> Change:
    (at.outside / "pipelines").symlink_to(at.outside)
    written = ["link", 0, None, None, str(at.outside)]
    return {"entries": [[str(at.outside / "pipelines"), None, written, None]]}


def link_made(at: Planted) -> Change:
    written, former = (["link", 0, None, None, str(path)] for path in (at.venv / "lib", "/"))
    return {"entries": [[str(at.outside / "pipelines"), former, written, None]]}


def link_of_another_name(at: Planted) -> Change:
    (at.project / "mine").symlink_to(at.venv / "lib")
    return {
        "entries": [[str(at.project / "mine"), None, ["link", 0, None, None, str(at.venv / "lib")], None]]
    }


def entries_of_another_form(_: Planted) -> Change:
    return {"entries": [3]}


def state_of_another_form(_: Planted) -> Change:
    return {"entries": [["new.txt", None, ["device", 0, None, None, ""], None]]}


def linked_state(at: Planted) -> Change:
    at.state.rename(at.outside / "state")
    at.state.symlink_to(at.outside / "state")
    return {"entries": []}


def linked_transaction(at: Planted) -> Change:
    at.transaction.rename(at.outside / "transaction")
    at.transaction.symlink_to(at.outside / "transaction")
    return {"entries": []}


def linked_holder(at: Planted) -> Change:
    (at.state / "holder.json.new").symlink_to(at.outside / "victim.py")
    return {"entries": []}


PLANTED = [
    entry_outside,
    entry_at_an_absolute_path,
    entry_behind_a_link,
    kept_into_outside,
    kept_out_of_outside,
    kept_at_an_absolute_path,
    kept_behind_a_link,
    listed_entry_outside,
    listed_entry_behind_a_link,
    folders_outside,
    created_outside,
    root_outside,
    root_outside_of_an_interrupted_installation,
    kept_tree_behind_a_link,
    bytecode_behind_a_link,
    list_is_a_link,
    step_with_a_path,
    models_outside,
    model_links_outside,
    link_removed,
    link_made,
    link_of_another_name,
    entries_of_another_form,
    state_of_another_form,
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
    plant: Callable[[Planted], Change], tmp_path: Path
) -> None:
    at = Planted(tmp_path)
    change = plant(at)
    runs = [(False, ("fix", "--apply")), (False, ("undo",)), (True, ("undo", "--to", "0"))]
    for committed, words in runs:
        at.journal(change, committed=committed)
        before = everything(tmp_path)
        answer = doctor(*words, cwd=at.project)
        assert (answer.code, answer.stdout) == (5, ""), answer.stderr
        assert "nothing was changed" in answer.stderr
        assert f"remove the folder {at.state}" in answer.stderr
        assert everything(tmp_path) == before
    check = doctor("check", "--format", "json", cwd=at.project)
    assert (check.code, check.document["target"]["prefix"]) == (1, str(at.venv))
    assert everything(tmp_path) == before


@pytest.mark.parametrize("plant", PLANTED, ids=lambda plant: plant.__name__)
def test_a_damaged_journal_that_was_planted_is_not_followed_with_yes_either(
    plant: Callable[[Planted], Change], tmp_path: Path
) -> None:
    at = Planted(tmp_path)
    at.journal(plant(at), committed=True)
    with at.journal_of.journal.open("ab") as file:
        file.write(b"damaged\n")
    before = everything(at.outside)
    for words in (("undo",), ("undo", "--yes")):
        answer = doctor(*words, cwd=at.project)
        assert (answer.code, answer.stdout) == (5, ""), answer.stderr
        assert everything(at.outside) == before


@pytest.fixture
def harmless(tmp_path: Path) -> Iterator[Planted]:
    """A journal that would only remove a file of the environment, and its owner."""
    at = Planted(tmp_path)
    (at.venv / "new.txt").write_bytes(MINE)
    at.journal({"entries": [["new.txt", None, WRITTEN, None]]}, committed=False)
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


def test_the_journal_of_a_renamed_environment_is_followed_in_its_new_place(harmless: Planted) -> None:
    renamed = harmless.project / "renamed"
    harmless.venv.rename(renamed)
    answer = doctor("undo", "--venv", "renamed", cwd=harmless.project)
    assert (answer.code, (renamed / "new.txt").exists()) == (0, False), answer.stderr
