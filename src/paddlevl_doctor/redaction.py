"""Removes credentials, the home folder and the names of user and host from texts. Every command imports it."""

from __future__ import annotations

import dataclasses
import enum
import platform
import re
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

from paddlevl_doctor.frozen import dataclass
from paddlevl_doctor.messages import Message, from_json, render, to_json

_CREDENTIALS = re.compile(r"(?<=://)(?!git@)[^/\s@:'\"<>]+(?::[^/\s@'\"<>]*)?@")
# A pattern starts with a literal, which is found quickly, and looks back for the boundary of the word.
_TOKENS = (
    re.compile(r"hf_(?<=\bhf_)[A-Za-z0-9]{20,}"),
    re.compile(r"gh(?<=\bgh)[pousr]_[A-Za-z0-9]{20,}"),
    re.compile(r"github_pat_(?<=\bgithub_pat_)\w{20,}"),
    re.compile(r"glpat-(?<=\bglpat-)[\w-]{20,}"),
    re.compile(r"sk-(?<=\bsk-)[A-Za-z0-9_-]{20,}"),
    re.compile(r"AKIA(?<=\bAKIA)[0-9A-Z]{16}"),
    re.compile(r"pypi-(?<=\bpypi-)[A-Za-z0-9_-]{16,}"),
)
_BEARER = re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{12,}")
_ASSIGNED = re.compile(
    r"(?i)(token|api[_-]?key|passwd|password|secret)(\"?\s*[=:]\s*\"?)(?!\*\*\*)[^\s&'\",;}\])]{4,}"
)
_ASSIGNS = re.compile(r"\"?\s*[=:]")


def _may_assign(lowered: str) -> bool:
    """Return whether `=` or `:` follows the name of a secret. This takes a tenth of the time of `_ASSIGNED`."""
    for word in ("token", "key", "passwd", "password", "secret"):
        at = lowered.find(word)
        while at >= 0:
            if _ASSIGNS.match(lowered, at + len(word)):
                return True
            at = lowered.find(word, at + 1)
    return False


def without_secrets(value: str) -> str:
    """Replace user:password@ in URLs, well-known kinds of tokens and assigned secrets by `***`."""
    shown = _CREDENTIALS.sub("***@", value) if "://" in value else value
    for pattern in _TOKENS:
        shown = pattern.sub("***", shown)
    lowered = shown.lower()
    if "bearer" in lowered or "basic" in lowered:
        shown = _BEARER.sub(r"\1 ***", shown)
    return _ASSIGNED.sub(r"\1\2***", shown) if _may_assign(lowered) else shown


def without_home(value: str, home: Path) -> str:
    """Remove secrets, and replace the home folder by `~` unless it is the root folder."""
    shown, folder = without_secrets(value), str(home)
    if folder not in shown or home == Path(home.anchor):
        return shown
    return re.sub(rf"(?<![\w.-]){re.escape(folder)}(?![\w-])", "~", shown)


def printable(value: str) -> str:
    """Replace control characters, which could control a terminal, and other unprintable characters."""
    return "".join(c if c.isprintable() or c in "\n\t" else "�" for c in value)


def scrubbed(value: Any) -> Any:
    """Return a JSON value without the secrets in its strings."""
    if isinstance(value, str):
        return without_secrets(value)
    if isinstance(value, dict):
        return {key: scrubbed(item) for key, item in value.items()}
    if isinstance(value, list):
        return [scrubbed(item) for item in value]
    return value


_MAIL = re.compile(r"(?<![\w.+-])[\w.+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+")
_ADDRESS = re.compile(r"(?:(?<=//)|(?<=@))(?!127\.|0\.0\.0\.0)\d{1,3}(?:\.\d{1,3}){3}(?![\w.])")
_PORT = re.compile(r"(?<![\w.])(?!127\.|0\.0\.0\.0)\d{1,3}(?:\.\d{1,3}){3}(?=:\d{2,5}\b)")
_SLASH = r"(?:/|\\{1,4}|%2[Ff]|%5[Cc])"
_NAME = r"[^\s/\\%:*?\"'<>|,;)\]}]+"
_ANY_HOME = re.compile(
    rf"(?:{_SLASH}mnt{_SLASH}[a-z])?(?:{_SLASH}home|(?:\b[A-Za-z](?::|%3A))?{_SLASH}Users){_SLASH}(?!Public\b){_NAME}"
)
# Names of users and hosts that identify no person, and that occur in ordinary sentences.
_ANONYMOUS_NAMES = {
    "admin", "administrator", "cache", "colab", "cuda", "data", "debian", "default", "docker", "error",
    "gpu", "home", "host", "jovyan", "kaggle", "linux", "local", "localhost", "model", "models",
    "nobody", "numpy", "nvidia", "ocr", "paddle", "paddleocr", "paddlex", "python", "right", "root",
    "runner", "safetensors", "server", "test", "torch", "ubuntu", "user", "users", "vllm", "warning",
    "windows", "work",
}  # fmt: skip
_MIN_NAME_CHARS = 3


