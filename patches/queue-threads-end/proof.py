"""Tests whether every thread of the pipeline ends if the language model fails while pages are queued."""

import sys

sys.path.insert(0, sys.argv[1])
from _alone import load_alone
from _answer import answer
from selftest import queue_drill

MODULE = "paddlex.inference.pipelines.paddleocr_vl.pipeline"


def look(document, _folder):
    """Load the module alone, then run the test of the queues on it."""
    load_alone(MODULE)
    seen = queue_drill.run()
    if seen["error"] is not None:
        raise RuntimeError(seen["error"])
    document["cured"] = not seen["blocked"]
    document["saw"] = "threads that wait for ever: %s" % (", ".join(seen["blocked"]) or "none")


answer({"probe": "proof"}, look)
