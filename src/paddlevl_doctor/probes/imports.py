"""Imports paddle, paddlex and paddleocr in this fresh process and reports the first exception, as one JSON line.

    target_python -X utf8 imports.py [--only NAME[,NAME]] [--pipeline]

With --pipeline it also looks for the class PaddleOCRVL and for the configuration of its pipeline.
In a notebook the second attempt to import a half-imported paddlex says "PDX has already been initialized" and hides
what went wrong; here there is one attempt only, and the innermost exception of its chain is the one reported.
"""

import argparse
import importlib
import inspect
import sys
import types

from _answer import Stopwatch, answer, describe, first_of, sentence

MODULES = ("paddle", "paddlex", "paddleocr")


def failure(module, error):
    """Describe why a module could not be imported: the first exception, and the last where that is another one."""
    first = first_of(error)
    raised = None if first is error else sentence(error)
    return {
        **describe(error),
        "type": type(first).__name__,
        "message": str(first),
        "module": module,
        "raised": raised,
    }


def find_pipeline():
    """Raise an exception if paddleocr has no PaddleOCRVL, or paddlex no configuration of its default pipeline."""
    import paddleocr
    from paddlex import inference

    engine = paddleocr.PaddleOCRVL
    if hasattr(inference, "load_pipeline_config"):
        inference.load_pipeline_config(default_pipeline(engine))


def default_pipeline(engine):
    """Return the name of the pipeline that PaddleOCRVL creates without arguments."""
    try:
        default = inspect.signature(engine.__init__).parameters["pipeline_version"].default
        return engine._paddlex_pipeline_name.fget(types.SimpleNamespace(pipeline_version=default))
    except (KeyError, AttributeError):  # paddleocr before 3.4 has one version only
        return "PaddleOCR-VL"


def look(document, only, pipeline):
    """Import one module after the other until one fails; then find the pipeline if that is asked for."""
    for name in only.split(",") if only else MODULES:
        try:
            with Stopwatch(document["seconds"], name):
                module = importlib.import_module(name)
        except BaseException as error:
            document["error"] = failure(name, error)
            return
        document["versions"][name] = getattr(module, "__version__", None)
    if pipeline:
        try:
            find_pipeline()
        except BaseException as error:
            document["error"] = failure("paddleocr", error)


def main():
    """Import, and print what came of it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", help="other modules, for example torch,paddle to see how they go together")
    parser.add_argument("--pipeline", action="store_true", help="also find PaddleOCRVL and its configuration")
    asked = parser.parse_args()
    sys.path.pop(0)  # the folder of this script
    answer(
        {"probe": "imports", "versions": {}}, lambda document, _: look(document, asked.only, asked.pipeline)
    )


main()
