"""Lets the language model fail while pages wait: does every thread of the pipeline end?"""

import sys

sys.path.insert(0, sys.argv[1])
from _alone import load_alone
from _answer import answer
from selftest import queue_drill

MODULE = "paddlex.inference.pipelines.paddleocr_vl.pipeline"


def look(document, _folder):
    """Run the drill on the module alone; the drill finds it already loaded."""
    load_alone(MODULE)
    seen = queue_drill.run()
    if seen["error"] is not None:
        raise RuntimeError(seen["error"])
    document["cured"] = not seen["blocked"]
    document["saw"] = "threads that wait for ever: %s" % (", ".join(seen["blocked"]) or "none")


answer({"probe": "proof"}, look)
