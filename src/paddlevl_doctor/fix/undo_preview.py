"""What an undo did or would do, and the sentences about what of the user's it keeps."""

from __future__ import annotations

from collections.abc import Sequence

from paddlevl_doctor.fix.model_cache import ReturnedModel
from paddlevl_doctor.frozen import dataclass
from paddlevl_doctor.messages import Message, Text, message
from paddlevl_doctor.values.findings import ExitCode


@dataclass(frozen=True)
class Refusal:
    """The sentence and the exit code with which an undo would end before any change."""

    message: Text
    exit_code: ExitCode


@dataclass(frozen=True)
class UndoPreview:
    """What an undo would do. Paths are relative to the prefix, or absolute outside it."""

    transaction: int
    restored: int = 0
    """The number of paths whose former entry returns."""
    removed: int = 0
    """The number of paths that are removed, because there was nothing before."""
    changed: tuple[str, ...] = ()
    """Paths that the transaction wrote and the user changed since."""
    added: tuple[str, ...] = ()
    """Files of the user that stay: in folders that the transaction created, or of packages that it changed."""
    packages: tuple[str, ...] = ()
    """Distributions that the user installed in an environment that the transaction created."""
    left_alone: tuple[str, ...] = ()
    """Paths outside the target, which belong to the target that this one is a copy of."""
    lost: tuple[str, ...] = ()
    """Paths whose kept former entry is missing or damaged."""
    aside: str = ""
    """The folder that the user's versions of changed paths were moved to; empty if they were not."""
    kept: tuple[str, ...] = ()
    """Those of `changed` that stay where they are, and were not moved to `aside`."""
    returned: tuple[ReturnedModel, ...] = ()
    """Models that were set aside and downloaded again since."""
    refusal: Refusal | None = None
    """Of a dry run: why the undo would change nothing, None if it would not refuse."""


def kept_lines(done: UndoPreview, *, would: bool = False) -> list[Message]:
    """Return the sentences about what of the user's an undo moved or left, or `would` move or leave."""
    kept = frozenset(done.kept)
    moved = tuple(path for path in done.changed if path not in kept)
    lists = [("undo-stays", done.added)]
    if done.refusal is None:
        lists.insert(0, ("undo-would-set-aside" if would else "undo-set-aside", moved))
        lists.append(("undo-kept-changes", done.kept))
    models = [] if done.refusal is not None else [_model_line(model, would=would) for model in done.returned]
    return [*(_listing(name, paths, done.aside) for name, paths in lists if paths), *models]


def _model_line(model: ReturnedModel, *, would: bool) -> Message:
    stays = "undo-would-move-model" if would else "undo-model-stays"
    name = "undo-model-aside" if model.aside else stays
    return message(name, path=model.path, place=model.aside or model.former)


_MAX_PATHS = 12
"""The paths of the user that one sentence lists."""


def _listing(name: str, paths: Sequence[str], aside: str) -> Message:
    shown = [*paths[:_MAX_PATHS], *(["…"] if len(paths) > _MAX_PATHS else [])]
    shown = [path.replace("\n", "\ufffd") for path in shown]
    return message(name, count=len(paths), paths=shown, aside=aside)
