"""Takes credentials out of every text, and the home folder where people read it. On the path of every command."""

from __future__ import annotations

import dataclasses
import enum
import platform
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePath
from typing import Any

from paddlevl_doctor.messages import Message, render

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


_MAIL = re.compile(r"(?<![\w.+-])[\w.+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+")
_ADDRESS = re.compile(r"(?:(?<=//)|(?<=@))(?!127\.|0\.0\.0\.0)\d{1,3}(?:\.\d{1,3}){3}(?![\w.])")
_PORT = re.compile(r"(?<![\w.])(?!127\.|0\.0\.0\.0)\d{1,3}(?:\.\d{1,3}){3}(?=:\d{2,5}\b)")
_SLASH = r"(?:/|\\{1,4}|%2[Ff]|%5[Cc])"
_NAME = r"[^\s/\\%:*?\"'<>|,;)\]}]+"
_ANY_HOME = re.compile(
    rf"(?:{_SLASH}mnt{_SLASH}[a-z])?(?:{_SLASH}home|(?:\b[A-Za-z](?::|%3A))?{_SLASH}Users){_SLASH}(?!Public\b){_NAME}"
)
# Names that say nothing about anybody, and that stand in ordinary sentences.
_NOBODY = {
    "admin", "administrator", "cache", "colab", "cuda", "data", "debian", "default", "docker", "error",
    "gpu", "home", "host", "jovyan", "kaggle", "linux", "local", "localhost", "model", "models",
    "nobody", "numpy", "nvidia", "ocr", "paddle", "paddleocr", "paddlex", "python", "right", "root",
    "runner", "safetensors", "server", "test", "torch", "ubuntu", "user", "users", "vllm", "warning",
    "windows", "work",
}  # fmt: skip
_SHORTEST = 3


def _mapped(value: Any, change: Callable[[str], str], lang: str | None = None) -> Any:
    """Return an equal value with every text in it changed. Messages are worded first where a language is given."""
    if isinstance(value, Message) and lang is None:
        return Message(value.id, _mapped(_plain(value), change))
    if isinstance(value, (str, Message)) and not isinstance(value, enum.Enum):
        return change(render(value, lang or "en"))
    if isinstance(value, dict):
        return {_mapped(key, change, lang): _mapped(item, change, lang) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_mapped(item, change, lang) for item in value)
    if not dataclasses.is_dataclass(value) or isinstance(value, (type, enum.Enum)):
        return value
    fields = {f.name: _mapped(getattr(value, f.name), change, lang) for f in dataclasses.fields(value)}
    return dataclasses.replace(value, **fields)


def _plain(said: Message) -> dict[str, Any]:
    """Return the parameters of a message with paths as texts."""
    return {n: str(v) if isinstance(v, PurePath) else v for n, v in said.params.items()}


def _last_part_masked(found: re.Match[str]) -> str:
    at = max(found[0].rfind(mark) for mark in ("/", "\\", "%2F", "%2f", "%5C", "%5c"))
    at += 3 if found[0][at] == "%" else 1
    return found[0][:at] + _masked(found[0][at:])


def _all_masked(found: re.Match[str]) -> str:
    return _masked(found[0])


def _masked(name: str) -> str:
    return "".join("x" if c.isascii() else "某" for c in name)


@dataclass(frozen=True)
class Redactor:
    """Makes texts and values fit to be pasted into an issue: no secrets, no user, no host, no home folder."""

    home: str
    user: str
    host: str

    @staticmethod
    def of_this_machine() -> Redactor:
        """Return a redactor for the user who runs the doctor."""
        import getpass  # noqa: PLC0415 - only reports that leave the machine need it

        try:
            user = getpass.getuser()
        except (OSError, KeyError):  # a container without an entry for this user
            user = ""
        return Redactor(str(Path.home()), user, platform.node())

    def text(self, value: str) -> str:
        """Return a text that can be shown to everybody; a second time changes nothing."""
        shown = without_secrets(value)
        if self._home is not None:
            shown = self._home.sub("~", shown)
        shown = _ANY_HOME.sub("~", shown)
        shown = _MAIL.sub("<email>", shown)
        shown = _PORT.sub("<address>", _ADDRESS.sub("<address>", shown))
        for pattern, word in self._names:
            shown = pattern.sub(word, shown)
        return shown

    def value(self, value: Any, lang: str) -> Any:
        """Return an equal value with every message worded and every text in it redacted, keys included."""
        return _mapped(value, self.text, lang)

    def masked(self, value: Any) -> Any:
        """Return a value like `value` does, but in which names become other names of the same shape.

        A path stays an absolute path of the same length, and one that is not ASCII stays so: a recording has to
        give the diagnosis that the machine itself gave.
        """
        return _mapped(value, self._mask)

    def _mask(self, value: str) -> str:
        shown = without_secrets(value)
        if self._home is not None and re.split(r"[/\\]+", self.home)[-1].lower() not in _NOBODY:
            shown = self._home.sub(_last_part_masked, shown)
        shown = _ANY_HOME.sub(_last_part_masked, shown)
        shown = _PORT.sub("<address>", _ADDRESS.sub("<address>", _MAIL.sub("<email>", shown)))
        for name in self._named:
            # Only as part of a path or an address: elsewhere it may be a package that is called the same.
            shown = re.sub(rf"(?<=[/\\@]){re.escape(name)}(?=[/\\:@]|$)", _all_masked, shown)
        return shown

    @cached_property
    def _home(self) -> re.Pattern[str] | None:
        """Match the home folder in every spelling: slashes of both kinds, doubled, or as in a URL."""
        parts = [re.escape(part) for part in re.split(r"[/\\]+", self.home) if part]
        if not parts or parts == [re.escape(Path(self.home).anchor.rstrip("\\/"))]:
            return None
        start = _SLASH if self.home.startswith(("/", "\\")) else ""
        return re.compile(rf"(?i)(?<![\w.-]){start}{_SLASH.join(parts)}(?![\w-])")

    @cached_property
    def _named(self) -> tuple[str, ...]:
        """The names that are somebody's: long enough, and no ordinary word."""
        names = (self.user, self.host)
        return tuple(n for n in names if len(n) >= _SHORTEST and n.lower() not in _NOBODY and not n.isdigit())

    @cached_property
    def _names(self) -> tuple[tuple[re.Pattern[str], str], ...]:
        words = {self.host: "<host>", self.user: "<user>"}
        return tuple((re.compile(rf"(?<![\w<]){re.escape(n)}(?![\w>])"), words[n]) for n in self._named)
