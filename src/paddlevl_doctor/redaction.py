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
from paddlevl_doctor.url_logins import login_of, replace_logins

# `re` compiles a pattern of this module when a text has its literal: to compile all would delay every start.
_TOKENS = {
    "hf_": r"hf_(?<=\bhf_)[A-Za-z0-9]{20,}",
    "gh": r"gh(?<=\bgh)[pousr]_[A-Za-z0-9]{20,}",
    "github_pat_": r"github_pat_(?<=\bgithub_pat_)\w{20,}",
    "glpat-": r"glpat-(?<=\bglpat-)[\w-]{20,}",
    "sk-": r"sk-(?<=\bsk-)[A-Za-z0-9_-]{20,}",
    "AKIA": r"AKIA(?<=\bAKIA)[0-9A-Z]{16}",
    "ASIA": r"ASIA(?<=\bASIA)[0-9A-Z]{16}",
    "pypi-": r"pypi-(?<=\bpypi-)[A-Za-z0-9_-]{16,}",
    "nvapi-": r"nvapi-(?<=\bnvapi-)[\w-]{20,}",
    "ms-": r"ms-(?<=\bms-)[0-9a-f]{8}-[0-9a-f-]{20,}",
    "AIza": r"AIza(?<=\bAIza)[\w-]{35}",
    "xox": r"xox(?<=\bxox)[abeprs]-[\w-]{10,}",
    "eyJ": r"eyJ(?<=\beyJ)[\w-]{10,}\.[\w-]{10,}\.[\w-]*",
    "PRIVATE KEY-----": r"PRIVATE KEY-----(?!\*\*\*)[\s\S]*?(?=-----END|\Z)",
}
"""The forms of well-known tokens, by their first letters: `re` finds a literal faster than the boundary of a word."""
_BEARER = r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{12,}"
_HEADER = (
    r"(?i)\b(authorization\\*[\"']?\s*[:=]\s*\\*[\"']?(?=[^\s\"'])(?!(?:\w+[ \t]+)?\*\*\*)(?:\w+[ \t]+)?)"
    r"[^\s\"',}\\]+"
)
_COOKIE = r"(?i)\b(cookie\\*[\"']?\s*:\s*\\*[\"']?(?=[^\s\"'])(?!\*\*\*))[^\n\"'\\]+"
_SIGNED = (
    r"(?i)([?&](?:sig|signature|auth|x-amz-(?:signature|credential|security-token)|x-goog-signature)=)"
    r"[^\s&'\"<>#]+"
)
_QUERY = r"([?&;][^=&;\s]*=)([^&;#\s]+)"
_WORDS = (
    "token",
    "passw",
    "passphrase",
    "secret",
    "credential",
    "key",
    "pwd",
    "密码",
    "口令",
    "令牌",
    "密钥",
)
"""The beginnings of names of secrets in lower case; of `key`, what stands before it decides."""
_NAME = (
    r"(?:token|passw(?:or)?d[\w-]*|passphrase|(?:secret|credential)[\w-]*|pwd(?<=[;&_-]pwd)|密码|口令|令牌|密钥"
    r"|key(?:(?<=apikey)|(?<=(?:api|aes|rsa)[ _-]key)|(?<=accesskey)|(?<=access[ _-]key)|(?<=secret[ _-]key)"
    r"|(?<=private[ _-]key)|(?<=privatekey)|(?<=accountkey)|(?<=account[_-]key)|(?<=auth[_-]key)|(?<=[?&]key)))"
)
_VALUE = (
    r"(?:(?P<quote>\\*[\"'])(?P<quoted>(?:(?!(?P=quote))[^\n])+)(?=(?P=quote))"
    r"|(?!\*\*\*|(?:none|null|nil|true|false)\b|[\[{(<>])(?P<bare>[^\s&'\",;}\])\\]+))"
)
_ASSIGNED = (
    rf"(?i){_NAME}(?:(?:\\*[\"'])?\s*(?P<sign>=>|:=|==|[=:：])\s*"
    rf"|(?P<said>\s+(?:is|was)\s*[:=]?\s+|是\s*|为\s*)|(?P<option>\\*[\"']?,?[ \t]+)){_VALUE}"
)
"""A secret after its name: `token=x`, `"password": "x"`, `AWS_SECRET_ACCESS_KEY=x`, `--password x`, `password is x`."""
_FOLLOWS = ("=", ":", "：", "is ", "was", "是", "为")
"""What follows a name that has a secret after it, except an option."""
_OPTION = r"(?:^|[\s\"'])--?[\w-]*$"
_SENTENCE = (
    r"(?i)(?:a|an|the|in|on|of|too|to|not|no|it|that|this|set|unset|sent|read|used|given|found|empty|missing|required"
    r"|needed|optional|wrong|incorrect|correct|invalid|valid|expired|unknown|weak|short|long|longer|shorter|only|also"
    r"|still|being|option|flag|argument|parameter|variable|value|is|was|are|and|or|for|from|with|must|can|may|should|has"
    r"|never|always|stored|taken|ignored|redacted|rejected|refused|accepted|protected|passed|there|what|where|how)[.!?]?"
)
"""The words after `password is`, `password:` or `--password` that are no password."""
_VERSION = r"v?\d+(?:\.\d+)+(?:[.+-]?[a-z]\w*)*"
"""The value under a name of a distribution, such as tiktoken and SecretStorage."""
_SHORT_OPTION = (
    r"(?P<start>-p(?:(?<![\w-]-p)\\*[\"']?,?[ \t]+\\*[\"']?|(?<=mysql -p)|(?<=sshpass -p)))"
    r"(?!\*\*\*|\d+:\d|\d+\.\d|[/.~-])(?P<value>[^\s\"',\]\\]+)"
)
_LOGIN_OPTION = (
    r"(-u(?:(?<![\w-]-u)|(?<=[^\w-]--u)ser)\\*[\"']?[,=]?[ \t]*\\*[\"']?[^\s:\"'\\]+:)(?!\*\*\*|\d)"
    r"[^\s\"',\]\\]+"
)
_OF_LOGINS = r"login|mysql|sshpass|psql|twine|\s-u[\s\"']"
_MAX_PORT_DIGITS, _MAX_NAME_CHARS = 5, 40
_MIN_REMEMBERED = 6
"""Characters; a shorter secret would be found in ordinary words."""
_remembered: set[str] = set()


