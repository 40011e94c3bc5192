"""A check as one HTML page: no script, no request to anywhere, light and dark, and safe against hostile text."""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import TYPE_CHECKING

from paddlevl_doctor import __version__
from paddlevl_doctor.checks.report import CheckReport
from paddlevl_doctor.messages import Message, Text, message, render
from paddlevl_doctor.report.console import STYLES, causes, command_line, describe_facts, root_of

if TYPE_CHECKING:
    from jinja2 import Template
    from jinja2.runtime import Context

_CODE = re.compile(r"`([^`\n]+)`")
# Characters that steer the direction of text, that cannot be seen at all, or (half a surrogate) not be written.
_STEERING = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufeff]"
)


def render_check(report: CheckReport, lang: str) -> str:
    """Return the page; the report is already redacted."""
    found = causes(report.findings)
    return template("check.html").render(
        lang=lang,
        t=message,
        version=__version__,
        report=report,
        facts=describe_facts(report.facts),
        packages=report.facts.target.distributions if report.facts.target else (),
        causes=found,
        tree=[cause for cause in found if cause.consequences],
        root_of=lambda finding: root_of(finding, report.findings),
        marks={status.value: mark for status, (mark, _) in STYLES.items()},
        command_line=command_line,
    )


@functools.cache
def template(name: str) -> Template:
    """Return a template whose values are escaped, and without what would steer the reader's eye."""
    from jinja2 import (  # noqa: PLC0415 - only this format needs it
        Environment,
        FileSystemLoader,
        StrictUndefined,
        pass_context,
    )

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates", encoding="utf-8"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=pass_context(_shown),
    )
    environment.filters["spans"] = pass_context(_spans)
    return environment.get_template(name)


def visible(words: str) -> str:
    """Return text in which what would steer the reader's eye is a mark."""
    return _STEERING.sub("\ufffd", words)


def _shown(context: Context, value: object) -> object:
    """Word a message, make a text visible, and leave everything else to the escaping."""
    from markupsafe import Markup  # noqa: PLC0415 - as above

    words = render(value, context["lang"]) if isinstance(value, Message) else value
    return visible(words) if isinstance(words, str) and not isinstance(words, Markup) else words


def _spans(context: Context, said: Text) -> object:
    """Return a message or text with its `code` as code elements, everything else escaped."""
    from markupsafe import Markup, escape  # noqa: PLC0415 - as above

    parts = _CODE.split(visible(render(said, context["lang"])))
    shown = [Markup("<code>{}</code>").format(p) if n % 2 else escape(p) for n, p in enumerate(parts)]
    return Markup("").join(shown)
