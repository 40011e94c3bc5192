"""Reads one document with PaddleOCRVL in the target and prints what was read as one JSON line.

    target_python -X utf8 native_read.py INPUT OUTPUT_FOLDER [--device cpu] [--pipeline-version v1.6]

Runs with Python 3.8 or later. Document unwarping and orientation are off: unwarping crops regular pages.
Everything the libraries print goes to stderr; the JSON line is alone on stdout.
"""

import argparse
import inspect
import json
import os
import sys
import time
import traceback


def quiet_stdout():
    """Send what libraries print to stderr, and return the real standard output."""
    real = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return real


def peak_rss_mb():
    """Return the peak resident memory in MiB, None where the system does not say."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak >> (20 if sys.platform == "darwin" else 10)


def peak_vram_mb(device):
    """Return the peak GPU memory that paddle allocated in MiB, None on a CPU."""
    if not device.startswith("gpu"):
        return None
    import paddle

    return paddle.device.cuda.max_memory_allocated() >> 20


def options(cls, arguments):
    """Return the constructor's arguments, with the pipeline version only where the class knows it."""
    chosen = {"device": arguments.device, "use_doc_unwarping": False, "use_doc_orientation_classify": False}
    known = inspect.signature(cls.__init__).parameters
    if arguments.pipeline_version and "pipeline_version" in known:
        chosen["pipeline_version"] = arguments.pipeline_version
    return chosen


def block(item):
    """Describe one block of a page."""
    return {"kind": item.label, "text": item.content, "box": [int(x) for x in item.bbox]}


def page(result, index, folder, seconds):
    """Save one page's Markdown and describe the page."""
    result.save_to_markdown(save_path=folder)
    return {
        "index": index,
        "width": int(result.get("width") or 0),
        "height": int(result.get("height") or 0),
        "blocks": [block(item) for item in result["parsing_res_list"]],
        "seconds": round(seconds, 3),
    }


def read(arguments, seconds):
    """Load the pipeline and read every page; a page is saved before the next one is asked for."""
    started = time.perf_counter()
    from paddleocr import PaddleOCRVL

    seconds["import"] = round(time.perf_counter() - started, 3)
    started = time.perf_counter()
    pipeline = PaddleOCRVL(**options(PaddleOCRVL, arguments))
    seconds["load"] = round(time.perf_counter() - started, 3)
    pages, started = [], time.perf_counter()
    for index, result in enumerate(pipeline.predict_iter(arguments.input)):
        elapsed = time.perf_counter() - started
        pages.append(page(result, index, arguments.output, elapsed))
        started = time.perf_counter()
    seconds["read"] = round(sum(p["seconds"] for p in pages), 3)
    return pages


def describe(error):
    """Return the error and the first one that caused it."""
    root = error
    while root.__cause__ or root.__context__:
        root = root.__cause__ or root.__context__
    return {
        "type": type(error).__name__,
        "message": str(error),
        "root": "%s: %s" % (type(root).__name__, root),
        "traceback": traceback.format_exc().splitlines()[-15:],
    }


def main():
    """Read, print, and leave at once: threads of a failed pipeline would keep the process alive."""
    out = quiet_stdout()
    parser = argparse.ArgumentParser()
    parser.add_argument("input")
    parser.add_argument("output")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--pipeline-version")
    arguments = parser.parse_args()
    answer = {"probe": "native_read", "device": arguments.device, "pages": [], "error": None, "seconds": {}}
    try:
        answer["pages"] = read(arguments, answer["seconds"])
        answer["vram_peak_mb"] = peak_vram_mb(arguments.device)
    except BaseException as error:
        answer["error"] = describe(error)
    answer["rss_peak_mb"] = peak_rss_mb()
    out.write(json.dumps(answer) + "\n")
    out.flush()
    sys.stderr.flush()
    os._exit(0)


main()
