"""`undo` takes back what the doctor wrote. What the user changed or added stays, and no damage is called undone."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from uv import find_uv_bin

from doctor import doctor, fingerprint
from environments import interpreter, python_in
from kills import Trees, difference
from paddlevl_doctor.commands import undo as undo_module
from paddlevl_doctor.commands.diagnose import TargetOptions
from paddlevl_doctor.commands.undo import undo_command
from paddlevl_doctor.facts.target import STATE_FOLDER
from paddlevl_doctor.fix import entries, installs, steps
from paddlevl_doctor.fix.lock import locked
from paddlevl_doctor.fix.transaction import ApplyFailedError, apply_plan
from paddlevl_doctor.fix.undo import undo
from paddlevl_doctor.fix.undo_preview import UndoPreview
from paddlevl_doctor.messages import message
from paddlevl_doctor.packages import uv
from paddlevl_doctor.packages.uv import Installed, UvError
from paddlevl_doctor.patching.proof import Proof
from paddlevl_doctor.system.machine import RealSystem
from paddlevl_doctor.values.errors import DoctorError, UndoNeededError
from paddlevl_doctor.values.plan import CreateEnvironment, Plan, SetEnvironmentAside, Step
from small_stack import small_stack
from small_target import Former, Where, activation, build, install, link, patch, write_wheel

FORMER = Former("3.7.2", "1.0", 0o644, "files", "absent")
PATCHED = "paddlex/inference/pipelines/paddleocr_vl/pipeline.py"


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheels")
    for version in ("1.0", "2.0"):
        write_wheel(folder, version)
    return folder


@pytest.fixture(autouse=True)
def no_proof(monkeypatch: pytest.MonkeyPatch) -> None:
    """The files here are no whole paddlex; the proofs have tests of their own."""
    monkeypatch.setattr(
        steps, "prove_all", lambda _, names, __: dict.fromkeys(names, Proof(True, "left out"))
    )


def apply(folder: Path, *plan: Step) -> None:
    venv = folder / ".venv"
    with locked(venv):
        apply_plan(RealSystem(), Plan(plan), venv, python_in(venv), lambda _: nullcontext())


@pytest.fixture
def repaired(tmp_path: Path, wheels: Path) -> tuple[Path, Path, dict[str, object]]:
    """Return a project whose environment got a new tiny, a patch, a script and the link; and its former tree."""
    project = tmp_path / "project"
    site = build(project, FORMER, wheels)
    former = fingerprint(project)
    where = Where(project, wheels, 1)
    apply(project, install(where), patch(Where(project, wheels, 0)), activation(where), link(where))
    assert fingerprint(project) != former
    return project, site, former


def created(folder: Path, wheels: Path) -> Path:
    """Create an environment with the tiny package as a transaction; return its site-packages."""
    command = (
        "uv",
        "venv",
        "--no-project",
        "--allow-existing",
        "--python",
        str(interpreter("3.11")),
        ".venv",
    )
    words = tuple(str(folder / word) if word == ".venv" else word for word in command)
    create = CreateEnvironment(
        id="create-environment", summary="create", commands=(words,), prefix=str(folder / ".venv")
    )
    (folder / ".venv").mkdir(parents=True, exist_ok=True)
    apply(folder, create, replace(install(Where(folder, wheels, 1)), requirements=("tiny==2.0",)))
    return folder / ".venv" / "lib" / "python3.11" / "site-packages"


def names(folder: Path) -> list[str]:
    """Return the files and links below a folder, without the doctor's own folder."""
    return sorted(path for path in fingerprint(folder) if STATE_FOLDER not in path)


def without_state(tree: dict[str, str]) -> dict[str, str]:
    return {path: what for path, what in tree.items() if STATE_FOLDER not in path}


def without_locks(tree: dict[str, str]) -> dict[str, str]:
    """Leave out uv's lock file, which each command that changes packages creates."""
    return {path: what for path, what in tree.items() if not path.endswith("/.lock")}


# --- what the user added and changed --------------------------------------------------------------------------


def test_undo_of_a_created_environment_keeps_the_users_own_folder_in_it_and_names_it(
    tmp_path: Path, wheels: Path
) -> None:
    site = created(tmp_path, wheels)
    for path in (tmp_path / ".venv/mine/notes.txt", site / "mine.py", site / "tiny" / "data" / "my.csv"):
        path.parent.mkdir(exist_ok=True)
        path.write_text("mine\n", encoding="utf-8")
    answer = doctor("undo", cwd=tmp_path)
    assert answer.code == 0, answer.stderr
    kept = [
        ".venv/lib/python3.11/site-packages/mine.py",
        ".venv/lib/python3.11/site-packages/tiny/data/my.csv",
        ".venv/mine/notes.txt",
    ]
    assert names(tmp_path) == kept
    shown = " ".join(answer.stdout.split())
    assert "Files that paddlevl-doctor did not write stay where they are (3):" in shown
    assert all(path.removeprefix(".venv/") in shown for path in kept)


def test_undo_of_a_created_environment_without_other_files_leaves_nothing(
    tmp_path: Path, wheels: Path
) -> None:
    created(tmp_path, wheels)
    assert doctor("undo", cwd=tmp_path).code == 0
    assert os.listdir(tmp_path) == []


def test_files_of_a_folder_in_which_the_environment_was_created_are_what_they_were(
    tmp_path: Path, wheels: Path
) -> None:
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    for name in ("notes.txt", "bin/activate", "bin/tool"):
        (tmp_path / ".venv" / name).write_text("mine\n", encoding="utf-8")
    before = Trees().of(tmp_path)
    created(tmp_path, wheels)
    assert doctor("undo", cwd=tmp_path).code == 0
    assert difference(before, Trees().of(tmp_path)) == {}


def test_packages_that_the_user_installed_keep_a_created_environment(tmp_path: Path, wheels: Path) -> None:
    site = created(tmp_path, wheels)
    info = site / "requests-2.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Name: requests\nVersion: 2.0\n", encoding="utf-8")
    before = without_state(fingerprint(tmp_path))
    answer = doctor("undo", cwd=tmp_path)
    assert (answer.code, without_state(fingerprint(tmp_path))) == (1, before)
    assert "requests 2.0" in answer.stderr
    assert doctor("undo", "--yes", cwd=tmp_path).code == 0
    assert names(tmp_path) == [".venv/lib/python3.11/site-packages/requests-2.0.dist-info/METADATA"]


