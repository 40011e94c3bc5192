"""Finds what is known about the documents, before anything is read: one text, a folder of them, the page that ships."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import TypeVar

from paddlevl_doctor.errors import UsageError
from paddlevl_doctor.messages import text
from paddlevl_doctor.parsing.inputs import Input
from paddlevl_doctor.parsing.truth import Truth, load_truth

SUFFIXES = (".json", ".md", ".markdown", ".txt")
"""Of a known text in a folder of them, after the name of its document."""

_Folder = TypeVar("_Folder", bound=PurePath)


@dataclass(frozen=True)
class Known:
    """The known texts of the documents that have one; `missing` says where that of each other one was promised.

    `places` are the files that the user gave.
    """

    texts: Mapping[Path, Truth] = field(default_factory=dict)
    missing: Mapping[Path, Path | str] = field(default_factory=dict)
    places: tuple[Path, ...] = ()

    def why_missing(self, document: Path) -> str:
        """Return why a document fails for want of its known text, empty where none was promised."""
        place = self.missing.get(document)
        return "" if place is None else text("known-missing", place=place)


def known_texts(
    expect: Path | None, inputs: Sequence[Input], assets: Path, lang: str, missing: str = ""
) -> Known:
    """Read the known texts that `--expect` names, else that of the page that ships.

    A folder mirrors the documents': `a/1.png` has `a/1.md` or `a/1.png.md`. `missing` is where those of all documents
    were looked for in vain. Raises UsageError where a text cannot be read, where one text is given for several
    documents, and where a folder has none for any of them.
    """
    if missing:
        return Known(missing={item.path: missing for item in inputs})
    if expect is None:
        return Known(_shipped(inputs, assets, lang))
    if not expect.is_dir():
        if len(inputs) > 1:
            raise UsageError(text("known-one-for-many", path=expect, count=len(inputs)))
        return Known({inputs[0].path: load_truth(expect, lang)}, places=(expect,))
    places = {item.path: _place(expect, item) for item in inputs}
    texts = {path: load_truth(place, lang) for path, place in places.items() if place is not None}
    lacking = {item.path: expect / f"{item.name}.md" for item in inputs if item.path not in texts}
    if not texts:
        place = lacking[inputs[0].path]
        raise UsageError(text("known-none", folder=expect, count=len(inputs), place=place))
    return Known(texts, lacking, tuple(place for place in places.values() if place is not None))


def candidates(folder: _Folder, document: PurePath) -> Iterator[_Folder]:
    """Yield where the known text of a document may lie, the best place first, in the folder that mirrors its own."""
    names = (f"{name}{suffix}" for name in (document.name, document.stem) for suffix in SUFFIXES)
    yield from (folder / name for name in names)


def _place(folder: Path, item: Input) -> Path | None:
    """Return the file with the known text of a document, None where there is none."""
    places = candidates(folder / Path(item.name).parent, item.path)
    return next((place for place in places if place.is_file()), None)


def _shipped(inputs: Sequence[Input], assets: Path, lang: str) -> dict[Path, Truth]:
    shipped = (assets / "demo.png").read_bytes()
    same = [item.path for item in inputs if _is(item.path, shipped)]
    return {path: load_truth(assets / "demo.json", lang) for path in same}


def _is(document: Path, data: bytes) -> bool:
    try:
        return document.stat().st_size == len(data) and document.read_bytes() == data
    except OSError:  # what cannot be opened is said when it is read
        return False
