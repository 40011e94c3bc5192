"""Cut the demo page's fonts down to the glyphs it uses: `python tests/demo/subset.py FOLDER`, once after new words.

FOLDER holds the font files of Debian's packages fonts-noto-cjk and fonts-stix, anywhere below it. A cut font is a
modified version under the Open Font License, so it gets a name of its own; copyright and licence stay in it.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))

from fontTools.subset import Options, Subsetter
from fontTools.ttLib import TTFont

from demo.render import ASSETS, glyphs
from demo.typeset import FONTS

# Name in the tests, source file, number of the face in it (2 is simplified Chinese in the Noto collections).
SOURCES = (
    ("serif", "NotoSerifCJK-Regular.ttc", 2),
    ("sans", "NotoSansCJK-Regular.ttc", 2),
    ("sans-bold", "NotoSansCJK-Bold.ttc", 2),
    ("math", "STIXGeneral-Regular.otf", -1),
    ("math-italic", "STIXGeneral-Italic.otf", -1),
)
_KEPT_NAMES = (0, 7, 13, 14)  # copyright, trademark, licence, licence address
_FAMILY, _STYLE, _UNIQUE, _FULL, _POSTSCRIPT = 1, 2, 3, 4, 6


def options() -> Options:
    """Return what to leave out: everything but outlines, widths and the character map."""
    chosen = Options()
    chosen.layout_features, chosen.hinting, chosen.notdef_outline = [], False, True
    chosen.drop_tables += ["GPOS", "GSUB", "GDEF", "BASE", "VORG", "vhea", "vmtx", "VDMX", "FFTM"]
    chosen.name_IDs, chosen.name_languages = list(_KEPT_NAMES), [0x409]
    return chosen


def cut(source: Path, number: int, text: str) -> TTFont:
    """Return a font with just the glyphs of `text`."""
    font = TTFont(source, fontNumber=number)
    cutter = Subsetter(options())
    cutter.populate(text=text)
    cutter.subset(font)
    return font


def rename(font: TTFont, name: str) -> None:
    """Give a cut font its own name, as the reserved names of the originals require."""
    words = {_FAMILY: f"Demo Page {name}", _STYLE: "Regular", _POSTSCRIPT: f"DemoPage-{name}"}
    words |= {_FULL: words[_FAMILY], _UNIQUE: words[_POSTSCRIPT]}
    for number, word in words.items():
        font["name"].setName(word, number, 3, 1, 0x409)
    outlines = font["CFF "].cff
    outlines.fontNames = [words[_POSTSCRIPT]]
    top = outlines.topDictIndex[0]
    top.FullName = top.FamilyName = words[_FAMILY]


def main(folder: Path) -> None:
    """Write every subset."""
    text = glyphs(json.loads((ASSETS / "demo.json").read_text(encoding="utf-8")))
    latin = "".join(c for c in text if c < "\u2e80")
    for name, file, number in SOURCES:
        font = cut(next(folder.rglob(file)), number, wanted(name, text, latin))
        rename(font, name)
        font.save(FONTS / f"{name}.otf")


def wanted(name: str, text: str, latin: str) -> str:
    """Return the characters a font is used for: only the serif and the headings carry Chinese."""
    if name == "serif":
        return text
    return latin + "摘要结语" if name == "sans-bold" else latin


if __name__ == "__main__":
    main(Path(sys.argv[1]))
