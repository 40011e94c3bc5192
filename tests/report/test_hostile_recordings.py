"""The words of a recording or a server are text: they steer no terminal, are no markup, and crash nothing."""

from __future__ import annotations

import contextlib
import io
import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bundles import golden
from paddlevl_doctor.commands.check import CheckRequest, check
from paddlevl_doctor.commands.diagnose import TargetOptions
from paddlevl_doctor.facts import recording
from paddlevl_doctor.parsing.output.markdown import clean_markdown
from paddlevl_doctor.report.console import Screen
from paddlevl_doctor.report.formats import renderers
from paddlevl_doctor.system.files import load_json
from paddlevl_doctor.system.machine import RealSystem
from paddlevl_doctor.values.errors import DoctorError

HOSTILE = "\x1b]0;owned\x07<img src=x onerror=alert(1)>\u202e`</details>@someone ::error::x\r\n::warning::y"
CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]")


@contextlib.contextmanager
def no_stage(_title: object) -> Iterator[None]:
    yield


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of every text and null in the first items of lists."""
    if isinstance(value, (dict, list)):
        pairs = value.items() if isinstance(value, dict) else enumerate(value[:1])
        for key, item in pairs:
            yield from leaves(item, (*path, key))
    elif value is None or isinstance(value, str):
        yield path


def replaced(value: Any, path: tuple[Any, ...], text: str) -> Any:
    if not path:
        return text
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = replaced(value[path[0]], path[1:], text)
    return copy


@pytest.mark.parametrize("name", ["slim-container", "kaggle-t4-november"])
def test_every_text_of_a_recording_may_be_anything(name: str, tmp_path: Path) -> None:
    path = tmp_path / "r.zip"
    recording.save(path, golden(name).recording, lambda value: value)
    with zipfile.ZipFile(path) as archive:
        members = {member: json.loads(archive.read(member)) for member in archive.namelist()}
    shown = 0
    for leaf in leaves(members["facts.json"]):
        changed = {**members, "facts.json": replaced(members["facts.json"], leaf, HOSTILE)}
        with zipfile.ZipFile(path, "w") as archive:
            for member, value in changed.items():
                archive.writestr(member, json.dumps(value))
        try:
            report = check(RealSystem(), TargetOptions(), no_stage, CheckRequest(replay=path))
        except DoctorError:
            continue
        screen = Screen(False, True, False, Path("/nowhere"), "en")
        screen.console.file = io.StringIO()
        screen.check(report)
        pages = {form: render() for form, render in renderers(report, "en").items()}
        pages["console"] = screen.console.file.getvalue()
        assert {form: found[0] for form, page in pages.items() if (found := CONTROL.search(page))} == {}, leaf
        assert "<img src=x" not in pages["html"] + pages["junit"]
        outside = re.sub(r"(?ms)^(`{3,})text\n.*?^\1$|`[^`\n]+`", "", pages["markdown"])
        assert not re.search(r"(?<!\\)<img|@someone", outside), leaf
        assert not re.search(r"(?m)^::(?!error title=|warning title=)", pages["github"]), leaf
        shown += 1
    assert shown > 10


@pytest.mark.parametrize(
    ("said", "written"),
    [
        ("\x1b]0;owned\x07 x\x1b[2J", " ]0;owned  x [2J"),
        ("<script>alert(1)</script>", "&lt;script>alert(1)&lt;/script>"),
        ("<img src=x onerror=alert(1)", "&lt;img src=x onerror=alert(1)"),
        ("<!-- x --> <?php <iframe>", "&lt;!-- x --> &lt;?php &lt;iframe>"),
        ("<b onmouseover=alert(1)>x</b>", "<b>x</b>"),
        ("<td onclick='x' colspan=\"2\" style='a:url(b)'>1 < 2</td>", '<td colspan="2">1 < 2</td>'),
        (
            "<TABLE border=1><tr><th rowspan='3'>é</th></tr></table>",
            '<table><tr><th rowspan="3">é</th></tr></table>',
        ),
        (
            "![x](http://host/t.png) [y](javascript:alert(1))",
            "[x](http://host/t.png) [y](#javascript:alert(1))",
        ),
        ("# Title\n\ntext 中文 $a < b$ \\frac{1}{2}\n", "# Title\n\ntext 中文 $a < b$ \\frac{1}{2}\n"),
    ],
)
def test_the_markdown_of_a_server_has_no_markup_but_tables(said: str, written: str) -> None:
    assert clean_markdown(said) == written
    assert clean_markdown(written) == written


@pytest.mark.parametrize("text", ["[" * 200_000, '{"a":' * 200_000, "nonsense", b"\xff"])
def test_json_of_others_that_is_deep_or_none_is_a_value_error(text: str | bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        load_json(text)