def map_texts(value: Any, change: Callable[[str], str], lang: str | None = None) -> Any:
    """Return a copy of a value with `change` applied to every string in it, also in parameters of messages.

    With a language, every message is rendered first, and `change` gets the sentence.
    """
    if isinstance(value, Message) and lang is None:
        return Message(value.id, map_texts(from_json(to_json(value)).params, change))
    if isinstance(value, (str, Message)) and not isinstance(value, enum.Enum):
        return change(render(value, lang or "en"))
    if isinstance(value, dict):
        return {map_texts(key, change, lang): map_texts(item, change, lang) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(map_texts(item, change, lang) for item in value)
    if not dataclasses.is_dataclass(value) or isinstance(value, (type, enum.Enum)):
        return value
    fields = {f.name: map_texts(getattr(value, f.name), change, lang) for f in dataclasses.fields(value)}
    return dataclasses.replace(value, **fields)


def _mask_last_part(match: re.Match[str]) -> str:
    at = max(match[0].rfind(separator) for separator in ("/", "\\", "%2F", "%2f", "%5C", "%5c"))
    at += 3 if match[0][at] == "%" else 1
    return match[0][:at] + _mask_name(match[0][at:])


def _mask_name(name: str) -> str:
    return "".join("x" if c.isascii() else "某" for c in name)


@dataclass(frozen=True)
class Redactor:
    """Removes secrets, the user, the host and the home folder from texts and values that leave the machine."""

    home: str
    user: str
    host: str

    @staticmethod
    def of_this_machine() -> Redactor:
        """Return a redactor for the user who runs the doctor."""
        import getpass  # noqa: PLC0415 - needed only for reports that leave the machine

        try:
            user = getpass.getuser()
        except (OSError, KeyError):  # a container without an entry for this user
            user = ""
        return Redactor(str(Path.home()), user, platform.node())

    def text(self, value: str) -> str:
        """Return a redacted text. Redacting it again changes nothing."""
        shown = without_secrets(value)
        if self._home is not None:
            shown = self._home.sub("~", shown)
        shown = _ANY_HOME.sub("~", shown)
        shown = _MAIL.sub("<email>", shown)
        shown = _PORT.sub("<address>", _ADDRESS.sub("<address>", shown))
        for pattern, substitute in self._name_patterns:
            shown = pattern.sub(substitute, shown)
        return shown

    def value(self, value: Any, lang: str) -> Any:
        """Return a copy of a value with every message rendered and every text redacted, also in keys."""
        return map_texts(value, self.text, lang)

    def masked(self, value: Any) -> Any:
        """Return a copy of a value with names replaced by `x`, or by `某` for characters that are not ASCII.

        Paths keep their length and stay absolute, so that a recording gives the same diagnosis as the machine.
        """
        return map_texts(value, self._mask)

    def _mask(self, value: str) -> str:
        shown = without_secrets(value)
        if self._home is not None and re.split(r"[/\\]+", self.home)[-1].lower() not in _ANONYMOUS_NAMES:
            shown = self._home.sub(_mask_last_part, shown)
        shown = _ANY_HOME.sub(_mask_last_part, shown)
        shown = _PORT.sub("<address>", _ADDRESS.sub("<address>", _MAIL.sub("<email>", shown)))
        for name in self._personal_names:
            # Only in a path or an address: elsewhere it may be a package of the same name.
            shown = re.sub(rf"(?<=[/\\@]){re.escape(name)}(?=[/\\:@]|$)", _mask_name(name), shown)
        return shown

    @cached_property
    def _home(self) -> re.Pattern[str] | None:
        """A pattern for the home folder with either kind of slash, doubled slashes, or URL encoding."""
        parts = [re.escape(part) for part in re.split(r"[/\\]+", self.home) if part]
        if not parts or parts == [re.escape(Path(self.home).anchor.rstrip("\\/"))]:
            return None
        start = _SLASH if self.home.startswith(("/", "\\")) else ""
        return re.compile(rf"(?i)(?<![\w.-]){start}{_SLASH.join(parts)}(?![\w-])")

    @cached_property
    def _personal_names(self) -> tuple[str, ...]:
        """The user and the host, unless the name is short or an ordinary word."""
        names = (self.user, self.host)
        return tuple(
            n
            for n in names
            if len(n) >= _MIN_NAME_CHARS and n.lower() not in _ANONYMOUS_NAMES and not n.isdigit()
        )

    @cached_property
    def _name_patterns(self) -> tuple[tuple[re.Pattern[str], str], ...]:
        substitutes = {self.host: "<host>", self.user: "<user>"}
        return tuple(
            (re.compile(rf"(?<![\w<]){re.escape(n)}(?![\w>])"), substitutes[n]) for n in self._personal_names
        )
