"""The results of `patches list`, `show`, `status` and `build` for the console and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.text import Text

from paddlevl_doctor.knowledge.patches import Patch
from paddlevl_doctor.messages import message, tr
from paddlevl_doctor.report.console import Screen, command_line
from paddlevl_doctor.report.json_documents import Document, document
from paddlevl_doctor.values.findings import Command

if TYPE_CHECKING:
    from paddlevl_doctor.commands.patches import FileStatus, PatchDetail

_STYLES = {"altered": "red", "missing": "red", "patched": "green", "edited": "green"}


def show_list(screen: Screen, patches: Sequence[Patch]) -> None:
    """Print every patch, whether `fix` applies it automatically, and what it does."""
    table = screen.table("column-patch", "column-default", "column-what")
    for patch in patches:
        table.add_row(patch.id, screen.tr(f"patch-{patch.default}"), Text(patch.title(screen.lang)))
    screen.console.print(table)


def show_detail(screen: Screen, detail: PatchDetail) -> None:
    """Print a patch: the problem, the change, and when the patch can be removed."""
    patch, lang = detail.patch, screen.lang
    screen.line(f"{patch.id}  ({screen.tr(f'patch-{patch.default}')})", "bold")
    screen.line(patch.why(lang))
    screen.line(screen.tr("patch-drop-when", text=patch.drop_when[lang]), "dim")
    for link in patch.links:
        screen.line(link, "dim")
    for _, diff in detail.changes:
        screen.line(diff)


def show_status(screen: Screen, files: Sequence[FileStatus]) -> None:
    """Print the state of every file that a patch changes; with -v, also its path and the number of hard links."""
    table = screen.table("column-patch", "column-state")
    for file in files:
        style = "red" if file.problem == "lost" else _STYLES.get(file.state, "")
        table.add_row(file.patch, Text(_state(file, screen.lang), style))
        if screen.verbose:
            shared = screen.tr("patch-shared", links=file.links) if file.links > 1 else ""
            table.add_row("", Text(", ".join(filter(None, (file.path, shared))), "dim", overflow="fold"))
    screen.console.print(table)


def _state(file: FileStatus, lang: str) -> str:
    """Return the state as text, with what is wrong: the patch is lost, not needed, or for another release."""
    words = tr(f"state-{file.state}", lang)
    key = {"lost": "patch-lost-here", "unneeded": "patch-not-needed"}.get(file.problem or "")
    if file.state == "other-version" and file.problem == "other-release":
        key = "patch-needed" if file.needed else "patch-other-release"
    return f"{words}{tr('label-colon', lang)}{tr(key, lang)}" if key else words


def show_wheel(screen: Screen, path: Path, chosen: Sequence[Patch], python: str) -> None:
    """Print the path of a wheel, its patches, and the command that installs it into the target with this Python."""
    screen.line(screen.tr("wheel-built", path=screen.clean(str(path))), "bold green")
    for patch in chosen:
        screen.line(f"  {patch.id}: {patch.title(screen.lang)}")
    screen.line(screen.tr("wheel-install", command=command_line(install_command(path, python))))


def install_command(path: Path, python: str) -> Command:
    """Return the command that replaces the published version by a wheel, in the environment of this Python."""
    return ("uv", "pip", "install", "--python", python, "--no-deps", str(path))


def list_document(patches: Sequence[Patch]) -> Document:
    """Return the JSON document of `patches list`."""
    return document("patches", patches=[_row(patch) for patch in patches])


def _row(patch: Patch) -> dict[str, object]:
    return {
        "id": patch.id,
        "distribution": patch.distribution,
        "default": patch.default,
        "title": message(f"patch:{patch.id}:title"),
        "why": message(f"patch:{patch.id}:why"),
        "drop_when": message(f"patch:{patch.id}:drop_when"),
        "evidence": patch.evidence,
        "links": patch.links,
        "files": [{"path": file.path, "versions": sorted(file.versions())} for file in patch.files],
    }


def detail_document(detail: PatchDetail) -> Document:
    """Return the JSON document of `patches show`."""
    changes = [{"path": path, "diff": diff} for path, diff in detail.changes]
    return document("patches", patches=[{**_row(detail.patch), "changes": changes}], version=detail.version)


def status_document(files: Sequence[FileStatus]) -> Document:
    """Return the JSON document of `patches status`."""
    return document("patches", status=files)


def wheel_document(path: Path, chosen: Sequence[Patch]) -> Document:
    """Return the JSON document of `patches build`."""
    return document("patches", wheel=str(path), patches=[_row(patch) for patch in chosen])
