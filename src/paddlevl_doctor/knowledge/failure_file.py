"""Reads one file of matrix/failures; refuses what is missing, unknown, of another type or contradictory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast, get_args

from paddlevl_doctor.data_files import read_toml
from paddlevl_doctor.knowledge.errors import KnowledgeError
from paddlevl_doctor.knowledge.failure import (
    FIELDS,
    LANGUAGES,
    Applies,
    Cure,
    Failure,
    Field,
    Kind,
    Proof,
    Quick,
    Weight,
    placeholders_of,
)

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
