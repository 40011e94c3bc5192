"""The known failures: reads and validates the files in matrix/failures.

Each file is read when its failure is needed: `check` needs a few failures and must finish in a fifth of a second,
`explain` needs all of them.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping
from dataclasses import field
from pathlib import Path
from typing import Literal, cast, get_args

from paddlevl_doctor.data_files import data_folder, read_toml, read_toml_once
from paddlevl_doctor.frozen import dataclass
from paddlevl_doctor.knowledge.tables import KnowledgeError
from paddlevl_doctor.messages import Message, filled
from paddlevl_doctor.shells import ELLIPSIS

Field = Literal["title.short", "title.ok", "title.bad", "cause", "remedy", "looks_at"]
"""title.ok is the title without a problem, title.bad with one; short, ok and looks_at have no placeholders."""
Proof = Literal["reproduced", "source", "threads"]
"""reproduced: a test of this repository shows it; source: found in, or seen with, the released packages;
threads: reported by users, not checked."""
Kind = Literal[
    "packages",
    "requirements",
    "separate",
    "patch",
    "set",
    "recreate",
    "roll-back",
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
"""The meaning of a signature in a log: the cause of a stop, often only a warning, the consequence of another failure,
or harmless."""

Quick = Literal["note", "warning", "error"]
"""The status of a failure that is found by `applies` alone."""

LANGUAGES = ("en", "zh")
FIELDS: tuple[Field, ...] = get_args(Field)
ELIDED = ELLIPSIS
"""Replaces an unknown value in a text that is shown outside of a finding."""

_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")


@dataclass(frozen=True)
class Cure:
    """The action of `fix` for a failure, by `kind`.

    packages installs `requirements`; requirements installs the distributions that the finding names, in versions that
    the METADATA of the stack allows; separate removes distributions that share files with others, and installs these
    again; patch applies `patch` (the name of a folder in patches/); set installs the chosen
    version set; recreate creates the environment again and installs the version set; roll-back restores the state
    before an interrupted transaction, which `fix --apply` always does first; paddle installs only the paddle wheel of
    the set; link creates the `pipelines` link; reinstall-paddle removes both paddle distributions and installs one;
    reinstall downloads and installs the distributions of the finding again; set-aside moves the models of the finding
    out of the model cache; share replaces a copy of a model by a link; edit-config writes a model's
    generation_config.json; environment writes the activation file; manual does nothing.
    """

    kind: Kind
    requirements: tuple[str, ...] = ()
    patch: str | None = None


@dataclass(frozen=True)
class Applies:
    """The conditions under which a failure can occur. An empty field excludes nothing; all specifiers must hold."""

    systems: tuple[str, ...] = ()
    specifiers: Mapping[str, str] = field(default_factory=dict)
    """Version specifiers by normalised distribution name."""
    devices: tuple[str, ...] = ()
    """The devices on which the failure occurs: cpu, gpu."""
    compute_capability: str | None = None
    """A specifier for the GPU's compute capability, for example `<8.0`."""


@dataclass(frozen=True)
class Failure:
    """One known failure. `texts` has every `Field` in all LANGUAGES; read it with `message` or `text`."""

    id: str
    evidence: Proof
    reproduced_by: str | None
    """The test that shows the failure, as `FILE::NAME`; only with the evidence "reproduced"."""
    untested: str | None
    """The reason why no test shows the failure; only with another evidence."""
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
    """The status that checks/sources.py reports if `applies` holds; None if another check finds the failure."""

    def message(self, name: Field, /, **known: object) -> Message:
        """Return one text as a message; unknown placeholders become an ellipsis."""
        placeholders = placeholders_of(self.texts[name]["en"])
        values = {placeholder: known.get(placeholder, ELIDED) for placeholder in sorted(placeholders)}
        return Message(f"failure:{self.id}:{name}", values)

    def text(self, name: Field, lang: str, /, **values: object) -> str:
        """Return one text with its placeholders filled in; braces in a value are not replaced.

        Raises KnowledgeError if the value of a placeholder is missing.
        """
        missing = placeholders_of(self.texts[name][lang]) - set(values)
        if missing:
            raise KnowledgeError(
                f"{self.id}.toml", f"{name}.{lang}", f"no value for {', '.join(sorted(missing))}"
            )
        return self.general(name, lang, **values)

    def general(self, name: Field, lang: str, /, **known: object) -> str:
        """Return one text; unknown placeholders become an ellipsis, for example for a failure in a log."""
        return filled(
            self.texts[name][lang],
            lambda part: _PLACEHOLDER.sub(lambda found: str(known.get(found[1], ELIDED)), part),
        )


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
    """Read one file and validate it whole; raises KnowledgeError that names the file and the field."""
    reader = _reader(path, read)
    failure = reader.failure()
    reader.check_consistency(failure)
    return failure


def _reader(path: Path, read: Callable[[Path], Mapping[str, object]]) -> _Reader:
    try:
        return _Reader(path, read(path))
    except (OSError, ValueError) as error:  # a TOMLDecodeError is a ValueError
        raise KnowledgeError(path, "", str(error)) from error


@dataclass(frozen=True)
class _Reader:
    """Converts a parsed file to a Failure. Raises KnowledgeError for a missing, unknown or mistyped field."""

    path: Path
    document: Mapping[str, object]

    def failure(self) -> Failure:
        self.keys("")
        return Failure(
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

    def wrong(self, name: str, problem: str) -> KnowledgeError:
        return KnowledgeError(self.path, name, problem)

    def get(self, name: str) -> object:
        """Return the value at a dotted path, None if there is none."""
        value: object = self.document
        for part in name.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
        return value

    def keys(self, table: str) -> None:
        """Raise KnowledgeError for an unknown field in a table; a table outside _KEYS is a text by language."""
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

    def check_consistency(self, failure: Failure) -> None:
        """Raise KnowledgeError for fields that contradict each other."""
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
            allowed = () if name in ("title.short", "title.ok", "looks_at") else failure.placeholders
            if not used["en"] <= set(allowed):
                raise self.wrong(name, "a placeholder is not announced in placeholders, or not allowed here")


__all__ = ["Applies", "Cure", "Failure", "Match", "all_ids", "load_all", "load_failure"]


@functools.cache
def load_failure(failure_id: str) -> Failure:
    """Read one failure file. Raises KnowledgeError if it is missing or malformed.

    Whether its fields contradict each other is the business of `read_failure`: a check reads 70 files in milliseconds.
    """
    return _reader(_folder() / f"{failure_id}.toml", read_toml_once).failure()


@functools.cache
def all_ids() -> tuple[str, ...]:
    """Return the sorted ids of all known failures, which are the file names."""
    return tuple(sorted(path.stem for path in _folder().glob("*.toml")))


def load_all() -> tuple[Failure, ...]:
    """Read every known failure, in the order of `all_ids`. Raises KnowledgeError as `load_failure` does."""
    return tuple(load_failure(failure_id) for failure_id in all_ids())


def _folder() -> Path:
    return data_folder("matrix") / "failures"
