"""Takes out of a text what must not leave the machine: credentials always, the home folder where people read it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

_CREDENTIALS = re.compile(r"(?<=://)[^/\s@:]+(?::[^/\s@]*)?@")
_TOKENS = re.compile(r"\b(?:hf_[A-Za-z0-9]{20,}|gh[pousr]_[A-Za-z0-9]{20,}|sk-[A-Za-z0-9_-]{20,})\b")


def without_secrets(value: str) -> str:
    """Replace user:password@ in URLs and well-known token shapes by `***`."""
    return _TOKENS.sub("***", _CREDENTIALS.sub("***@", value))


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
