"""The documents that probes print, as types: what a recording must hold to be believed."""

from __future__ import annotations

from typing import Any, TypedDict


class Failure(TypedDict):
    """An exception, as probes/_answer.py describes it."""

    type: str
    message: str
    root: str
    traceback: list[str]


class _Common(TypedDict):
    probe: str
    seconds: dict[str, float]
    error: Failure | None


class Part(TypedDict):
    """One reading of the self-test; blocks for the colour model, a text for the random one."""

    name: str
    ok: bool
    expected: Any
    got: Any


class Drill(TypedDict):
    """Threads that stayed behind after an error, or why the drill could not be made."""

    blocked: list[str] | None
    error: str | None


class _SelfTestAdded(TypedDict, total=False):
    queue_drill: Drill | None
    colour_order: str | None


class SelfTest(_Common, _SelfTestAdded):
    """probes/selftest."""

    ok: bool
    parts: list[Part]


class Question(TypedDict):
    """One question of probes/kernels.py and its answer."""

    name: str
    device: str | None
    ok: bool
    value: Any
    error: str | None


class Kernels(_Common):
    """probes/kernels.py."""

    results: list[Question]


class Imports(_Common):
    """probes/imports.py."""

    versions: dict[str, str]


class Altered(TypedDict):
    """A file that is not what RECORD promises."""

    path: str
    sha256: str | None
    links: int
    error: str | None


class Installed(TypedDict):
    """One distribution of probes/installed_files.py."""

    name: str
    version: str
    record: bool
    files: int
    missing: list[str]
    altered: list[Altered]


class InstalledFiles(_Common):
    """probes/installed_files.py."""

    distributions: list[Installed]


_KINDS: dict[str, Any] = {
    "selftest": SelfTest,
    "kernels": Kernels,
    "import": Imports,
    "torch-first": Imports,
    "paddle-first": Imports,
    "installed_files": InstalledFiles,
}


def of(key: str) -> Any:
    """Return the type of the document behind a key of `DeepFacts.probes`; raises KeyError for an unknown key."""
    return _KINDS[key.partition(" ")[0]]
