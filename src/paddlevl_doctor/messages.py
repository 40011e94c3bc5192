"""Messages in English and Chinese: a message is an id and parameters, and becomes a sentence when it is rendered.

The texts are data: matrix/messages holds the sentences of the doctor, matrix/failures those about known failures
(`failure:<failure>:<field>`, as in `failure:driver-too-old:title.bad`), matrix/sets.toml those about version sets
(`set:<name>:why`). A file is read when one of its messages is first shown.

A command of the doctor in a text is a placeholder of its own, `{doctor:fix --only {id}}`: it is completed as the
invocation of the process says, and quoted for the user's shell. `{install:reader}` is the command that installs an
extra of the doctor, `{uv:pip install --python {python} numpy}` one of uv; it names the environment that it changes.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from paddlevl_doctor.data_files import data_folder, read_toml_once
from paddlevl_doctor.invocation import NAME, invocation

LANGUAGES = ("en", "zh")
_chosen = {"language": "en"}
"""The language of the files that a run writes. It belongs to the process, so that all threads share it."""
_NAME = re.compile(r"\{([a-z_]+)\}")
"""A placeholder in the texts of a failure; other braces there are plain text."""
_COMMAND = re.compile(r"\{(doctor|install|uv):((?:[^{}]|\{[a-z_]+\})*)\}")
"""A command of the doctor or of uv in a text; a placeholder in it is one argument, or a part of one."""


@dataclass(frozen=True, slots=True)
class Message:
    """A sentence that is not rendered yet. `str` renders it in English, for logs and exceptions."""

    id: str
    params: Mapping[str, object] = field(default_factory=dict)
    """The values of the placeholders. A Message, or a list of Messages, is rendered with the sentence."""

    def __hash__(self) -> int:
        """Return a hash of the id, because the parameters may be of any type."""
        return hash(self.id)

    def __str__(self) -> str:
        """Return the sentence in English."""
        return render(self, "en")


Text: TypeAlias = Message | str
"""A text for people: a message, or a text of other programs, such as their output."""


def message(message_id: str, /, **params: object) -> Message:
    """Return a message. The id is not looked up here: an unknown one raises KeyError in `render`."""
    return Message(message_id, params)


def render(source: Text, lang: str) -> str:
    """Return the sentence of a message in English (en) or Chinese (zh); a string is returned unchanged.

    Raises KeyError for an unknown id and for a placeholder without a parameter.
    """
    if isinstance(source, str):
        return source
    values = {name: _rendered(value, lang) for name, value in source.params.items()}
    kind, _, rest = source.id.partition(":")
    if kind == "failure":
        texts = _texts_of_failure(*rest.rsplit(":", 1))
        return filled(texts[lang], lambda part: _NAME.sub(lambda match: str(values[match[1]]), part))
    if kind == "set":
        return _texts_of_set(*rest.rsplit(":", 1))[lang]
    if kind == "patch":
        return _texts_of_patch(*rest.rsplit(":", 1))[lang]
    return filled(_texts(source.id)[lang], lambda part: part.format(**values))


def filled(words: str, fill: Callable[[str], str]) -> str:
    """Return a text of the catalogue with its commands completed and its other placeholders replaced by `fill`."""
    shown, end = "", 0
    for found in _COMMAND.finditer(words):
        shown += fill(words[end : found.start()]) + _command(found, fill)
        end = found.end()
    return shown + fill(words[end:])


def _command(found: re.Match[str], fill: Callable[[str], str]) -> str:
    if found[1] == "install":
        return invocation().install_line(found[2])
    return invocation().line((NAME if found[1] == "doctor" else "uv", *map(fill, found[2].split())))


def to_json(source: Message) -> dict[str, Any]:
    """Return a message as plain JSON types; `from_json` is the inverse."""
    return {"id": source.id, "params": {name: _plain(value) for name, value in source.params.items()}}


def from_json(document: Mapping[str, Any]) -> Message:
    """Return the message of a document of `to_json`. Raises KeyError or TypeError for any other document."""
    return Message(document["id"], {name: _read(value) for name, value in document["params"].items()})


def _plain(value: object) -> object:
    value = _message_of_exception(value)
    if isinstance(value, Message):
        return to_json(value)
    if isinstance(value, (tuple, list)):
        return [_plain(part) for part in value]
    return value if isinstance(value, (str, int, float, type(None))) else str(value)


def _read(value: Any) -> object:
    if isinstance(value, dict):
        return from_json(value)
    return [_read(part) for part in value] if isinstance(value, list) else value


def _message_of_exception(value: object) -> object:
    """Return the message of a DoctorError; return any other value unchanged."""
    found = getattr(value, "message", None) if isinstance(value, Exception) else None
    return found if isinstance(found, Message) else value


def sentences(parts: Iterable[Text]) -> Text:
    """Join the texts that are not empty to one text; return an empty string if there is none."""
    texts = [part for part in parts if part]
    if not texts:
        return ""
    return functools.reduce(lambda first, second: message("two-sentences", first=first, second=second), texts)


def tr(message_id: str, lang: str, /, **params: object) -> str:
    """Return the sentence of a message id in English (en) or Chinese (zh). Raises KeyError as `render` does."""
    return render(Message(message_id, params), lang)


def _rendered(value: object, lang: str) -> object:
    """Return a parameter with its messages rendered; a list becomes a text with the separator of the language."""
    value = _message_of_exception(value)
    if isinstance(value, Message):
        return render(value, lang)
    if isinstance(value, (tuple, list)):
        return _texts("list-separator")[lang].join(str(_rendered(part, lang)) for part in value)
    return value


def _texts(message_id: str) -> Mapping[str, str]:
    """Return a message of matrix/messages in every language."""
    for name in ("common", *_OTHERS):
        texts: Mapping[str, str] | None = _file(name).get(message_id)
        if texts is not None:
            return texts
    raise KeyError(message_id)


_OTHERS = (
    *("check", "evidence", "rules", "fix", "packages", "patches", "parse", "evaluation", "server", "cluster"),
    *("explain", "matrix", "export", "serve"),
)
"""The files of matrix/messages besides common.toml, in search order."""


@functools.cache
def _file(name: str) -> Mapping[str, Any]:
    return read_toml_once(data_folder("matrix") / "messages" / f"{name}.toml")


def _texts_of_failure(failure: str, name: str) -> Mapping[str, str]:
    """Return a text of matrix/failures/<failure>.toml: looks_at, title.short, title.ok, title.bad, cause, remedy."""
    try:
        texts: Any = read_toml_once(data_folder("matrix") / "failures" / f"{failure}.toml")
    except FileNotFoundError:
        raise KeyError(failure) from None
    for part in name.split("."):
        texts = texts[part]
    return dict(texts)


def _texts_of_set(name: str, text_name: str) -> Mapping[str, str]:
    """Return a text of a version set in matrix/sets.toml; the only one is `why`."""
    rows = read_toml_once(data_folder("matrix") / "sets.toml")["set"]
    row = {row["name"]: row for row in rows}[name]
    return {lang: row[f"{text_name}_{lang}"] for lang in LANGUAGES}


def _texts_of_patch(patch: str, name: str) -> Mapping[str, str]:
    """Return a text of patches/<patch>/patch.toml: title, why or drop_when."""
    path = data_folder("patches") / patch / "patch.toml"
    if not path.is_file():
        raise KeyError(patch)
    return dict(read_toml_once(path)[name])


def catalogue() -> Mapping[str, Mapping[str, str]]:
    """Return every message of matrix/messages by its id, in every language."""
    return {name: texts for file in ("common", *_OTHERS) for name, texts in _file(file).items()}


def is_known(message_id: str) -> bool:
    """Return whether matrix/messages has this id; a recording of a newer doctor may have another one."""
    try:
        return bool(_texts(message_id))
    except KeyError:
        return False


def set_language(lang: str) -> None:
    """Set the language of `text` for this process."""
    _chosen["language"] = lang


def language() -> str:
    """Return the language of this process: en or zh."""
    return _chosen["language"]


def text(message_id: str, /, **params: object) -> str:
    """Return the sentence of a message id in the language of this process. Raises KeyError as `render` does."""
    return render(Message(message_id, params), language())