def test_a_file_that_the_user_edited_refuses_undo_and_with_yes_is_set_aside(
    repaired: tuple[Path, Path, dict[str, str]],
) -> None:
    project, site, former = repaired
    for path in (site / "tiny" / "__init__.py", site / "tiny" / "only_in_2.py"):
        (site / "saved").write_text("mine\n", encoding="utf-8")
        (site / "saved").replace(path)  # as an editor does
    edited = fingerprint(project)
    answer = doctor("undo", cwd=project)
    assert (answer.code, fingerprint(project)) == (1, edited)
    assert "tiny/__init__.py" in answer.stderr
    done = doctor("undo", "--yes", "--format", "json", cwd=project)
    assert done.code == 0, done.stderr
    assert without_state(fingerprint(project)) == without_state(former)
    aside = Path(done.document["changes"][0]["aside"])
    assert {path: (aside / path).read_text() for path in names(aside)} == {
        f"lib/python3.11/site-packages/tiny/{name}": "mine\n" for name in ("__init__.py", "only_in_2.py")
    }


def test_files_that_the_user_added_to_a_changed_package_are_named_and_others_are_not(
    repaired: tuple[Path, Path, dict[str, str]],
) -> None:
    project, site, _ = repaired
    inside = ("tiny/mine.py", "tiny/data/my.csv", "tiny/extra/more.txt")
    elsewhere = ("other.py", "../../../bin/mytool", "paddlex/mine.py")
    for name in (*inside, *elsewhere, "tiny/__pycache__/mine.cpython-311.pyc"):
        (site / name).parent.mkdir(exist_ok=True)
        (site / name).write_text("mine\n", encoding="utf-8")
    named = sorted(f"lib/python3.11/site-packages/{name}" for name in inside)
    for words in (("undo", "--dry-run"), ("undo",)):
        answer = doctor(*words, "--format", "json", cwd=project)
        assert answer.code == 0, answer.stderr
        assert sorted(answer.document["changes"][0]["added"]) == named
    assert all((site / name).is_file() for name in (*inside, *elsewhere))


def test_a_file_of_the_user_in_the_place_of_a_folder_of_a_package_is_named(
    tmp_path: Path, wheels: Path
) -> None:
    site = build(tmp_path, FORMER, wheels)
    apply(tmp_path, install(Where(tmp_path, wheels, 1)))
    shutil.rmtree(site / "tiny" / "data")
    (site / "tiny" / "data").write_text("mine\n", encoding="utf-8")
    path = "lib/python3.11/site-packages/tiny/data"
    refused = doctor("undo", cwd=tmp_path)
    assert (refused.code, f"changed since (1): {path}." in refused.stderr) == (1, True), refused.stderr
    done = doctor("undo", "--yes", "--format", "json", cwd=tmp_path)
    assert done.code == 0, done.stdout
    shown = done.document["changes"][0]
    assert (shown["changed"], shown["kept"], shown["added"]) == ([path], [], [])
    assert (Path(shown["aside"]) / path).read_text(encoding="utf-8") == "mine\n"


def test_a_file_of_the_user_in_the_place_of_a_folder_that_is_new_stays_and_is_named(
    tmp_path: Path, wheels: Path
) -> None:
    site = build(tmp_path, replace(FORMER, tiny=None), wheels)
    apply(tmp_path, install(Where(tmp_path, wheels, 1)))
    shutil.rmtree(site / "tiny" / "data")
    (site / "tiny" / "data").write_text("mine\n", encoding="utf-8")
    done = doctor("undo", "--format", "json", cwd=tmp_path)
    assert done.document["changes"][0]["added"] == ["lib/python3.11/site-packages/tiny/data"]
    assert (site / "tiny" / "data").read_text(encoding="utf-8") == "mine\n"


def test_a_package_that_the_user_upgraded_since_refuses_undo(
    repaired: tuple[Path, Path, dict[str, str]],
) -> None:
    project, site, _ = repaired
    shutil.rmtree(site / "tiny-2.0.dist-info")
    (site / "tiny" / "__init__.py").unlink()  # it is a link to uv's cache
    (site / "tiny" / "__init__.py").write_text("version = '3.0'\n", encoding="utf-8")
    before = fingerprint(project)
    answer = doctor("undo", cwd=project)
    assert (answer.code, fingerprint(project)) == (1, before)
    assert "undo --yes" in answer.stderr


def test_a_dry_run_shows_what_would_happen_and_changes_nothing(
    repaired: tuple[Path, Path, dict[str, str]],
) -> None:
    project, site, _ = repaired
    (site / "tiny" / "mine.py").write_text("mine\n", encoding="utf-8")
    before = fingerprint(project)
    answer = doctor("undo", "--dry-run", "--format", "json", cwd=project)
    assert (answer.code, fingerprint(project)) == (0, before), answer.stderr
    assert (answer.document["undone"], answer.document["dry_run"]) == ([], True)
    shown = answer.document["changes"][0]
    assert (shown["transaction"], shown["changed"], shown["lost"]) == (1, [], [])
    assert shown["restored"] > 0
    assert shown["removed"] > 0
    assert doctor("undo", cwd=project).code == 0
    assert (site / "tiny" / "mine.py").read_text(encoding="utf-8") == "mine\n"


def refused_as_shown(project: Path, code: int, env: dict[str, str] | None = None) -> str:
    """Run `undo --dry-run` and then `undo`, which refuses; return the sentence that both print."""
    before = fingerprint(project)
    shown = doctor("undo", "--dry-run", cwd=project, env=env)
    assert (shown.code, fingerprint(project), shown.stderr) == (code, before, "")
    refused = doctor("undo", cwd=project, env=env)
    assert (refused.code, refused.stdout) == (code, "")
    sentence = " ".join(refused.stderr.split())
    assert sentence in " ".join(shown.stdout.split())
    return sentence


def test_a_dry_run_says_that_undo_refuses_because_of_a_changed_file_and_what_yes_does(
    repaired: tuple[Path, Path, dict[str, str]],
) -> None:
    project, site, _ = repaired
    (site / "saved").write_text("mine\n", encoding="utf-8")
    (site / "saved").replace(site / "tiny" / "__init__.py")
    assert "were changed since (1)" in refused_as_shown(project, 1)
    shown = doctor("undo", "--dry-run", "--yes", cwd=project)
    said = " ".join(shown.stdout.split())
    assert (shown.code, "refuse" in said, "would be moved to" in said) == (0, False, True)
    assert "tiny/__init__.py" in said


