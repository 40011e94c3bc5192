"""Reads one document with PaddleOCRVL in the target and prints what was read as one JSON line.

    target_python -X utf8 native_read.py INPUT OUTPUT_FOLDER [--device cpu] [--pipeline-version v1.6]

Runs with Python 3.8 or later. Document unwarping and orientation are off: unwarping crops regular pages.
Everything the libraries print goes to stderr; the JSON line is alone on stdout.
"""

import argparse
import inspect
import time

from _answer import Stopwatch, answer


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


def read(arguments, document):
    """Load the pipeline and read every page; a page is saved before the next one is asked for."""
    seconds = document["seconds"]
    with Stopwatch(seconds, "import"):
        from paddleocr import PaddleOCRVL
    with Stopwatch(seconds, "load"):
        pipeline = PaddleOCRVL(**options(PaddleOCRVL, arguments))
    started = time.perf_counter()
    for index, result in enumerate(pipeline.predict_iter(arguments.input)):
        elapsed = time.perf_counter() - started
        document["pages"].append(page(result, index, arguments.output, elapsed))
        started = time.perf_counter()
    seconds["read"] = round(sum(p["seconds"] for p in document["pages"]), 3)
    document["vram_peak_mb"] = peak_vram_mb(arguments.device)


def main():
    """Read the document that the arguments name; the user's own model cache and hubs are used."""
    parser = argparse.ArgumentParser()
    parser.add_argument("input")
    parser.add_argument("output")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--pipeline-version")
    arguments = parser.parse_args()
    document = {"probe": "native_read", "device": arguments.device, "pages": []}
    answer(document, lambda document, _folder: read(arguments, document), isolated=False)


main()