def remember_url(url: str) -> None:
    """Let `without_secrets` remove the secrets of this URL wherever they stand, also apart from the URL."""
    from urllib.parse import quote, unquote  # noqa: PLC0415 - not needed by a check without such a URL

    rest = url.partition("://")[2]
    login = login_of(rest)[:-1]
    user, _, password = login.partition(":")
    secrets = {login, password or user, *(value for _, value in re.findall(_QUERY, rest[len(login) :]))}
    forms = {
        form for secret in secrets for form in (secret, unquote(secret), quote(unquote(secret), safe=""))
    }
    _remembered.update(form for form in forms if len(form) >= _MIN_REMEMBERED)


def mask_url(url: str) -> str:
    """Return the URL of an index without its login, and without the values of its query."""
    return re.sub(_QUERY, r"\1***", replace_logins(url, "***@"))


def without_secrets(value: str) -> str:
    """Replace user:password@ in URLs, well-known kinds of tokens and assigned secrets by `***`."""
    shown = replace_logins(value, "***@")
    for secret in sorted(_remembered, key=len, reverse=True):
        shown = shown.replace(secret, "***")
    for literal, pattern in _TOKENS.items():
        if literal in shown:
            shown = re.sub(pattern, "***", shown)
    lowered = shown.lower()
    if "bearer " in lowered or "basic " in lowered:
        shown = re.sub(_BEARER, r"\1 ***", shown)
    if "authorization" in lowered or "cookie" in lowered:
        shown = re.sub(_COOKIE, r"\1***", re.sub(_HEADER, r"\1***", shown))
    if "?" in shown and any(f"{name}=" in lowered for name in ("sig", "ature", "auth", "tial", "token")):
        shown = re.sub(_SIGNED, r"\1***", shown)
    if "-p" in shown and any(mark in f" {shown}" for mark in (" -p", "'-p", '"-p')):
        shown = re.sub(_SHORT_OPTION, _mask_short_option, shown)
    if "-u" in shown and any(mark in f" {shown}" for mark in (" -u", "'-u", '"-u', "--user")):
        shown = re.sub(_LOGIN_OPTION, r"\1***", shown)
    return _without_assigned(shown)


def _mask_short_option(found: re.Match[str]) -> str:
    line = found.string[found.string.rfind("\n", 0, found.start()) + 1 : found.start()]
    is_port = found["value"].isdigit() and len(found["value"]) <= _MAX_PORT_DIGITS
    if line.endswith("mkdir ") or (is_port and not re.search(_OF_LOGINS, line)):
        return found[0]
    return f"{found['start']}***"


def _without_assigned(value: str) -> str:
    """Replace the secrets that follow their names. A pattern for the whole text would take 20 times as long."""
    lowered = value.lower()
    if len(lowered) != len(value):  # a letter that has two in lower case
        lowered = "".join(c.lower() if c.isascii() else c for c in value)
    spans = set()
    for word in _WORDS:
        at = lowered.find(word)
        while at >= 0:
            end = at + len(word)
            if _may_follow(lowered, at, end):
                found = re.compile(_ASSIGNED).match(value, at)
                if found and not _is_ordinary(found):
                    spans.add(found.span("quoted" if found["quoted"] else "bare"))
            at = lowered.find(word, end)
    shown, end = [], 0
    for start, stop in sorted(spans):
        if start >= end:
            shown += [value[end:start], "***"]
            end = stop
    return "".join((*shown, value[end:]))