def test_a_dry_run_says_that_undo_refuses_because_of_an_installed_package(
    tmp_path: Path, wheels: Path
) -> None:
    site = created(tmp_path, wheels)
    info = site / "requests-2.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Name: requests\nVersion: 2.0\n", encoding="utf-8")
    assert "requests 2.0" in refused_as_shown(tmp_path, 1)
    assert doctor("undo", "--dry-run", "--yes", cwd=tmp_path).code == 0


def test_a_dry_run_says_that_undo_refuses_because_of_a_model_that_was_downloaded_again(
    tmp_path: Path,
) -> None:
    small_stack(tmp_path / ".venv")
    model = tmp_path / "hub" / "official_models" / "PaddleOCR-VL"
    model.mkdir(parents=True)
    (model / "config.json").write_text("{}", encoding="utf-8")
    for path in (model / "config.json", model):
        os.utime(path, (1e9, 1e9))
    env = {"PADDLE_PDX_CACHE_HOME": str(tmp_path / "hub")}
    doctor("fix", "--apply", "--only", "partial-model-cache", cwd=tmp_path, env=env)
    assert not model.exists()
    model.mkdir()
    assert "has been downloaded again" in refused_as_shown(tmp_path, 1, env)
    shown = doctor("undo", "--dry-run", "--yes", cwd=tmp_path, env=env)
    assert (shown.code, "It would be moved aside" in " ".join(shown.stdout.split())) == (0, True)
    done = doctor("undo", "--yes", "--format", "json", cwd=tmp_path, env=env)
    (returned,) = done.document["changes"][0]["returned"]
    assert (done.code, returned["path"]) == (0, str(model))


# --- copies and renamed projects ------------------------------------------------------------------------------


def test_undo_in_a_copy_of_a_project_touches_the_copy_only(
    repaired: tuple[Path, Path, dict[str, str]], tmp_path: Path
) -> None:
    project, _, former = repaired
    copy = tmp_path / "copy"
    subprocess.run(["cp", "-a", str(project), str(copy)], check=True)
    original = fingerprint(project)
    answer = doctor("undo", cwd=copy)
    assert answer.code == 0, answer.stderr
    assert fingerprint(project) == original
    inside = {path: what for path, what in former.items() if path.startswith(".venv/")}
    assert {path: what for path, what in fingerprint(copy).items() if path.startswith(".venv/")} == inside
    assert f"{project / 'pipelines'} lies outside" in " ".join(answer.stdout.split())
    assert doctor("undo", cwd=project).code == 0
    assert fingerprint(project) == former


def test_a_renamed_project_is_undone_with_its_link(
    repaired: tuple[Path, Path, dict[str, str]], tmp_path: Path
) -> None:
    project, _, former = repaired
    renamed = tmp_path / "renamed"
    project.rename(renamed)
    answer = doctor("undo", cwd=renamed)
    assert answer.code == 0, answer.stderr
    assert fingerprint(renamed) == former


