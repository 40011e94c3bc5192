"""A check as an HTML page without scripts and network requests, safe against hostile text."""

from __future__ import annotations

import functools
import re
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template, pass_context
from jinja2.runtime import Context
from markupsafe import Markup, escape

from paddlevl_doctor import __version__
from paddlevl_doctor.messages import Message, Text, message, render
from paddlevl_doctor.redaction import Redactor
from paddlevl_doctor.report.console import STYLES, causes, command_line, describe_facts, root_of
from paddlevl_doctor.values.check_report import CheckReport

_CODE = re.compile(r"`([^`\n]+)`")
# Characters that change the direction of text, are invisible, or cannot be encoded (lone surrogates).
_CONTROL_CHARS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufeff]"
)


def render_check(report: CheckReport, lang: str) -> str:
    """Return the page; the report is already redacted."""
    found, redactor = causes(report.findings), Redactor.of_this_machine()
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
        command_line=lambda command: redactor.text(command_line(command)),
    )


@functools.cache
def template(name: str) -> Template:
    """Return a template that renders messages, escapes values and replaces control characters."""
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


def visible(text: str) -> str:
    """Return a text with invisible and direction characters replaced."""
    return _CONTROL_CHARS.sub("\ufffd", text)


def _shown(context: Context, value: object) -> object:
    """Render a message and replace control characters in a text; jinja2 escapes the result."""
    text = render(value, context["lang"]) if isinstance(value, Message) else value
    return visible(text) if isinstance(text, str) and not isinstance(text, Markup) else text


def _spans(context: Context, text: Text) -> object:
    """Return a message or text with `code` as code elements and everything else escaped."""
    parts = _CODE.split(visible(render(text, context["lang"])))
    shown = [Markup("<code>{}</code>").format(p) if n % 2 else escape(p) for n, p in enumerate(parts)]
    return Markup("").join(shown)
