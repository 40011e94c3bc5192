"""How the patches look: a list, one patch with its change, the state of every file, a wheel that was built."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.text import Text

from paddlevl_doctor.knowledge.patches import Patch
from paddlevl_doctor.messages import message, say
from paddlevl_doctor.report.console import Screen, command_line
from paddlevl_doctor.report.json_documents import Document, document
from paddlevl_doctor.values.findings import Command

if TYPE_CHECKING:
    from paddlevl_doctor.commands.patches import FileStatus, PatchDetail

_STYLES = {"altered": "red", "missing": "red", "patched": "green"}


def show_list(screen: Screen, patches: Sequence[Patch]) -> None:
    """Print every patch, whether `fix` applies it by itself, and what it does."""
    table = screen.table("column-patch", "column-default", "column-what")
    for patch in patches:
        table.add_row(patch.id, screen.say(f"patch-{patch.default}"), Text(patch.title(screen.lang)))
    screen.console.print(table)


def show_detail(screen: Screen, detail: PatchDetail) -> None:
    """Print one patch: what is wrong without it, what it changes, and when it can be dropped."""
    patch, lang = detail.patch, screen.lang
    screen.line(f"{patch.id}  ({screen.say(f'patch-{patch.default}')})", "bold")
    screen.line(patch.why(lang))
    screen.line(screen.say("patch-drop-when", text=patch.drop_when[lang]), "dim")
    for link in patch.links:
        screen.line(link, "dim")
    for _, diff in detail.changes:
        screen.line(diff)


def show_status(screen: Screen, files: Sequence[FileStatus]) -> None:
    """Print what every file that a patch knows is in the target; verbose adds its path and who shares it."""
    table = screen.table("column-patch", "column-state")
    for file in files:
        table.add_row(file.patch, Text(_state(file, screen.lang), _STYLES.get(file.state, "")))
        if screen.verbose:
            shared = screen.say("patch-shared", links=file.links) if file.links > 1 else ""
            table.add_row("", Text(", ".join(filter(None, (file.path, shared))), "dim", overflow="fold"))
    screen.console.print(table)


def _state(file: FileStatus, lang: str) -> str:
    """Return the state in words; of a version that the patch does not know, also whether it is needed there."""
    words = say(f"state-{file.state}", lang)
    if file.needed is None:
        return words
    return (
        f"{words}{say('label-colon', lang)}{say('patch-needed' if file.needed else 'patch-not-needed', lang)}"
    )


def show_wheel(screen: Screen, path: Path, chosen: Sequence[Patch]) -> None:
    """Print where a wheel is, what is in it, and how it is installed."""
    screen.line(screen.say("wheel-built", path=screen.clean(str(path))), "bold green")
    for patch in chosen:
        screen.line(f"  {patch.id}: {patch.title(screen.lang)}")
    screen.line(screen.say("wheel-install", command=command_line(install_command(path))))


def install_command(path: Path) -> Command:
    """Return how a wheel is put in place of the published version."""
    return ("uv", "pip", "install", "--no-deps", str(path))


def list_document(patches: Sequence[Patch]) -> Document:
    """Describe every patch."""
    rows = [_row(patch) for patch in patches]
    return document("patches", patches=rows)


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
    """Describe one patch with its change."""
    changes = [{"path": path, "diff": diff} for path, diff in detail.changes]
    return document("patches", patches=[{**_row(detail.patch), "changes": changes}], version=detail.version)


def status_document(files: Sequence[FileStatus]) -> Document:
    """Describe the state of every file."""
    return document("patches", status=files)


def wheel_document(path: Path, chosen: Sequence[Patch]) -> Document:
    """Describe a wheel that was built."""
    return document("patches", wheel=str(path), patches=[_row(patch) for patch in chosen])
