"""Takes credentials out of every text, and the home folder where people read it. On the path of every command."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

_CREDENTIALS = re.compile(r"(?<=://)[^/\s@:'\"<>]+(?::[^/\s@'\"<>]*)?@")
# Each pattern runs only over texts that have its mark at all: this is on the path of every command.
_TOKENS = {
    "hf_": re.compile(r"\bhf_[A-Za-z0-9]{20,}"),
    "gh": re.compile(r"\bgh[pousr]_[A-Za-z0-9]{20,}"),
    "github_pat_": re.compile(r"\bgithub_pat_\w{20,}"),
    "glpat-": re.compile(r"\bglpat-[\w-]{20,}"),
    "sk-": re.compile(r"\bsk-[A-Za-z0-9_-]{20,}"),
    "AKIA": re.compile(r"\bAKIA[0-9A-Z]{16}"),
    "pypi-": re.compile(r"\bpypi-[A-Za-z0-9_-]{16,}"),
}
_BEARER = re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{12,}")
_ASSIGNED = re.compile(
    r"(?i)(token|api[_-]?key|passwd|password|secret)(\"?\s*[=:]\s*\"?)(?!\*\*\*)[^\s&'\",;}\])]{4,}"
)
_ASSIGNS = re.compile(r"\"?\s*[=:]")


def _may_assign(value: str) -> bool:
    """Say whether a name of a secret is followed by what gives it a value; a tenth of looking for the whole pattern."""
    lowered = value.lower()
    if len(lowered) != len(value):  # a letter that is two in lower case: the places would not agree
        return True
    for word in ("token", "key", "passwd", "password", "secret"):
        at = lowered.find(word)
        while at >= 0:
            if _ASSIGNS.match(value, at + len(word)):
                return True
            at = lowered.find(word, at + 1)
    return False


def without_secrets(value: str) -> str:
    """Replace user:password@ in URLs, well-known token shapes and assigned secrets by `***`."""
    shown = _CREDENTIALS.sub("***@", value) if "://" in value else value
    for mark, pattern in _TOKENS.items():
        if mark in shown:
            shown = pattern.sub("***", shown)
    shown = _BEARER.sub(r"\1 ***", shown)
    return _ASSIGNED.sub(r"\1\2***", shown) if _may_assign(shown) else shown


def without_home(value: str, home: Path) -> str:
    """Replace the home folder by `~`, which also hides the user's name; the root folder is no home."""
    shown = without_secrets(value)
    return shown if home == Path(home.anchor) else shown.replace(str(home), "~")


def printable(value: str) -> str:
    """Replace control characters, which could steer a terminal, and what no terminal can show."""
    return "".join(c if c.isprintable() or c in "\n\t" else "�" for c in value)


def scrubbed(value: Any) -> Any:
    """Return a JSON value with the secrets taken out of every string in it."""
    if isinstance(value, str):
        return without_secrets(value)
    if isinstance(value, dict):
        return {key: scrubbed(item) for key, item in value.items()}
    if isinstance(value, list):
        return [scrubbed(item) for item in value]
    return value
