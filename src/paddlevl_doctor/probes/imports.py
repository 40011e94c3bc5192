"""Imports paddle, paddlex and paddleocr in this fresh process and reports the first exception, as one JSON line.

    target_python -X utf8 imports.py [--only NAME[,NAME]]

In a notebook the second attempt to import a half-imported paddlex says "PDX has already been initialized" and hides
what went wrong; here there is one attempt only, and the innermost exception of its chain is the one reported.
"""

import argparse
import importlib
import sys

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


def look(document, only):
    """Import one module after the other until one fails."""
    for name in only.split(",") if only else MODULES:
        try:
            with Stopwatch(document["seconds"], name):
                module = importlib.import_module(name)
        except BaseException as error:
            document["error"] = failure(name, error)
            return
        document["versions"][name] = getattr(module, "__version__", None)


def main():
    """Import, and print what came of it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", help="other modules, for example torch,paddle to see how they go together")
    only = parser.parse_args().only
    sys.path.pop(0)  # the folder of this script
    answer({"probe": "imports", "versions": {}}, lambda document, _: look(document, only))


main()
