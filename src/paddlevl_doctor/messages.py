"""The sentences for people, in English and Chinese: a message is an id and parameters, and is worded when shown.

The texts are data: matrix/messages holds the sentences of the doctor, matrix/failures those about known failures
(`failure:<failure>:<field>`, as in `failure:driver-too-old:title.bad`), matrix/sets.toml those about version sets
(`set:<name>:why`). A file is read when one of its messages is first shown.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from paddlevl_doctor.data_files import data_folder, read_toml_once

LANGUAGES = ("en", "zh")
_chosen = {"language": "en"}
"""The language of the files that a run writes; one a process, so that threads have it, too."""
_NAME = re.compile(r"\{([a-z_]+)\}")
"""A placeholder in the texts of a failure, whose other braces are plain text."""


@dataclass(frozen=True, slots=True)
class Message:
    """A sentence that is not worded yet. `str` of it is English, for logs and exceptions."""

    id: str
    params: Mapping[str, object] = field(default_factory=dict)
    """The values of the placeholders. A Message among them, or a list of Messages, is worded with the sentence."""

    def __hash__(self) -> int:
        """Return a hash of the id, because the parameters may be of any type."""
        return hash(self.id)

    def __str__(self) -> str:
        """Return the sentence in English."""
        return render(self, "en")


Text: TypeAlias = Message | str
"""What a value carries for people: a message, or words that are not ours, such as the output of a program."""


def message(message_id: str, /, **params: object) -> Message:
    """Return a message; nothing is read, so an unknown id raises KeyError only in `render`."""
    return Message(message_id, params)


def render(said: Text, lang: str) -> str:
    """Return a message in English or Chinese (zh); a text stays as it is.

    Raises KeyError for an unknown id, and for a placeholder without a parameter.
    """
    if isinstance(said, str):
        return said
    values = {name: _worded(value, lang) for name, value in said.params.items()}
    source, _, rest = said.id.partition(":")
    if source == "failure":
        texts = _texts_of_failure(*rest.rsplit(":", 1))
        return _NAME.sub(lambda found: str(values[found[1]]), texts[lang])
    if source == "set":
        return _texts_of_set(*rest.rsplit(":", 1))[lang]
    if source == "patch":
        return _texts_of_patch(*rest.rsplit(":", 1))[lang]
    return _texts(said.id)[lang].format(**values)


def to_json(said: Message) -> dict[str, Any]:
    """Return a message as plain JSON types; `from_json` reads it back."""
    return {"id": said.id, "params": {name: _plain(value) for name, value in said.params.items()}}


def from_json(document: Mapping[str, Any]) -> Message:
    """Return the message that `to_json` wrote; raises KeyError and TypeError for another document."""
    return Message(document["id"], {name: _read(value) for name, value in document["params"].items()})


def _plain(value: object) -> object:
    value = _carried(value)
    if isinstance(value, Message):
        return to_json(value)
    if isinstance(value, (tuple, list)):
        return [_plain(part) for part in value]
    return value if isinstance(value, (str, int, float, type(None))) else str(value)


def _read(value: Any) -> object:
    if isinstance(value, dict):
        return from_json(value)
    return [_read(part) for part in value] if isinstance(value, list) else value


def _carried(value: object) -> object:
    """Return the message that an exception carries; any other value as it is."""
    carried = getattr(value, "message", None) if isinstance(value, Exception) else None
    return carried if isinstance(carried, Message) else value


def sentences(parts: Iterable[Text]) -> Text:
    """Return sentences that follow one another as one text; an empty text where there is none."""
    kept = [part for part in parts if part]
    if not kept:
        return ""
    return functools.reduce(lambda first, second: message("two-sentences", first=first, second=second), kept)


def say(message_id: str, lang: str, /, **params: object) -> str:
    """Return a sentence in English or Chinese (zh); raises KeyError as `render` does."""
    return render(Message(message_id, params), lang)


def _worded(value: object, lang: str) -> object:
    """Return a parameter as it is filled in; a list becomes its parts with the language's separator between."""
    value = _carried(value)
    if isinstance(value, Message):
        return render(value, lang)
    if isinstance(value, (tuple, list)):
        return _texts("list-separator")[lang].join(str(_worded(part, lang)) for part in value)
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
"""The files of matrix/messages besides common.toml, in the order in which a message is looked for."""


def _file(name: str) -> Mapping[str, Any]:
    return read_toml_once(data_folder("matrix") / "messages" / f"{name}.toml")


def _texts_of_failure(failure: str, name: str) -> Mapping[str, str]:
    """Return a text of matrix/failures/<failure>.toml: looks_at, title.short, title.ok, title.bad, cause, remedy."""
    path = data_folder("matrix") / "failures" / f"{failure}.toml"
    if not path.is_file():
        raise KeyError(failure)
    texts: Any = read_toml_once(path)
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


def set_language(lang: str) -> None:
    """Choose the language of `text` for this run."""
    _chosen["language"] = lang


def language() -> str:
    """Return the language in use: en or zh."""
    return _chosen["language"]


def text(message_id: str, /, **params: object) -> str:
    """Return a sentence in the language in use, its placeholders filled; raises KeyError for an unknown id."""
    return render(Message(message_id, params), language())
