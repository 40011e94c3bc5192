"""A folder with a page of charts and a model cache with tiny models that the native engine really reads with."""

from __future__ import annotations

import subprocess
from pathlib import Path

import paddlevl_doctor
from environments import environment, python_in, variables

PROBES = Path(paddlevl_doctor.__file__).parent / "probes"
# Runs in the target's Python, as the probes do: writes the model cache and the page.
WRITE_CACHE = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from selftest import checkpoint, layout, pages
root = Path(sys.argv[2]) / "official_models"
root.mkdir(parents=True)
checkpoint.write_colour(str(root / "PaddleOCR-VL"))
layout.export(str(root / "PP-DocLayoutV2"))
pages.paint_page(sys.argv[3], [("red", "green", "blue", "yellow")] * 4)
"""


def lay_out(folder: Path) -> dict[str, str]:
    """Write `page.png` and the model cache; return the variables that name the cache."""
    cache, venv = folder / "models", environment("set-2025-11")
    argv = [str(python_in(venv)), "-c", WRITE_CACHE, str(PROBES), str(cache), "page.png"]
    subprocess.run(argv, cwd=folder, env=variables(venv), check=True, capture_output=True)
    return {"PADDLE_PDX_CACHE_HOME": str(cache)}
