"""The known failures: read one at a time from matrix/failures, and recognised in logs and tracebacks.

`check` needs the texts of a few failures, `explain` the signatures of all of them; a failure that nobody asks
for is never read, because a check has a fifth of a second for everything."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, cast, get_args

from paddlevl_doctor.data_files import data_folder, read_toml, read_toml_once
from paddlevl_doctor.knowledge.tables import KnowledgeError
from paddlevl_doctor.messages import Message

Field = Literal["title.short", "title.ok", "title.bad", "cause", "remedy", "looks_at"]
"""ok is the title when all is well, bad when not; short, ok and looks_at have no placeholders."""
Proof = Literal["reproduced", "source", "threads"]
"""reproduced: a test of this repository shows it; source: found in, or seen with, the released packages;
threads: reported by users, not checked."""
Kind = Literal[
    "packages",
    "patch",
    "set",
    "paddle",
    "link",
    "reinstall-paddle",
    "reinstall",
    "set-aside",
    "share",
    "edit-config",
    "environment",
    "manual",
]
Weight = Literal["cause", "warning", "consequence", "harmless"]
"""What a signature in a log means: a reason to stop, often only a warning, the echo of another failure, or nothing
that anybody has to care about."""

Quick = Literal["note", "warning", "error"]
"""How bad a failure is where `applies` alone tells that it can occur."""

LANGUAGES = ("en", "zh")
FIELDS: tuple[Field, ...] = get_args(Field)
ELIDED = "…"
"""Stands for a value that is not known, where a text is shown outside of a finding."""

_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")


@dataclass(frozen=True)
class Cure:
    """What `fix` does about a failure.

    `requirements` belong to the kind packages, `patch` (the name of a folder in patches/) to the kind patch;
    set installs the chosen version set, paddle its paddle wheel alone, link makes the `pipelines` link,
    reinstall-paddle removes both paddle distributions and installs one, reinstall installs the distributions that
    the finding names again, freshly downloaded; set-aside moves the named models out of the model cache, share
    makes two copies of a model one, edit-config writes a model's generation_config.json, environment writes the
    activation file; manual is left to people.
    """

    kind: Kind
    requirements: tuple[str, ...] = ()
    patch: str | None = None


@dataclass(frozen=True)
class Applies:
    """Where a failure can occur at all; an empty field excludes nothing. All specifiers hold together."""

    systems: tuple[str, ...] = ()
    specifiers: Mapping[str, str] = field(default_factory=dict)
    """Version specifiers by normalised distribution name."""
    devices: tuple[str, ...] = ()
    """cpu or gpu: what PaddleOCR-VL has to run on."""
    compute_capability: str | None = None
    """A specifier that the GPU's compute capability fulfils, for example `<8.0`."""


@dataclass(frozen=True)
class Failure:
    """One known failure. `texts` holds every `Field` in all LANGUAGES; read it through `text`."""

    id: str
    evidence: Proof
    reproduced_by: str | None
    """The test that shows it, `FILE::NAME`; with the evidence reproduced, and only with it."""
    untested: str | None
    """Why no test shows it; without the evidence reproduced, and only without it."""
    fixed_in: str | None
    links: tuple[str, ...]
    signatures: tuple[str, ...]
    """Regular expressions for logs and tracebacks."""
    weight: Weight
    placeholders: tuple[str, ...]
    """The values that the check supplies for the texts."""
    texts: Mapping[Field, Mapping[str, str]]
    applies: Applies
    cure: Cure
    quick: Quick | None = None
    """Seen by versions alone: what checks/by_entry.py says wherever `applies` holds."""

    def message(self, name: Field, /, **known: object) -> Message:
        """Return one text as a message; an ellipsis stands for the values that are not known."""
        wanted = placeholders_of(self.texts[name]["en"])
        values = {placeholder: known.get(placeholder, ELIDED) for placeholder in sorted(wanted)}
        return Message(f"failure:{self.id}:{name}", values)

    def text(self, name: Field, lang: str, /, **values: object) -> str:
        """Return one text with its placeholders filled in; braces inside a value stay what they are.

        Raises KnowledgeError where the text has a placeholder for which no value was given.
        """
        missing = placeholders_of(self.texts[name][lang]) - set(values)
        if missing:
            raise KnowledgeError(
                f"{self.id}.toml", f"{name}.{lang}", f"no value for {', '.join(sorted(missing))}"
            )
        return self.general(name, lang, **values)

    def general(self, name: Field, lang: str, /, **known: object) -> str:
        """Return one text where not all values are known, as for a log: an ellipsis stands for the others."""
        return _PLACEHOLDER.sub(lambda found: str(known.get(found[1], ELIDED)), self.texts[name][lang])


