"""The file with the variables to start with: written beside new packages, sourced by a shell, taken back by undo."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

from doctor import doctor, fingerprint
from environments import fresh_copy
from paddlevl_doctor.probes.selftest import checkpoint

NAME = "PADDLE_PDX_DISABLE_MODEL_SOURCE_CHECK"


def write_models(folder: Path) -> None:
    checkpoint.write_colour(str(folder / "PaddleOCR-VL-1.6"))
    layout = folder / "PP-DocLayoutV3"
    layout.mkdir()
    for name in ("inference.yml", "inference.json", "inference.pdiparams"):
        (layout / name).write_text("{}", encoding="utf-8")


def test_a_shell_that_reads_the_file_has_the_variables_and_undo_takes_it_back(tmp_path: Path) -> None:
    venv = fresh_copy("cured-current-311", tmp_path / ".venv")
    write_models(tmp_path / "model-cache/official_models")
    next(venv.glob("lib/*/site-packages/paddlex-*/RECORD")).unlink()
    former, started = fingerprint(venv), time.time()

    cure = doctor("fix", "--apply", "--format", "json", cwd=tmp_path)
    assert cure.code == 0, cure.stderr
    outcome = next(o for o in cure.document["outcome"] if o["step"] == "set-environment")
    assert (outcome["status"], outcome["message"]) == (
        "applied",
        f"in every new shell: `. {venv}/paddlevl-env.sh`",
    )
    written = venv / "paddlevl-env.sh"
    shell = f'. "{written}"; printf %s "${NAME}"'
    clean = {k: v for k, v in os.environ.items() if k != NAME}
    done = subprocess.run(["sh", "-c", shell], env=clean, capture_output=True, text=True, check=True)
    assert done.stdout == "True"
    assert written.stat().st_mtime >= started - 1

    mine = written.read_bytes() + b"export MINE=1\n"
    written.write_bytes(mine)
    refused = doctor("undo", cwd=tmp_path)
    assert (refused.code, "paddlevl-env.sh" in refused.stderr) == (1, True)
    assert written.read_bytes() == mine
    written.unlink()
    assert doctor("undo", cwd=tmp_path).code == 0
    assert fingerprint(venv) == former


def test_a_file_that_somebody_wrote_before_is_replaced_and_comes_back(tmp_path: Path) -> None:
    venv = fresh_copy("cured-current-311", tmp_path / ".venv")
    write_models(tmp_path / "model-cache/official_models")
    next(venv.glob("lib/*/site-packages/paddlex-*/RECORD")).unlink()
    mine = venv / "paddlevl-env.sh"
    mine.write_text("export MINE=1\n", encoding="utf-8")
    mine.chmod(0o600)
    former = fingerprint(venv)
    assert doctor("fix", "--apply", cwd=tmp_path).code == 0
    assert NAME in mine.read_text(encoding="utf-8")
    assert doctor("undo", cwd=tmp_path).code == 0
    assert fingerprint(venv) == former
