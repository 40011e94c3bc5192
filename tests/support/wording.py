"""Words the messages of a value, so that tests compare sentences."""

from __future__ import annotations

import dataclasses
from typing import TypeVar

from paddlevl_doctor.messages import Message, render

Value = TypeVar("Value")


def worded(value: Value, lang: str = "en") -> Value:
    """Return an equal value whose messages are texts in a language."""
    return _worded(value, lang)  # type: ignore[return-value]


def _worded(value: object, lang: str) -> object:
    if isinstance(value, Message):
        return render(value, lang)
    if isinstance(value, (list, tuple)):
        return type(value)(_worded(part, lang) for part in value)
    if isinstance(value, dict):
        return {name: _worded(part, lang) for name, part in value.items()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {f.name: _worded(getattr(value, f.name), lang) for f in dataclasses.fields(value)}
        return dataclasses.replace(value, **fields)
    return value