@pytest.mark.parametrize("fails", [False, True])
def test_what_was_saved_in_a_file_before_uv_removes_it_is_kept_and_named(
    fails: bool, tmp_path: Path, wheels: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = build(tmp_path, FORMER, wheels)
    module = site / "tiny" / "__init__.py"

    def save_before(*given: Any) -> Installed:
        saved = module.with_name("saved")
        saved.write_text("# mine\n", encoding="utf-8")
        saved.replace(module)
        time.sleep(1)  # as long as uv needs until it removes the former version, at least
        done = uv.install(*given)
        if fails:
            raise UvError("the network was cut")
        return done

    monkeypatch.setattr(steps, "install", save_before)
    step = replace(install(Where(tmp_path, wheels, 1)), diff="~ tiny 1.0 -> 2.0")
    venv = tmp_path / ".venv"
    with locked(venv), pytest.raises(ApplyFailedError) if fails else nullcontext() as failed:
        done = apply_plan(RealSystem(), Plan((step,)), venv, python_in(venv), lambda _: nullcontext())
    aside = venv / STATE_FOLDER / "set-aside" / "0001" / module.relative_to(venv)
    assert aside.read_text(encoding="utf-8") == "# mine\n"
    said = str(failed.value if failed else done.outcomes[0].message)
    assert "while they were being installed (1): lib/python3.11/site-packages/tiny/__init__.py" in said
    assert module.read_text(encoding="utf-8") == f"version = '{'1.0' if fails else '2.0'}'\n"


def test_what_was_saved_when_the_tree_had_just_been_kept_is_kept_and_named(
    tmp_path: Path, wheels: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = build(tmp_path, FORMER, wheels)
    module = site / "tiny" / "__init__.py"
    keep_tree = installs.keep_tree

    def save_after(*given: Any, **named: Any) -> None:
        keep_tree(*given, **named)
        module.with_name("saved").write_text("# mine\n", encoding="utf-8")
        module.with_name("saved").replace(module)

    monkeypatch.setattr(installs, "keep_tree", save_after)
    apply(tmp_path, replace(install(Where(tmp_path, wheels, 1)), diff="~ tiny 1.0 -> 2.0"))
    aside = tmp_path / ".venv" / STATE_FOLDER / "set-aside" / "0001" / module.relative_to(tmp_path / ".venv")
    assert (module.read_text(), aside.read_text()) == ("version = '2.0'\n", "# mine\n")


def test_an_edit_of_a_file_that_uv_has_just_written_is_kept(
    tmp_path: Path, wheels: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = build(tmp_path, FORMER, wheels)
    module = site / "tiny" / "__init__.py"

    def edit_after(*given: Any) -> Installed:
        done = uv.install(*given)
        if "--reinstall-package" not in given[1]:
            edited = module.with_name("saved")
            edited.write_text("# mine\n", encoding="utf-8")
            edited.replace(module)
        return done

    monkeypatch.setattr(steps, "install", edit_after)
    apply(tmp_path, install(Where(tmp_path, wheels, 1)))
    aside = tmp_path / ".venv" / STATE_FOLDER / "set-aside" / "0001" / module.relative_to(tmp_path / ".venv")
    assert (module.read_text(), aside.read_text()) == ("version = '2.0'\n", "# mine\n")


def test_undo_with_yes_sets_the_version_aside_that_the_user_installed_since(
    repaired: tuple[Path, Path, dict[str, str]], tmp_path: Path
) -> None:
    project, site, former = repaired
    write_wheel(tmp_path, "3.0")
    argv = (find_uv_bin(), "pip", "install", "--quiet", "--offline", "--no-index", "--python")
    python = python_in(project / ".venv")
    subprocess.run([*argv, str(python), str(tmp_path / "tiny-3.0-py3-none-any.whl")], check=True)
    shown = doctor("undo", "--dry-run", "--format", "json", cwd=project).document["changes"][0]["changed"]
    refused = doctor("undo", "--to", "0", cwd=project)
    assert (refused.code, f"changed since ({len(shown)})" in " ".join(refused.stderr.split())) == (1, True)
    assert "undo --yes --to 0" in " ".join(refused.stderr.split())
    done = doctor("undo", "--yes", "--to", "0", "--format", "json", cwd=project)
    assert done.code == 0, done.stderr
    assert set(done.document["changes"][0]["changed"]) == set(shown)
    rest = {
        path: what for path, what in fingerprint(project).items() if f"{STATE_FOLDER}/set-aside" not in path
    }
    assert without_locks(rest) == without_locks(former)
    aside = project / ".venv" / STATE_FOLDER / "set-aside" / "0001" / site.relative_to(project / ".venv")
    assert "3.0" in (aside / "tiny" / "__init__.py").read_text(encoding="utf-8")
    assert (aside / "tiny-3.0.dist-info" / "RECORD").is_file()


def test_a_folder_of_a_package_that_became_a_link_is_named_and_undone_without_it(
    repaired: tuple[Path, Path, dict[str, str]], tmp_path: Path
) -> None:
    project, site, former = repaired
    (site / "paddlex").rename(tmp_path / "checkout")
    (site / "paddlex").symlink_to(tmp_path / "checkout")
    refused = doctor("undo", cwd=project)
    assert refused.code == 5
    assert f"behind the link {site / 'paddlex'}" in refused.stderr.replace(
        str(project.resolve()), str(project)
    )
    (site / "paddlex").unlink()
    (tmp_path / "checkout").rename(site / "paddlex")
    assert doctor("undo", cwd=project).code == 0
    assert without_locks(fingerprint(project)) == without_locks(former)


@pytest.mark.parametrize("place", [STATE_FOLDER, f"{STATE_FOLDER}/transactions"])
def test_a_file_in_the_place_of_the_records_is_named(place: str, tmp_path: Path, wheels: Path) -> None:
    build(tmp_path, FORMER, wheels)
    (tmp_path / ".venv" / place).parent.mkdir(exist_ok=True)
    (tmp_path / ".venv" / place).write_text("mine", encoding="utf-8")
    for words in (("fix", "--apply"), ("undo",), ("undo", "--dry-run"), ("undo", "--list")):
        refused = doctor(*words, cwd=tmp_path)
        assert (refused.code, "is a file, in the place" in refused.stderr) == (1, True), refused.stderr


def test_an_edit_that_keeps_size_and_time_is_an_edit(repaired: tuple[Path, Path, dict[str, str]]) -> None:
    project, site, _ = repaired
    module = site / "tiny" / "__init__.py"
    found, words = module.stat(), module.read_text(encoding="utf-8")
    module.with_name("saved").write_text(words.upper(), encoding="utf-8")
    module.with_name("saved").replace(module)
    os.utime(module, ns=(found.st_atime_ns, found.st_mtime_ns))
    refused = doctor("undo", cwd=project)
    assert (refused.code, "tiny/__init__.py" in refused.stderr) == (1, True)
    assert module.read_text(encoding="utf-8") == words.upper()


def test_a_patched_file_that_was_removed_with_its_package_does_not_come_back(
    repaired: tuple[Path, Path, dict[str, str]],
) -> None:
    project, site, _ = repaired
    shutil.rmtree(site / "paddlex")
    done = doctor("undo", cwd=project)
    assert (done.code, (site / "paddlex").exists()) == (0, False), done.stderr
    assert "1.0" in (site / "tiny" / "__init__.py").read_text(encoding="utf-8")


def test_an_undo_that_stops_between_two_files_is_continued_and_loses_none(
    repaired: tuple[Path, Path, dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The user's version of the patched file is moved aside, and the former one does not come back at once."""
    project, _, former = repaired
    now = fingerprint(project)
    (name,) = (path for path in former if path.endswith("/pipeline_v2.py") and now[path] != former[path])
    patched = project / name
    patched.with_name("saved").write_text("# mine\n", encoding="utf-8")
    patched.with_name("saved").replace(patched)
    put_back = entries.put_back

    def fail(keep: Path, leaf: Path) -> None:
        if leaf == patched:
            raise OSError("the disk is gone")
        put_back(keep, leaf)

    monkeypatch.setattr(entries, "put_back", fail)
    with pytest.raises(UndoNeededError, match="the disk is gone"):
        undo_command(
            RealSystem(), TargetOptions(venv=str(project / ".venv")), lambda _: nullcontext(), yes=True
        )
    assert not patched.exists()
    monkeypatch.undo()
    assert doctor("undo", cwd=project).code == 0
    rest = {
        path: what for path, what in fingerprint(project).items() if f"{STATE_FOLDER}/set-aside" not in path
    }
    assert without_locks(rest) == without_locks(former)


def test_what_undo_to_a_number_cannot_do_is_said(repaired: tuple[Path, Path, dict[str, str]]) -> None:
    project, _, _ = repaired
    before = fingerprint(project)
    newer = doctor("undo", "--to", "5", cwd=project)
    assert (newer.code, newer.stderr) == (
        2,
        "No transaction is newer than 5: the newest is 1. Nothing was undone.\n",
    )
    assert doctor("undo", "--to", "-1", cwd=project).code == 2
    journal = project / ".venv" / STATE_FOLDER / "transactions" / "0001"
    (journal / "commit.json").unlink()
    lines = (journal / "journal.jsonl").read_bytes().splitlines(keepends=True)
    (journal / "journal.jsonl").write_bytes(b"".join(lines[:-1]))
    shown = doctor("undo", "--dry-run", cwd=project)
    assert (shown.code, "Transaction 1 was interrupted" in shown.stderr) == (2, True), shown.stderr
    (journal / "journal.jsonl").write_bytes(b"".join(lines))
    assert without_state(fingerprint(project)) == without_state(before)


@pytest.mark.parametrize("kind", ["file", "link"])
def test_something_in_the_place_of_the_folder_for_changed_files_is_refused_before_any_change(
    kind: str, repaired: tuple[Path, Path, dict[str, str]]
) -> None:
    project, site, _ = repaired
    (site / "tiny" / "__init__.py").unlink()
    (site / "tiny" / "__init__.py").write_text("# mine\n", encoding="utf-8")
    aside = project / ".venv" / STATE_FOLDER / "set-aside"
    if kind == "file":
        aside.write_text("", encoding="utf-8")
    else:
        (aside / "0001").mkdir(parents=True)
        (aside / "0001" / "lib").symlink_to(project / ".venv" / "lib")
    before = fingerprint(project)
    refused = doctor("undo", "--yes", cwd=project)
    assert (refused.code, str(aside) in refused.stderr) == (1, True), refused.stderr
    assert without_locks(fingerprint(project)) == without_locks(before)


def test_the_users_files_are_named_if_only_a_part_can_be_put_back(
    repaired: tuple[Path, Path, dict[str, str]],
) -> None:
    project, site, _ = repaired
    next((project / ".venv" / STATE_FOLDER).rglob("only_in_1.py")).unlink()
    module = site / "tiny" / "__init__.py"
    module.unlink()
    module.write_text("# mine\n", encoding="utf-8")
    done = doctor("undo", "--yes", cwd=project)
    assert done.code == 5
    assert "lib/python3.11/site-packages/tiny/__init__.py" in done.stderr
    aside = project / ".venv" / STATE_FOLDER / "set-aside" / "0001" / module.relative_to(project / ".venv")
    assert aside.read_text(encoding="utf-8") == "# mine\n"


def test_an_interrupt_at_the_end_of_an_undo_says_that_it_is_undone(
    repaired: tuple[Path, Path, dict[str, object]], monkeypatch: pytest.MonkeyPatch
) -> None:
    project, _, former = repaired

    def interrupted(*given: object, **named: object) -> UndoPreview:
        undo(*given, **named)  # type: ignore[arg-type]
        raise KeyboardInterrupt

    monkeypatch.setattr(undo_module, "undo", interrupted)
    with pytest.raises(KeyboardInterrupt) as caught:
        undo_command(RealSystem(), TargetOptions(venv=str(project / ".venv")), lambda _: nullcontext())
    assert caught.value.args == (message("interrupted-undone", numbers=[1]),)
    assert without_locks(fingerprint(project)) == without_locks(former)  # type: ignore[arg-type]


# --- damage ---------------------------------------------------------------------------------------------------

Damage = Callable[[Path, random.Random], None]


def cut_lines(transaction: Path, chance: random.Random) -> None:
    lines = (transaction / "journal.jsonl").read_bytes().splitlines(keepends=True)
    (transaction / "journal.jsonl").write_bytes(b"".join(lines[: chance.randrange(len(lines))]))


def cut_bytes(transaction: Path, chance: random.Random) -> None:
    data = (transaction / "journal.jsonl").read_bytes()
    (transaction / "journal.jsonl").write_bytes(data[: chance.randrange(len(data) - 1)])


def flip_byte(transaction: Path, chance: random.Random) -> None:
    data = bytearray((transaction / "journal.jsonl").read_bytes())
    data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    (transaction / "journal.jsonl").write_bytes(bytes(data))


def drop_line(transaction: Path, chance: random.Random) -> None:
    lines = (transaction / "journal.jsonl").read_bytes().splitlines(keepends=True)
    del lines[chance.randrange(len(lines))]
    (transaction / "journal.jsonl").write_bytes(b"".join(lines))


def garbage(transaction: Path, chance: random.Random) -> None:
    (transaction / "journal.jsonl").write_bytes(chance.randbytes(chance.randrange(1, 400)))


def other_json(transaction: Path, chance: random.Random) -> None:
    (transaction / "journal.jsonl").write_text(chance.choice(["{}\n", "[]\n", "null\n", '{"event": 3}\n']))


def empty(transaction: Path, _: random.Random) -> None:
    (transaction / "journal.jsonl").write_bytes(b"")


def missing(transaction: Path, _: random.Random) -> None:
    (transaction / "journal.jsonl").unlink()


def kept_files(transaction: Path) -> list[Path]:
    skipped = ("journal.jsonl", "commit.json", "before.json")
    return sorted(p for p in transaction.rglob("*") if p.is_file() and p.name not in skipped)


def lose_kept_file(transaction: Path, chance: random.Random) -> None:
    chance.choice(kept_files(transaction)).unlink()


def change_kept_file(transaction: Path, chance: random.Random) -> None:
    path = chance.choice(kept_files(transaction))
    path.chmod(0o644)
    path.write_bytes(path.read_bytes() + b"x")


def lose_commit(transaction: Path, _: random.Random) -> None:
    (transaction / "commit.json").unlink()


def damage_commit(transaction: Path, chance: random.Random) -> None:
    (transaction / "commit.json").write_text(chance.choice(["", "{}", '{"lines": 1, "sum": "0"}', "x"]))


DAMAGES: tuple[Damage, ...] = (
    *(cut_lines, cut_bytes, flip_byte, drop_line, garbage, other_json, empty, missing),
    *(lose_kept_file, change_kept_file, lose_commit, damage_commit),
)


@pytest.fixture(scope="module")
def committed(tmp_path_factory: pytest.TempPathFactory, wheels: Path) -> Iterator[tuple[Path, Path]]:
    """Return a project before and after a repair."""
    before, after = (tmp_path_factory.mktemp("damaged") / name for name in ("before", "after"))
    build(before, FORMER, wheels)
    build(after, FORMER, wheels)
    original = steps.prove_all
    steps.prove_all = lambda _, names, __: dict.fromkeys(names, Proof(True, "left out"))  # type: ignore[attr-defined]
    where = Where(after, wheels, 1)
    apply(after, install(where), patch(Where(after, wheels, 0)), activation(where))
    steps.prove_all = original  # type: ignore[attr-defined]
    yield before, after


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_no_damage_to_a_journal_or_to_kept_files_is_called_undone(
    damage: Damage, committed: tuple[Path, Path], tmp_path: Path
) -> None:
    """A hundred damages: each is refused with everything kept, or the former state really is back."""
    before, after = committed
    former = without_state(fingerprint(before))
    chance = random.Random(damage.__name__)  # noqa: S311 - no secret
    for number in range(9):
        project = tmp_path / str(number)
        subprocess.run(["cp", "-a", str(after), str(project)], check=True)
        state = project / ".venv" / STATE_FOLDER
        damage(state / "transactions" / "0001", chance)
        found = fingerprint(project)
        options = TargetOptions(venv=str(project / ".venv"))
        try:
            undo_command(RealSystem(), options, lambda _: nullcontext())
        except UndoNeededError as error:
            assert without_locks(fingerprint(project)) == without_locks(found), str(error)
            _salvage(project, options, found)
        except DoctorError as error:
            raise AssertionError(f"{damage.__name__} {number}: {error}") from error
        else:
            assert without_state(fingerprint(project)) == former, (damage.__name__, number)


def _salvage(project: Path, options: TargetOptions, found: dict[str, str]) -> None:
    """With --yes, what can be put back is put back, and no byte is lost: it is there, or kept aside."""
    with pytest.raises(UndoNeededError):
        undo_command(RealSystem(), options, lambda _: nullcontext(), yes=True)
    kept = {what for path, what in found.items() if "/kept" in path or STATE_FOLDER in path}
    lost = {what for what in kept if what not in fingerprint(project).values()}
    assert lost == set()
    assert os.listdir(project / ".venv" / STATE_FOLDER / "damaged")
    repaired = project / ".venv" / STATE_FOLDER / "transactions"
    assert not repaired.exists() or os.listdir(repaired) == []


def changed_lines(change: Callable[[list[bytes]], list[bytes]]) -> Damage:
    def damage(transaction: Path, _: random.Random) -> None:
        lines = (transaction / "journal.jsonl").read_bytes().splitlines(keepends=True)
        (transaction / "journal.jsonl").write_bytes(b"".join(change(lines)))

    return damage


def folder_as_journal(transaction: Path, _: random.Random) -> None:
    (transaction / "journal.jsonl").unlink()
    (transaction / "journal.jsonl").mkdir()


def empty_commit(transaction: Path, _: random.Random) -> None:
    (transaction / "commit.json").write_bytes(b"")


def lose_list(transaction: Path, _: random.Random) -> None:
    next(transaction.glob("*/entries.json")).unlink()


SHOWN: dict[str, Damage] = {
    "line-missing": changed_lines(lambda lines: [lines[0], *lines[2:]]),
    "lines-swapped": changed_lines(lambda lines: [lines[0], lines[2], lines[1], *lines[3:]]),
    "crlf": changed_lines(lambda lines: [line.replace(b"\n", b"\r\n") for line in lines]),
    "byte-order-mark": changed_lines(lambda lines: [b"\xef\xbb\xbf", *lines]),
    "last-line-twice": changed_lines(lambda lines: [*lines, lines[-1]]),
    "last-line-cut": changed_lines(lambda lines: [*lines[:-1], lines[-1][:-9]]),
    "folder": folder_as_journal,
    "empty-commit": empty_commit,
    "list-missing": lose_list,
    "kept-file-missing": lose_kept_file,
}


@pytest.mark.parametrize("name", SHOWN)
def test_a_dry_run_of_a_damaged_repair_says_what_undo_says(
    name: str, committed: tuple[Path, Path], tmp_path: Path
) -> None:
    project = tmp_path / "project"
    subprocess.run(["cp", "-a", str(committed[1]), str(project)], check=True)
    transaction = project / ".venv" / STATE_FOLDER / "transactions" / "0001"
    SHOWN[name](transaction, random.Random(name))  # noqa: S311 - no secret
    before = fingerprint(project)
    shown = doctor("undo", "--dry-run", "--format", "json", cwd=project)
    assert (shown.code, fingerprint(project)) == (5, before), shown.stderr
    refused = doctor("undo", "--format", "json", cwd=project)
    assert refused.code == 5
    change = shown.document["changes"][0]
    assert change["refusal"] == refused.document["error"]
    count = refused.document["error"]["message_message"]["params"]["reason"]["params"]["count"]
    assert change["restored"] + change["removed"] >= count > 0
    listed = doctor("undo", "--list", "--format", "json", cwd=project).document["transactions"]
    assert [row["state"] for row in listed] == ["committed" if name == "kept-file-missing" else "damaged"]


def test_a_damaged_journal_is_exit_code_5_and_says_what_can_be_put_back(
    repaired: tuple[Path, Path, dict[str, str]],
) -> None:
    project, site, _ = repaired
    transaction = project / ".venv" / STATE_FOLDER / "transactions" / "0001"
    next(p for p in transaction.rglob("only_in_1.py")).unlink()
    before = fingerprint(project)
    answer = doctor("undo", cwd=project)
    assert (answer.code, fingerprint(project), answer.stdout) == (5, before, "")
    assert "only_in_1.py" in answer.stderr
    assert "Files that can still be restored: " in answer.stderr
    done = doctor("undo", "--yes", cwd=project)
    assert (done.code, done.stdout) == (5, "")
    assert "damaged" in done.stderr
    assert "1.0" in (site / "tiny" / "__init__.py").read_text(encoding="utf-8")


def test_check_reports_a_damaged_journal_until_it_is_out_of_the_way(
    repaired: tuple[Path, Path, dict[str, str]],
) -> None:
    project, _, former = repaired
    transaction = project / ".venv" / STATE_FOLDER / "transactions" / "0001"
    (transaction / "commit.json").unlink()
    lines = (transaction / "journal.jsonl").read_bytes().splitlines(keepends=True)
    (transaction / "journal.jsonl").write_bytes(b"".join([*lines[:-1], b"garbage\n"]))
    found = doctor("check", "--format", "json", cwd=project)
    assert found.statuses("damaged-journal", "interrupted-repair") == {
        "damaged-journal": "warning",
        "interrupted-repair": "ok",
    }
    assert (doctor("fix", "--apply", cwd=project).code, doctor("undo", "--yes", cwd=project).code) == (5, 5)
    assert without_locks(without_state(fingerprint(project))) == without_locks(without_state(former))
    assert doctor("check", "--format", "json", cwd=project).statuses("damaged-journal") == {
        "damaged-journal": "ok"
    }


def test_a_journal_of_version_1_is_refused_and_kept_and_does_not_stop_a_repair(
    tmp_path: Path, wheels: Path
) -> None:
    site = build(tmp_path, FORMER, wheels)
    folder = tmp_path / ".venv" / STATE_FOLDER / "transactions" / "0001"
    folder.mkdir(parents=True)
    undo = {"roots": {"s/0": str(site)}}
    events: list[dict[str, object]] = [
        {"event": "begin", "doctor": "0.1.0", "python": "x", "plan": {}},
        {"event": "intent", "step": "s", "runner": "install-packages", "undo": undo},
        {"event": "commit", "distributions": {}},
    ]
    (folder / "journal.jsonl").write_text(
        "".join(json.dumps(event) + "\n" for event in events), encoding="utf-8"
    )
    before = fingerprint(tmp_path)
    answer = doctor("undo", cwd=tmp_path)
    assert (answer.code, without_locks(fingerprint(tmp_path))) == (5, without_locks(before))
    assert "paddlevl-doctor 0.1" in answer.stderr
    apply(tmp_path, install(Where(tmp_path, wheels, 1)))
    assert doctor("undo", cwd=tmp_path).code == 0
    assert fingerprint(tmp_path) == before


def remove_python(venv: Path) -> None:
    (venv / "bin" / "python").unlink()
    (venv / "bin" / "python").symlink_to(venv / "gone" / "python")


def remove_settings(venv: Path) -> None:
    (venv / "pyvenv.cfg").unlink()


@pytest.mark.parametrize("damage", [remove_python, remove_settings])
def test_an_environment_whose_python_is_gone_is_set_aside_whole_and_brought_back(
    damage: Callable[[Path], None], tmp_path: Path, wheels: Path
) -> None:
    """A plan for it: see test_whole_environment. The former content comes back also where new files are in the way."""
    site = build(tmp_path, FORMER, wheels)
    damage(tmp_path / ".venv")
    before = Trees().of(tmp_path)
    planned = doctor("fix", "--format", "json", cwd=tmp_path).document["plan"]["steps"]
    assert [step["kind"] for step in planned][:2] == ["set-environment-aside", "create-environment"]
    assert "- paddlex 3.7.2" in planned[0]["diff"].splitlines()
    words = ("uv", "venv", "--allow-existing", "--python", str(interpreter("3.11")), str(tmp_path / ".venv"))
    aside = SetEnvironmentAside(id="set-environment-aside", summary="aside")
    create = CreateEnvironment(
        id="create", summary="create", commands=(words,), prefix=str(tmp_path / ".venv")
    )
    apply(tmp_path, aside, create, install(Where(tmp_path, wheels, 1)))
    assert not (site / "paddlex").exists()
    assert (
        doctor("undo", "--dry-run", "--format", "json", cwd=tmp_path).document["changes"][0]["changed"] == []
    )
    (site / "mine.txt").write_text("mine\n", encoding="utf-8")
    answer = doctor("undo", cwd=tmp_path)
    assert (answer.code, (site / "mine.txt").exists()) == (1, True), answer.stdout
    assert "lib" in answer.stderr
    assert doctor("undo", "--yes", cwd=tmp_path).code == 0
    kept = tmp_path / ".venv" / STATE_FOLDER / "set-aside" / "0001"
    assert [path.read_text() for path in kept.rglob("mine.txt")] == ["mine\n"]
    shutil.rmtree(tmp_path / ".venv" / STATE_FOLDER)
    assert difference(before, Trees().of(tmp_path)) == {}


def interrupt(folder: Path, step: Step) -> None:
    """Install tiny 2.0 and leave what a kill of the doctor leaves while uv runs."""
    apply(folder, replace(step, requirements=("tiny==2.0",)))
    cut_after_intent(folder)


def cut_after_intent(folder: Path) -> None:
    """Make a committed transaction one that was killed while its last installer ran."""
    transaction = folder / ".venv" / STATE_FOLDER / "transactions" / "0001"
    journal = transaction / "journal.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    assert [json.loads(line)["event"] for line in lines[-4:]] == ["keep", "intent", "done", "commit"]
    journal.write_bytes(b"".join(lines[:-2]))
    for name in ("commit.json", "install-packages/entries.json"):
        (transaction / name).unlink()


def test_a_version_that_the_user_installed_after_a_kill_stays_and_is_named(
    tmp_path: Path, wheels: Path
) -> None:
    site = build(tmp_path, FORMER, wheels)
    interrupt(tmp_path, install(Where(tmp_path, wheels, 1)))
    write_wheel(tmp_path, "3.0")
    argv = (find_uv_bin(), "pip", "install", "--quiet", "--offline", "--no-index", "--python")
    subprocess.run([*argv, python_in(tmp_path / ".venv"), tmp_path / "tiny-3.0-py3-none-any.whl"], check=True)
    mine = {path: what for path, what in fingerprint(site).items() if "tiny" in path}
    folders = list(site.glob("tiny*"))
    answer = doctor("undo", cwd=tmp_path)
    assert (answer.code, "tiny-3.0.dist-info" in answer.stdout) == (0, True), answer
    assert {path: what for path, what in fingerprint(site).items() if "tiny" in path} == mine
    assert list(site.glob("tiny*")) == folders
    assert doctor("undo", cwd=tmp_path).code == 2, "nothing is left to undo"


def test_a_script_that_the_user_wrote_after_a_kill_is_not_lost(tmp_path: Path) -> None:
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    write_wheel(wheels, "1.0")
    write_wheel(wheels, "2.0", script="tiny-command")
    site = build(tmp_path, FORMER, wheels)
    interrupt(tmp_path, install(Where(tmp_path, wheels, 1)))
    script = tmp_path / ".venv" / "bin" / "tiny-command"
    written = script.read_text(encoding="utf-8")
    (site / "tiny-2.0.dist-info" / "RECORD").unlink()  # uv writes it last
    assert doctor("undo", "--format", "json", cwd=tmp_path).code == 0
    assert not script.exists(), f"a script of uv is taken back: {written}"

    interrupt(tmp_path, install(Where(tmp_path, wheels, 1)))
    (site / "tiny-2.0.dist-info" / "RECORD").unlink()
    script.write_text("MY WORK\n", encoding="utf-8")
    answer = doctor("undo", cwd=tmp_path)
    assert (answer.code, "bin/tiny-command" in answer.stdout) == (0, True), answer
    assert script.read_text(encoding="utf-8") == "MY WORK\n"


def test_an_edit_of_an_installed_file_after_a_kill_is_set_aside_and_not_lost(
    tmp_path: Path, wheels: Path
) -> None:
    site = build(tmp_path, FORMER, wheels)
    former = without_state(fingerprint(tmp_path))
    interrupt(tmp_path, install(Where(tmp_path, wheels, 1)))
    for name in ("__init__.py", "only_in_2.py"):
        (site / "saved").write_text("my edit\n", encoding="utf-8")
        (site / "saved").replace(site / "tiny" / name)
    answer = doctor("undo", cwd=tmp_path)
    assert answer.code == 0, answer.stderr
    texts = [
        path.read_text() for path in tmp_path.rglob("*.py*") if path.is_file() and path.stat().st_size < 99
    ]
    assert texts.count("my edit\n") == 2, "one is kept in place, one is set aside"
    found = without_state(fingerprint(tmp_path))
    assert {p: w for p, w in found.items() if not p.endswith("only_in_2.py")} == former


AFTER_A_KILL = (
    ("undo",),
    ("fix", "--apply", "--only", "interrupted-repair"),
    ("fix", "--apply", "--wheelhouse", "none"),
)
"""Commands that roll back what was killed. The last one ends with an error after that."""


@pytest.mark.parametrize("words", AFTER_A_KILL, ids=" ".join)
def test_what_is_set_aside_or_stays_after_a_kill_is_named(
    words: tuple[str, ...], tmp_path: Path, wheels: Path
) -> None:
    site = build(tmp_path, FORMER, wheels)
    interrupt(tmp_path, install(Where(tmp_path, wheels, 1)))
    for name in ("__init__.py", "only_in_2.py"):
        (site / "saved").write_text("my edit\n", encoding="utf-8")
        (site / "saved").replace(site / "tiny" / name)
    (site / "tiny" / "mine.py").write_text("mine\n", encoding="utf-8")
    answer = doctor(*words, cwd=tmp_path)
    aside = tmp_path / ".venv" / STATE_FOLDER / "set-aside" / "0001"
    said, inside = "".join((answer.stdout + answer.stderr).split()), "lib/python3.11/site-packages/tiny"
    assert f"weremovedto{aside}(1):{inside}/__init__.py" in said
    assert f"werekept(1):{inside}/only_in_2.py" in said
    assert f"didnotwritestaywheretheyare(1):{inside}/mine.py" in said


def test_what_fix_set_aside_after_a_kill_is_in_its_document_and_in_chinese(
    tmp_path: Path, wheels: Path
) -> None:
    site = build(tmp_path, FORMER, wheels)
    interrupt(tmp_path, install(Where(tmp_path, wheels, 1)))
    (site / "saved").write_text("my edit\n", encoding="utf-8")
    (site / "saved").replace(site / "tiny" / "__init__.py")
    subprocess.run(["cp", "-a", str(tmp_path / ".venv"), str(tmp_path / "other")], check=True)
    words = ("fix", "--apply", "--only", "interrupted-repair")
    found = doctor(*words, "--format", "json", cwd=tmp_path).document
    path = "lib/python3.11/site-packages/tiny/__init__.py"
    assert (found["recovered"], found["recovery"]["changed"], found["recovery"]["kept"]) == (1, [path], [])
    assert Path(found["recovery"]["aside"], path).read_text(encoding="utf-8") == "my edit\n"
    said = doctor(*words, "--lang", "zh", "--venv", "other", cwd=tmp_path).stdout
    assert ("1 个之后被修改的文件已移到" in said, path in "".join(said.split())) == (True, True)


@pytest.mark.parametrize("words", [("undo",), ("fix", "--apply", "--wheelhouse", "none")], ids=" ".join)
def test_files_that_stay_after_a_killed_creation_are_named(
    words: tuple[str, ...], tmp_path: Path, wheels: Path
) -> None:
    site = created(tmp_path, wheels)
    cut_after_intent(tmp_path)
    for path in (tmp_path / ".venv/mine/f", site / "mymod.py"):
        path.parent.mkdir(exist_ok=True)
        path.write_text("mine\n", encoding="utf-8")
    answer = doctor(*words, cwd=tmp_path)
    kept = ["lib/python3.11/site-packages/mymod.py", "mine/f"]
    assert names(tmp_path / ".venv") == kept
    said = " ".join((answer.stdout + answer.stderr).split())
    assert "did not write stay where they are (2):" in said
    assert all(path in said for path in kept)


def test_undo_leaves_the_modes_and_places_of_folders_that_the_repair_did_not_touch(
    repaired: tuple[Path, Path, dict[str, str]],
) -> None:
    project, site, _ = repaired
    other = site / "paddlex" / "configs"
    other.chmod(0o2775)
    moved = site / "paddlex" / "inference"
    moved.rename(project / "inference")
    moved.write_text("mine\n", encoding="utf-8")
    answer = doctor("undo", "--yes", cwd=project)
    assert answer.code == 0, answer.stderr
    assert other.stat().st_mode & 0o7777 == 0o2775
    kept = [path for path in (project / ".venv").rglob("inference*") if path.is_file()]
    assert [path.read_text(encoding="utf-8") for path in kept] == ["mine\n"]


def test_all_of_several_transactions_are_undone_or_none(tmp_path: Path, wheels: Path) -> None:
    site = build(tmp_path, FORMER, wheels)
    apply(tmp_path, install(Where(tmp_path, wheels, 1)))
    apply(tmp_path, activation(Where(tmp_path, wheels, 1)))
    (site / "saved").write_text("mine\n", encoding="utf-8")
    (site / "saved").replace(site / "tiny" / "__init__.py")
    before = fingerprint(tmp_path)
    answer = doctor("undo", "--to", "0", cwd=tmp_path)
    assert (answer.code, without_locks(fingerprint(tmp_path))) == (1, without_locks(before)), answer.stdout
    assert doctor("undo", cwd=tmp_path).code == 0, "the newer one alone is not changed"


def test_a_copy_by_hard_links_leaves_the_undo_of_the_original(
    repaired: tuple[Path, Path, dict[str, str]], tmp_path: Path
) -> None:
    project, _, former = repaired
    subprocess.run(["cp", "-al", str(project), str(tmp_path / "copy")], check=True)
    assert doctor("undo", cwd=tmp_path / "copy").code == 0
    assert doctor("undo", cwd=project).code == 0
    assert fingerprint(project) == former
