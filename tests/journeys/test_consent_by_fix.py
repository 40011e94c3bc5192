"""A fix that downgrades what no fix names is shown with a mark, and does not keep the others from being applied."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from uv import find_uv_bin

from broken_server import broken_server
from doctor import Answer, doctor
from environments import python_in
from kills import small_environment
from wheels import index, wheel

pytestmark = pytest.mark.xdist_group("consent-by-fix")
NEWER = (wheel("langchain", "1.0.0", ["langchain-core>=1"]), wheel("langchain-core", "1.0.0"))
OLDER = (
    wheel("langchain", "0.3.0", ["langchain-core<1", "typing-extensions>=99"]),
    wheel("langchain-core", "0.3.0"),
    wheel("typing-extensions", "99.0"),
    wheel("setuptools", "99.0"),
)
LEFT_ALONE = ("use-doc-preprocessor", "queue-deadlock-on-error", "pipelines-link")
SKIP = tuple(word for name in LEFT_ALONE for word in ("--skip", name))


@dataclass(frozen=True)
class Project:
    """A small environment with langchain 1 and without setuptools, and an index with what the fixes need."""

    folder: Path
    mirror: str

    def fix(self, *words: str) -> Answer:
        return doctor("fix", "--mirror", self.mirror, *SKIP, *words, "--format", "json", cwd=self.folder)

    def errors(self) -> set[str]:
        checked = doctor("check", "--format", "json", cwd=self.folder)
        return {name for name, status in checked.problems().items() if status == "error"}

    def info(self, name: str) -> Path:
        return next((self.folder / ".venv").glob(f"lib/*/site-packages/{name}-*.dist-info"))


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    folder = tmp_path_factory.mktemp("project")
    venv, wheels = small_environment(folder / ".venv"), folder / "wheels"
    wheels.mkdir()
    for name, data in NEWER:
        (wheels / name).write_bytes(data)
    pip = (find_uv_bin(), "pip")
    where = ("--quiet", "--python", str(python_in(venv)))
    files = [str(wheels / name) for name, _ in NEWER]
    subprocess.run([*pip, "install", *where, "--offline", "--no-deps", *files], check=True)
    subprocess.run([*pip, "uninstall", *where, "setuptools"], check=True)
    with broken_server(index(*NEWER, *OLDER)) as server:
        yield Project(folder, server.url("simple"))


@pytest.mark.parametrize(("installer", "code"), [("conda\n", 2), ("uv-pixi", 1)])
def test_a_dependency_of_conda_is_refused_as_a_named_package_is(
    installer: str, code: int, project: Project
) -> None:
    """Imitated by its metadata: conda, and pixi for packages from conda, write INSTALLER; no conda has run here."""
    place = project.info("typing_extensions") / "INSTALLER"
    former = place.read_text(encoding="utf-8")
    place.unlink()  # it is a hard link
    place.write_text(installer, encoding="utf-8")
    answer = project.fix("--only", "langchain-docstore")
    assert answer.code == code
    if code == 2:
        assert "typing-extensions in " in answer.document["error"]["message"]
    else:
        assert "~ typing-extensions" in answer.document["plan"]["steps"][0]["diff"]
    place.write_text(former, encoding="utf-8")


def test_a_fix_whose_versions_the_index_lacks_hides_no_other(project: Project) -> None:
    with broken_server(index(*OLDER[-1:])) as poorer:
        alone = replace(project, mirror=poorer.url("simple"))
        plan = alone.fix().document
        (step,) = plan["plan"]["steps"]
        left = {row["finding"]: row["reason"] for row in plan["skipped"]}
        none = alone.fix("--only", "langchain-docstore")
    assert step["resolves"] == ["setuptools-missing"]
    assert "cannot be installed here: " in left["langchain-docstore"]
    assert "langchain" in none.document["error"]["message"]


def test_the_fixes_that_need_no_consent_are_shown_and_applied(project: Project) -> None:
    assert project.errors() == {"langchain-docstore", "setuptools-missing"}
    plan = project.fix()
    clean, held = plan.document["plan"]["steps"]
    assert (plan.code, clean["resolves"], clean["needs_consent"]) == (1, ["setuptools-missing"], [])
    assert clean["arguments"]["exact"] == ["setuptools==99.0"]
    assert (held["resolves"], held["id"]) == (["langchain-docstore"], "install-packages-with-consent")
    assert held["needs_consent"] == ["~ langchain-core 1.0.0 -> 0.3.0 (for langchain)"]
    shown = doctor("fix", "--mirror", project.mirror, *SKIP, cwd=project.folder).stdout
    assert "only with --yes: ~ langchain-core 1.0.0 -> 0.3.0 (for langchain)" in shown
    assert re.search(r"fix --apply .*--yes", shown)

    partly = project.fix("--apply")
    assert [(row["step"], row["status"]) for row in partly.document["outcome"]] == [
        ("install-packages", "applied")
    ]
    left = {row["finding"]: row["reason"] for row in partly.document["skipped"]}
    assert re.search(r"fix --apply .*--only langchain-docstore\b.*\(or --yes\)", left["langchain-docstore"])
    assert project.errors() == {"langchain-docstore"}

    refused = project.fix("--apply")
    assert (refused.code, "outcome" in refused.document) == (1, False)
    message = refused.document["error"]["message"]
    assert "langchain-core 1.0.0 -> 0.3.0 (for langchain)" in message
    assert re.search(r"fix --apply .*--yes", message)


def test_the_command_that_check_prints_as_the_cure_is_accepted_as_it_stands(project: Project) -> None:
    checked = doctor("check", "--format", "json", cwd=project.folder).document["findings"]
    (command,) = next(f["remedy"]["commands"] for f in checked if f["id"] == "langchain-docstore")
    words = command[command.index("fix") :]
    assert words == ["fix", "--apply", "--only", "langchain-docstore"]
    cured = doctor(*words, "--mirror", project.mirror, "--format", "json", cwd=project.folder)
    assert [row["step"] for row in cured.document["outcome"]] == ["install-packages"], cured.stderr
    assert "langchain-docstore" not in project.errors()
    assert project.info("langchain_core").name == "langchain_core-0.3.0.dist-info"
