"""What was read, as HTML: Markdown becomes paragraphs, lists and emphasis, formulas code, pictures data.

Whatever stands in a document is hostile. HTML in it stays text but for a few pairs that PaddleOCR-VL writes (`<b>`,
`<sup>` and their kin), which are made anew; links and addresses of pictures are not followed, and nothing of the text
becomes an attribute.
"""

from __future__ import annotations

import base64
import functools
import html
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from paddlevl_doctor.parsing.model import Box
from paddlevl_doctor.report.html import visible

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.rules_inline import StateInline
    from markdown_it.token import Token

_UNUSED = ("link", "image", "autolink", "html_inline", "html_block", "reference", "code", "lheading")
"""Rules of CommonMark that are left out: what leads elsewhere, and what a scanned page never means by its spaces and
rules."""
_KEPT = frozenset({"start"})
"""Attributes that the parser may set: at which number a list begins."""
_FORMULA = re.compile(
    r"\$\$(.{1,1000}?)\$\$|\$(?!\s)([^$\n]{1,400}?)(?<!\s)\$(?!\d)|\\\((.{1,400}?)\\\)|\\\[(.{1,1000}?)\\\]",
    re.DOTALL,
)
_PAIR = re.compile(r"<(b|i|u|em|strong|sup|sub)>([^<>]{1,2000})</\1>", re.IGNORECASE)
_BREAK = re.compile(r"<br\s*/?>", re.IGNORECASE)
_PICTURE = re.compile(
    r"""<img\s[^<>]{0,500}?src=["']?(imgs/[\w.-]{1,200})(?=["'\s/>])[^<>]{0,500}>""", re.IGNORECASE
)
_WRAPPER = re.compile(r"</?(?:div|center|span|html|body)(?:\s[^<>]*)?>", re.IGNORECASE)
"""What only places a part on the page."""
_MOST_BYTES = 150_000
"""A picture that was cut out of a page is shown up to this size; the page itself is beside it."""
_MAGIC = {b"\xff\xd8\xff": "image/jpeg", b"\x89PNG": "image/png"}

Pictures = Callable[[str], str]
"""Returns the data URI of a picture by its name below the page's folder, empty where it is not shown."""


def as_html(text: str, pictures: Pictures, *, inline: bool = False) -> str:
    """Return Markdown as HTML that is safe to show, whatever the text is; `inline` is for the words of a heading."""
    parser, env = _parser(), {"pictures": pictures}
    words = _WRAPPER.sub("", text).strip("\n")
    tokens = parser.parseInline(" ".join(words.split()), env) if inline else parser.parse(words, env)
    _clean(tokens)
    return visible(str(parser.renderer.render(tokens, parser.options, env)))


def pictures_in(folder: Path | None) -> Pictures:
    """Return what looks up the pictures that were cut out of a page."""
    return lambda name: _data_uri(folder / name) if folder is not None else ""


def cut_out(box: Box, folder: Path | None) -> str:
    """Return the picture that the pipeline cut out of a page at this box as a data URI, empty where there is none.

    PaddleX names it by the box (`img_in_image_box_1_2_3_4.jpg`, save_to_markdown).
    """
    if folder is None:
        return ""
    name = "_".join(map(str, box))
    found = next(iter(sorted((folder / "imgs").glob(f"*_box_{name}.*"))), None)
    return _data_uri(found) if found is not None else ""


def _data_uri(path: Path) -> str:
    try:
        if path.stat().st_size > _MOST_BYTES or path.resolve().parent != path.parent.resolve():
            return ""
        data = path.read_bytes()
    except OSError:
        return ""
    kind = next((kind for magic, kind in _MAGIC.items() if data.startswith(magic)), "")
    return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}" if kind else ""


# --- the parser -----------------------------------------------------------------------------------------------


@functools.cache
def _parser() -> MarkdownIt:
    from markdown_it import MarkdownIt  # noqa: PLC0415 - only this format needs it

    parser = MarkdownIt("commonmark", {"html": False, "breaks": True, "maxNesting": 12})
    parser.enable("table")
    parser.disable(list(_UNUSED))
    rules = {"formula": _formula, "pair": _pair, "break": _break, "picture": _picture}
    for name, rule in rules.items():
        parser.inline.ruler.before("escape", name, rule)
    parser.add_render_rule("picture", _show_picture)
    return parser


def _clean(tokens: Sequence[Token]) -> None:
    """Take off all attributes that came from the text, and the words behind a fence, which become a class."""
    for token in tokens:
        token.attrs = {name: value for name, value in token.attrs.items() if name in _KEPT}
        token.info = ""
        token.tag = "h5" if token.type.startswith("heading_") else token.tag
        _clean(token.children or ())


def _formula(state: StateInline, silent: bool) -> bool:
    def push(found: re.Match[str]) -> None:
        token = state.push("code_inline", "code", 0)
        token.content = next(filter(None, found.groups()))

    return state.src[state.pos] in "$\\" and _taken(state, silent, _FORMULA, push)


def _pair(state: StateInline, silent: bool) -> bool:
    def push(found: re.Match[str]) -> None:
        name = found[1].lower()
        state.push("pair_open", name, 1)
        state.push("text", "", 0).content = found[2]
        state.push("pair_close", name, -1)

    return state.src[state.pos] == "<" and _taken(state, silent, _PAIR, push)


def _break(state: StateInline, silent: bool) -> bool:
    def push(_found: re.Match[str]) -> None:
        state.push("hardbreak", "br", 0)

    return state.src[state.pos] == "<" and _taken(state, silent, _BREAK, push)


def _picture(state: StateInline, silent: bool) -> bool:
    def push(found: re.Match[str]) -> None:
        token = state.push("picture", "img", 0)
        token.content = found[1]
        token.meta = {"uri": state.env["pictures"](token.content)}

    return state.src[state.pos] == "<" and _taken(state, silent, _PICTURE, push)


def _taken(
    state: StateInline, silent: bool, pattern: re.Pattern[str], push: Callable[[re.Match[str]], None]
) -> bool:
    found = pattern.match(state.src, state.pos)
    if found is None:
        return False
    if not silent:
        push(found)
    state.pos = found.end()
    return True


def _show_picture(_renderer: Any, tokens: Sequence[Token], at: int, _options: Any, _env: Any) -> str:
    token = tokens[at]
    name, uri = html.escape(token.content), token.meta["uri"]
    return f'<img src="{uri}" alt="{name}">' if uri else f"<code>{name}</code>"
