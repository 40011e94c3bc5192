"""Runs in the target: the real pipeline with the self-test's checkpoint, whose language model fails on the third page.

    failing_stage.py PROBES

Sixteen pages, one a batch, and queues of two take the place of hundreds of pages and queues of 64; the limits on
waiting for a thread are as short. Prints one JSON line as the last thing that the main thread does, and then ends
as every program ends: Python waits for the threads that are left.
"""

import importlib
import json
import sys
import tempfile
from pathlib import Path
from unittest import mock

sys.path.insert(0, sys.argv.pop())  # a library reads the arguments, too
from _isolation import isolate
from selftest import checkpoint, layout, pages, queue_drill, reading

sys.path.pop(0)  # a probe is called `kernels`, and so is a package that transformers looks for

PAGES, FAILS_ON = 16, 3


def failing(stage, original):
    """Return a `process` that counts what the language model is asked, and raises from the third page on."""
    asked = []

    def process(*args, **options):
        asked.append(1)
        if len(asked) >= FAILS_ON * len(pages.BANDS):
            stage.fail()  # it raises as soon as the queues are full
        return original(*args, **options)

    return process


def written(folder):
    """Write the models and the pages; return the pages' paths."""
    checkpoint.write_colour(str(Path(folder, "colour")))
    layout.export(str(Path(folder, "layout")))
    first = str(Path(folder, "page.png"))
    pages.paint_page(first, pages.draw_charts(11))
    return [first] * PAGES


def small(pipeline):
    """Return PaddleX's own pipeline object, with batches of one page."""
    inner = pipeline.paddlex_pipeline._pipeline
    for part in (inner, inner.layout_det_model):
        part.batch_sampler.batch_size = 1
    return inner


def read(folder):
    """Read until it fails; return how many pages came, the error, and the threads that are still there."""
    paths = written(folder)
    pipeline = reading.load(str(Path(folder, "colour")), "cpu", str(Path(folder, "layout")))
    inner, stage, came = small(pipeline), queue_drill._Stage(), []
    predictor = type(inner.vl_rec_model)
    module = importlib.import_module(queue_drill._PIPELINE)
    stubs = mock.patch.multiple(module, queue=stage.queue, threading=stage.threading)
    with stubs, mock.patch.object(predictor, "process", failing(stage, predictor.process)):
        try:
            for page in pipeline.predict_iter(paths):
                came.append(page)
        except RuntimeError as error:
            return {"pages": len(came), "error": str(error), "left": left(stage)}
    return {"pages": len(came), "error": None, "left": left(stage)}


def left(stage):
    """Return the functions of the pipeline's threads that wait for ever after reading has ended."""
    return sorted(queue_drill._name(thread) for thread in stage.left())


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        isolate(place)
        told = read(place)
    print(json.dumps(told), flush=True)
