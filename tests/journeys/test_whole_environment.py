"""`check --integrity` on a real environment: every file of every package."""

from __future__ import annotations

from pathlib import Path

from doctor import doctor
from environments import environment, fresh_copy, python_in

IDS = ("half-installed-dist", "uv-cache-contamination", "altered-files")


def findings(folder: Path, python: Path) -> dict[str, tuple[str, list[str]]]:
    answer = doctor("check", "--integrity", "--python", python, "--format", "json", cwd=folder)
    found = {f["id"]: f for f in answer.document["findings"]}
    return {name: (found[name]["status"], [e["value"] for e in found[name]["evidence"]]) for name in IDS}


def stats(folder: Path) -> dict[Path, tuple[int, int, int]]:
    """Return what changes of everything below a folder where something is written into it; nothing is read."""
    found = {path: path.lstat() for path in folder.rglob("*")}
    return {path: (stat.st_ino, stat.st_size, stat.st_mtime_ns) for path, stat in found.items()}


def test_a_healthy_environment_is_whole_and_nothing_is_written_into_it(tmp_path: Path) -> None:
    venv = environment("current-311")
    before = stats(venv)
    seen = findings(tmp_path, python_in(venv))
    assert stats(venv) == before
    status, evidence = seen.pop("altered-files")  # this machine may have added a certificate of its own
    assert status == "ok" or (status, evidence) == ("note", ["altered: certifi/cacert.pem"])
    (words,) = {value for _, (value,) in seen.values()}
    assert {status for status, _ in seen.values()} == {"ok"}
    assert int(words.split()[0]) > 15_000


def test_damage_outside_of_the_stack_is_named_exactly_and_our_own_patches_are_none(tmp_path: Path) -> None:
    venv = fresh_copy("current-311", tmp_path / ".venv")
    site = next(venv.glob("lib/*/site-packages"))
    assert doctor("fix", "--apply", "--only", "use-doc-preprocessor", cwd=tmp_path).code == 0
    patched, _ = findings(tmp_path, python_in(venv))["altered-files"]
    assert findings(tmp_path, python_in(venv))["uv-cache-contamination"][0] == "ok"
    assert patched == "note"

    (site / "yaml/loader.py").unlink()
    for name in ("requests/api.py", "PIL/Image.py"):
        path = site / name
        path.with_name("copy").write_bytes(path.read_bytes() + b"\n# edited\n")
        path.with_name("copy").replace(path)
    (tmp_path / "another-environment").hardlink_to(site / "PIL/Image.py")
    seen = findings(tmp_path, python_in(venv))
    assert seen["half-installed-dist"] == ("error", ["missing: yaml/loader.py"])
    assert seen["uv-cache-contamination"] == ("warning", ["altered: PIL/Image.py"])
    assert seen["altered-files"][0] == "note"
    own = {"altered: certifi/cacert.pem"}  # as above
    assert set(seen["altered-files"][1]) - own == {"altered: PIL/Image.py", "altered: requests/api.py"}


def test_without_a_target_and_with_a_recording_it_says_so(tmp_path: Path) -> None:
    nothing = doctor("check", "--integrity", "--format", "json", cwd=tmp_path)
    assert nothing.document["target"] is None
    refused = doctor("check", "--integrity", "--replay", "x.zip", cwd=tmp_path)
    assert (refused.code, refused.stdout) == (2, "")
