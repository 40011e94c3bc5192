"""Options of `parse` that cannot be met end the run before anything is read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import documents
from paddlevl_doctor.commands.diagnose import TargetOptions
from paddlevl_doctor.commands.parse import parse
from paddlevl_doctor.parsing.run.report import ParseRequest
from paddlevl_doctor.report.progress import Progress
from paddlevl_doctor.system.machine import RealSystem
from paddlevl_doctor.values.errors import UsageError


def broken(folder: Path) -> Path:
    (folder / "page.json").write_text('{"pages":\n[')
    return folder


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"compare": ("reader", "server")}, "The engine 'server' needs --server-url"),
        ({"compare": ("reader", "server"), "server_url": "ftp://x"}, "'ftp://x' is not the URL of a server."),
        ({"compare": ("reader", "native"), "device": "gpuu"}, "There is no device 'gpuu'."),
        ({"threshold": 0.9}, "--threshold needs a ground truth to compare with: give one"),
        (
            {"expect": Path()},
            "page.json is not the ground truth of a page (Expecting value: line 2",
        ),
    ],
    ids=["server", "url", "device", "threshold", "text"],
)
def test_what_cannot_be_met_is_said_before_anything_is_read(
    wrong: dict[str, Any], sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    documents.page().save(broken(tmp_path) / "page.png")
    monkeypatch.chdir(tmp_path)
    request = replace(ParseRequest(("page.png",), Path("output"), engine="reader"), **wrong)
    progress = Progress(enabled=False, lang="en")

    with pytest.raises(UsageError) as caught:
        parse(RealSystem(), TargetOptions(None, None, None), request, progress.stage, progress.bar)

    assert str(caught.value).startswith(sentence)
    assert not (tmp_path / "output").exists()
