"""The comparison of installed files with their wheels' RECORD."""

from __future__ import annotations

import base64
import hashlib
import sys
from pathlib import Path
from typing import Any

from paddlevl_doctor.facts.run_probes import run_probe
from paddlevl_doctor.system.machine import RealSystem

CODE = b"answer = 42\n"


def promise(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


def install(site: Path, name: str, record: str | None) -> None:
    """Lay out one distribution with two files that follow its RECORD."""
    folder = site / f"{name}-1.0.dist-info"
    folder.mkdir(parents=True)
    for path in ("paddle/a.py", "paddle/b.py"):
        (site / path).parent.mkdir(exist_ok=True)
        (site / path).write_bytes(CODE)
    if record is not None:
        (folder / "RECORD").write_text(record, encoding="utf-8")


def look(site: Path) -> list[dict[str, Any]]:
    result = run_probe(RealSystem(), sys.executable, "installed_files", (), 60, {"PYTHONPATH": str(site)})
    assert result.data is not None, result.detail
    assert result.data["error"] is None
    return [one for one in result.data["distributions"] if one["name"] == "paddlepaddle"]


RECORD = (
    f"paddle/a.py,sha256={promise(CODE)},12\npaddle/b.py,sha256={promise(CODE)},12\n"
    "../../bin/tool,sha256=AAAA,1\n/etc/passwd,sha256=AAAA,1\nC:/x,sha256=AAAA,1\n"
    "paddlepaddle-1.0.dist-info/RECORD,,\npaddle/__pycache__/a.pyc,,\n"
)
ROW = {"name": "paddlepaddle", "version": "1.0", "record": True, "files": 2, "missing": [], "altered": []}


def test_files_as_promised_and_files_outside_of_the_environment_are_not_mentioned(tmp_path: Path) -> None:
    install(tmp_path, "paddlepaddle", RECORD)
    assert look(tmp_path) == [ROW]


def test_a_missing_and_an_edited_file_are_named_with_what_others_share(tmp_path: Path) -> None:
    install(tmp_path, "paddlepaddle", RECORD)
    (tmp_path / "paddle/a.py").unlink()
    (tmp_path / "paddle/b.py").write_bytes(b"answer = 43\n")
    (tmp_path / "cache").hardlink_to(tmp_path / "paddle/b.py")
    digest = hashlib.sha256(b"answer = 43\n").hexdigest()
    altered = {"path": "paddle/b.py", "sha256": digest, "links": 2, "error": None}
    assert look(tmp_path) == [{**ROW, "missing": ["paddle/a.py"], "altered": [altered]}]


def test_a_distribution_without_a_record_says_so(tmp_path: Path) -> None:
    install(tmp_path, "paddlepaddle", None)
    assert look(tmp_path) == [{**ROW, "record": False, "files": 0}]


def test_other_distributions_are_left_alone(tmp_path: Path) -> None:
    install(tmp_path, "requests", "paddle/a.py,sha256=AAAA,1\n")
    assert look(tmp_path) == []