def placeholders_of(text: str) -> frozenset[str]:
    """Return the names in braces that `Failure.text` would replace."""
    return frozenset(_PLACEHOLDER.findall(text))


@dataclass(frozen=True)
class Match:
    """One failure found in a text. `line` counts from 1; `excerpt` is that line, shortened."""

    failure: Failure
    line: int
    excerpt: str
    root_cause: bool

    @property
    def id(self) -> str:
        """The id of the failure."""
        return self.failure.id


_SYSTEMS = ("linux", "windows", "macos")
_DEVICES = ("cpu", "gpu")
_KEYS = {
    "": {
        *(
            "id",
            "evidence",
            "reproduced_by",
            "untested",
            "fixed_in",
            "links",
            "signatures",
            "weight",
            "quick",
            "placeholders",
        ),
        *("looks_at", "title", "cause", "remedy", "applies", "cure"),
    },
    "title": {"short", "ok", "bad"},
    "applies": {"systems", "specifiers", "devices", "compute_capability"},
    "cure": {"kind", "requirements", "patch"},
}


def read_failure(path: Path, read: Callable[[Path], Mapping[str, object]] = read_toml) -> Failure:
    """Read and validate one file; raises KnowledgeError that names the file and the field."""
    try:
        document = read(path)
    except (OSError, ValueError) as error:  # a TOMLDecodeError is a ValueError
        raise KnowledgeError(path, "", str(error)) from error
    return _Reader(path, document).failure()


