"""Prints what weights of the released size take on the processor: memory while they are loaded, seconds of a page.

    python tests/benchmarks/released_size.py

Needs 10 GB of memory, 2 GB of disk and some minutes. The weights are random, in a file exactly as large as the released
one (models.toml), so that the text says nothing; `doctor` is with the variables that `parse` sets for this processor,
`peer` without them. No figure is asserted.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

import paddlevl_doctor
from doctor import environment as clean_environment
from environments import fresh_copy, python_in
from paddlevl_doctor.facts.host import collect_host
from paddlevl_doctor.parsing.engines.devices import tuning_variables
from paddlevl_doctor.system.machine import RealSystem

PROBES = Path(paddlevl_doctor.__file__).parent / "probes"
_TOKENS = 6
"""For each block: random weights would hardly ever stop by themselves."""
# The sizes are those of the released config.json; the vision part has more layers than the language model.
_WRITE = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import numpy
from selftest import checkpoint, layout, pages, settings, weights
sizes = settings.Sizes(width=1024, inner=3072, heads=16)
sizes.vision_width, sizes.vision_inner, sizes.vision_heads = 1152, 4304, 16
sizes.patch, sizes.grid, sizes.layers, sizes.head_size, sizes.key_heads = 14, 27, 27, 128, 2
VOCABULARY, LAYERS = 103424, 18
config = settings.config
def real_config(known):
    found = config(known)
    return {**found, "vocab_size": VOCABULARY, "num_hidden_layers": LAYERS}
settings.config = real_config
later = tuple("model.layers.%d." % number for number in range(LAYERS, sizes.layers))
source, tensors = numpy.random.default_rng(7), {}
for name, shape in sorted(weights.shapes(sizes, VOCABULARY).items()):
    if name.startswith(later):
        continue
    values = source.standard_normal(shape, dtype=numpy.float32) * (shape[-1] ** -0.5 if len(shape) > 1 else 0.02)
    tensors[name] = numpy.ones(shape, numpy.float32) if "norm" in name and name.endswith("weight") else values
tensors["lm_head.weight"][len(settings.vocabulary.pieces()):] = 0  # the tokenizer has no more
root = Path(sys.argv[2]) / "official_models"
root.mkdir(parents=True)
checkpoint._write(str(root / "PaddleOCR-VL"), sizes, tensors)
layout.export(str(root / "PP-DocLayoutV2"))
pages.paint_page("page.png", [("red", "green", "blue", "yellow")] * 4)
"""
_READ = """
import sys, time
from paddleocr import PaddleOCRVL
def megabytes(name):
    return int(open("/proc/self/status").read().split(name + ":")[1].split()[0]) >> 10
pipeline = PaddleOCRVL(pipeline_version="v1", device="cpu")
peak, after, started = megabytes("VmHWM"), megabytes("VmRSS"), time.monotonic()
(page,) = pipeline.predict_iter("page.png", max_new_tokens=int(sys.argv[1]))
print(peak, after, round(time.monotonic() - started, 1))
"""


def run(python: Path, folder: Path, env: dict[str, str], code: str, *words: str) -> str:
    """Run a piece of Python in the target; return what it printed last."""
    argv = (str(python), "-c", code, *words)
    done = subprocess.run(argv, cwd=folder, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr[-2000:])
    return done.stdout.strip().rpartition("\n")[2]


def main() -> None:
    """Measure and print."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    host = collect_host(RealSystem())
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        python = python_in(fresh_copy("cured-current-311", folder / "env"))
        models = {
            "PADDLE_PDX_CACHE_HOME": str(folder / "models"),
            "PADDLE_PDX_DISABLE_MODEL_SOURCE_CHECK": "True",
        }
        env = {**clean_environment(folder), **models}
        run(python, folder, env, _WRITE, str(PROBES), str(folder / "models"))
        (weights,) = (folder / "models").rglob("model.safetensors")
        print(f"{weights.stat().st_size:,} bytes of weights on {host.cpu}")
        for who, more in (("peer", {}), ("doctor", tuning_variables("cpu", host.cpu, host.cpu_flags))):
            peak, after, seconds = run(python, folder, {**env, **more}, _READ, str(_TOKENS)).split()
            print(
                f"{who:6} {peak} MiB while loading, {after} MiB after, {seconds} s a page ({more or 'as it is'})"
            )


if __name__ == "__main__":
    main()