def _may_follow(lowered: str, start: int, end: int) -> bool:
    """Return whether a secret may follow the name of one in a text."""
    rest = lowered[end : end + _MAX_NAME_CHARS].lstrip("abcdefghijklmnopqrstuvwxyz0123456789_-")
    return rest.lstrip("\\\"' \t\r\n").startswith(_FOLLOWS) or "-" in lowered[max(0, start - 2) : start]


def _is_ordinary(found: re.Match[str]) -> bool:
    """Return whether a word after the name of a secret belongs to a sentence."""
    before = found.string[max(0, found.start() - _MAX_NAME_CHARS) : found.start()]
    if found["option"] and not re.search(_OPTION, before):
        return True
    in_words = found["option"] or found["said"] or ":" in (found["sign"] or "")
    bare = found["bare"] or ""
    return bool(
        (in_words and re.fullmatch(_SENTENCE, bare)) or re.fullmatch(_VERSION, found["quoted"] or bare)
    )


def without_home(value: str, home: Path) -> str:
    """Remove secrets, and replace the home folder by `~` unless it is the root folder."""
    shown, folder = without_secrets(value), str(home)
    if folder not in shown or home == Path(home.anchor):
        return shown
    return re.sub(rf"(?<![\w.-]){re.escape(folder)}(?![\w-])", "~", shown)


def printable(value: str) -> str:
    """Replace control characters, which could control a terminal, and other unprintable characters."""
    if value.isprintable():
        return value
    return "".join(c if c.isprintable() or c in "\n\t" else "�" for c in value.replace("\r\n", "\n"))


def scrubbed(value: Any) -> Any:
    """Return a JSON value without the secrets in its strings."""
    if isinstance(value, str):
        return without_secrets(value)
    if isinstance(value, dict):
        return {key: "***" if _names_secret(key, item) else scrubbed(item) for key, item in value.items()}
    if isinstance(value, list):
        return [scrubbed(item) for item in value]
    return value


def _names_secret(key: object, item: object) -> bool:
    return (
        isinstance(key, str)
        and isinstance(item, str)
        and (_without_assigned(f"{key}=x") == f"{key}=***" and not re.fullmatch(_VERSION, item))
    )


_MAIL = r"(?<![\w.+-])[\w.+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+"
_ADDRESS = r"(?:(?<=//)|(?<=@))(?!127\.|0\.0\.0\.0)\d{1,3}(?:\.\d{1,3}){3}(?![\w.])"
_PORT = r"(?<![\w.])(?!127\.|0\.0\.0\.0)\d{1,3}(?:\.\d{1,3}){3}(?=:\d{2,5}\b)"
_SLASH = r"(?:/|\\{1,4}|%2[Ff]|%5[Cc])"
_USER_NAME = r"[^\s/\\%:*?\"'<>|,;)\]}]+"
_ANY_HOME = (
    rf"(?:{_SLASH}mnt{_SLASH}[a-z])?(?:{_SLASH}home|(?:\b[A-Za-z](?::|%3A))?{_SLASH}Users){_SLASH}"
    rf"(?!Public\b){_USER_NAME}"
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
        shown = re.sub(_ANY_HOME, "~", shown)
        shown = re.sub(_MAIL, "<email>", shown)
        shown = re.sub(_PORT, "<address>", re.sub(_ADDRESS, "<address>", shown))
        for pattern, substitute in self._name_patterns:
            shown = pattern.sub(substitute, shown)
        return shown

    def value(self, value: Any, lang: str) -> Any:
        """Return a copy of a value with every message rendered and every text redacted and printable, also in keys."""
        return map_texts(value, lambda text: printable(self.text(text)), lang)

    def masked(self, value: Any) -> Any:
        """Return a copy of a value with names replaced by `x`, or by `某` for characters that are not ASCII.

        Paths keep their length and stay absolute, so that a recording gives the same diagnosis as the machine.
        """
        return map_texts(value, self._mask)

    def _mask(self, value: str) -> str:
        shown = without_secrets(value)
        if self._home is not None and re.split(r"[/\\]+", self.home)[-1].lower() not in _ANONYMOUS_NAMES:
            shown = self._home.sub(_mask_last_part, shown)
        shown = re.sub(_ANY_HOME, _mask_last_part, shown)
        shown = re.sub(_PORT, "<address>", re.sub(_ADDRESS, "<address>", re.sub(_MAIL, "<email>", shown)))
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
