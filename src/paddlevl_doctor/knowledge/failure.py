"""One known failure as a value: its texts in two languages, its signatures, where it applies, its cure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from paddlevl_doctor.knowledge.errors import KnowledgeError

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
