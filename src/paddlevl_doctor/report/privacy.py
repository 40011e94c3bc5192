"""Takes credentials out of every text, and the home folder where people read it. On the path of every command."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

_CREDENTIALS = re.compile(r"(?<=://)[^/\s@:'\"<>]+(?::[^/\s@'\"<>]*)?@")
_TOKENS = re.compile(
    r"\b(?:hf_[A-Za-z0-9]{20,}|gh[pousr]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|glpat-[\w-]{20,}"
    r"|sk-[A-Za-z0-9_-]{20,}|AKIA[0-9A-Z]{16}|pypi-[A-Za-z0-9_-]{16,})"
)
_BEARER = re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{12,}")
_ASSIGNED = re.compile(
    r"(?i)\b([\w-]{0,40}(?:token|api[_-]?key|passw(?:or)?d|secret))(\"?\s*[=:]\s*\"?)(?!\*\*\*)[^\s&'\",;}\])]{4,}"
)


def without_secrets(value: str) -> str:
    """Replace user:password@ in URLs, well-known token shapes and assigned secrets by `***`."""
    shown = _TOKENS.sub("***", _CREDENTIALS.sub("***@", value))
    return _ASSIGNED.sub(r"\1\2***", _BEARER.sub(r"\1 ***", shown))


def without_home(value: str, home: Path) -> str:
    """Replace the home folder by `~`, which also hides the user's name; the root folder is no home."""
    shown = without_secrets(value)
    return shown if home == Path(home.anchor) else shown.replace(str(home), "~")


def scrubbed(value: Any) -> Any:
    """Return a JSON value with the secrets taken out of every string in it."""
    if isinstance(value, str):
        return without_secrets(value)
    if isinstance(value, dict):
        return {key: scrubbed(item) for key, item in value.items()}
    if isinstance(value, list):
        return [scrubbed(item) for item in value]
    return value