@dataclass(frozen=True)
class _Reader:
    """Takes a parsed file apart and refuses whatever is missing, unknown or of another type."""

    path: Path
    document: Mapping[str, object]

    def failure(self) -> Failure:
        self.keys("")
        failure = Failure(
            id=self.string("id"),
            evidence=cast(Proof, self.one_of("evidence", get_args(Proof))),
            reproduced_by=self.optional("reproduced_by"),
            untested=self.optional("untested"),
            fixed_in=self.optional("fixed_in"),
            links=self.strings("links"),
            signatures=self.strings("signatures"),
            weight=cast(Weight, self.one_of("weight", get_args(Weight), "cause")),
            placeholders=self.strings("placeholders"),
            texts=self.texts(),
            applies=self.applies(),
            cure=self.cure(),
            quick=self.quick(),
        )
        self.agree(failure)
        return failure

    def wrong(self, name: str, problem: str) -> KnowledgeError:
        return KnowledgeError(self.path, name, problem)

    def get(self, name: str) -> object:
        """Return the value at a dotted path, None where there is none."""
        value: object = self.document
        for part in name.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
        return value

    def keys(self, table: str) -> None:
        """Refuse a table with a field of another name; a table that is not listed holds one text."""
        value = self.get(table) if table else self.document
        if not isinstance(value, Mapping):
            raise self.wrong(table, "a table is expected")
        unknown = sorted(set(value) - _KEYS.get(table, set(LANGUAGES)))
        if unknown:
            raise self.wrong(".".join(filter(None, (table, unknown[0]))), "unknown field")

    def optional(self, name: str) -> str | None:
        value = self.get(name)
        if value is not None and not (isinstance(value, str) and value.strip()):
            raise self.wrong(name, "a text is expected")
        return value

    def string(self, name: str) -> str:
        value = self.optional(name)
        if value is None:
            raise self.wrong(name, "is missing")
        return value

    def one_of(self, name: str, allowed: tuple[str, ...], default: str | None = None) -> str:
        value = self.optional(name) or default
        if value not in allowed:
            raise self.wrong(name, f"one of {', '.join(allowed)} is expected")
        return value

    def strings(self, name: str) -> tuple[str, ...]:
        value = self.get(name)
        values = [] if value is None else value
        if not isinstance(values, list) or not all(isinstance(item, str) and item for item in values):
            raise self.wrong(name, "a list of texts is expected")
        if len(set(values)) != len(values):
            raise self.wrong(name, "a text occurs twice")
        return tuple(values)

    def texts(self) -> Mapping[Field, Mapping[str, str]]:
        self.keys("title")
        return {name: self.text(name) for name in FIELDS}

    def text(self, path: str) -> Mapping[str, str]:
        text = {lang: self.string(f"{path}.{lang}") for lang in LANGUAGES}
        self.keys(path)
        return text

    def applies(self) -> Applies:
        if self.get("applies") is None:
            return Applies()
        self.keys("applies")
        systems = self.subset("applies.systems", _SYSTEMS)
        devices = self.subset("applies.devices", _DEVICES)
        specifiers = self.get("applies.specifiers") or {}
        if not isinstance(specifiers, dict) or not all(isinstance(item, str) for item in specifiers.values()):
            raise self.wrong("applies.specifiers", "a table of texts is expected")
        return Applies(systems, specifiers, devices, self.optional("applies.compute_capability"))

    def subset(self, name: str, allowed: tuple[str, ...]) -> tuple[str, ...]:
        values = self.strings(name)
        if not set(values) <= set(allowed):
            raise self.wrong(name, f"only {', '.join(allowed)} are expected")
        return values

    def quick(self) -> Quick | None:
        if self.get("quick") is None:
            return None
        return cast(Quick, self.one_of("quick", get_args(Quick)))

    def cure(self) -> Cure:
        self.keys("cure")
        kind = cast(Kind, self.one_of("cure.kind", get_args(Kind)))
        requirements, patch = self.strings("cure.requirements"), self.optional("cure.patch")
        if (kind == "packages") != bool(requirements):
            raise self.wrong("cure.requirements", "belongs to the kind packages, and only to it")
        if (kind == "patch") != (patch is not None):
            raise self.wrong("cure.patch", "belongs to the kind patch, and only to it")
        return Cure(kind, requirements, patch)

    def agree(self, failure: Failure) -> None:
        """Refuse fields that are right by themselves but contradict each other."""
        if failure.id != self.path.stem:
            raise self.wrong("id", "is not the name of the file")
        if (failure.evidence == "reproduced") != (failure.reproduced_by is not None):
            raise self.wrong("reproduced_by", "belongs to the evidence reproduced, and only to it")
        if failure.quick is not None and not failure.applies.specifiers:
            raise self.wrong("quick", "needs applies.specifiers")
        if (failure.evidence == "reproduced") != (failure.untested is None):
            raise self.wrong("untested", "says why there is no test, and belongs to every other evidence")
        for name, by_language in failure.texts.items():
            used = {lang: placeholders_of(text) for lang, text in by_language.items()}
            if used["en"] != used["zh"]:
                raise self.wrong(name, "the languages have different placeholders")
            if not used["en"] <= set(
                () if name in ("title.short", "title.ok", "looks_at") else failure.placeholders
            ):
                raise self.wrong(name, "a placeholder is not announced in placeholders, or not allowed here")


__all__ = ["Applies", "Cure", "Failure", "Match", "all_ids", "load_all", "load_failure"]


@functools.cache
def load_failure(failure_id: str) -> Failure:
    """Read one failure, and only that file. Raises KnowledgeError where it is missing or malformed."""
    return read_failure(_folder() / f"{failure_id}.toml", read_toml_once)


@functools.cache
def all_ids() -> tuple[str, ...]:
    """Return the ids of all known failures, sorted, without opening a file."""
    return tuple(sorted(path.stem for path in _folder().glob("*.toml")))


def load_all() -> tuple[Failure, ...]:
    """Read every known failure, in the order of `all_ids`. Raises KnowledgeError as `load_failure` does."""
    return tuple(load_failure(failure_id) for failure_id in all_ids())


def _folder() -> Path:
    return data_folder("matrix") / "failures"
