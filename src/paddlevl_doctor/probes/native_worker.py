"""Reads pages with a PaddleOCR pipeline in the target, until its stdin ends.

    target_python -X utf8 native_worker.py --pipeline PaddleOCR-VL --device cpu [--options JSON]

One JSON line on stdin requests pages: {"pages": [{"page": 3, "image": PATH, "folder": PATH}, ...], "options": {},
"pictures": true}, or, as {"join": [...]}, for the Markdown of all pages in one. One JSON line on stdout reports each
event: `stage` (the stage that begins), `ready`, `page`, `failed` (the current page and those after it), `joined`,
`fatal` (no page can be read).
The end of stdin ends the process, at once and in the middle of a page: no request can follow, and threads of a
pipeline would keep it alive. Prints of libraries go to stderr, and so do the stacks of all threads on SIGUSR1
and on a crash.

Runs with Python 3.8 or later. A page is saved before the next result is requested.
"""

import argparse
import errno
import faulthandler
import gc
import inspect
import json
import os
import select
import signal
import sys
import threading
import time

from _answer import _claim_stdout, describe

CLASSES = {"PaddleOCR-VL": "PaddleOCRVL", "PP-StructureV3": "PPStructureV3", "OCR": "PaddleOCR"}
FULL = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))
BROKEN_PIPE = 109
LOOK_SECONDS = 1.0
QUIET = {"use_doc_unwarping": False, "use_doc_orientation_classify": False}


class Speaker:
    """Writes events, one line each."""

    def __init__(self, out):
        self.out = out

    def say(self, event, **fields):
        """Write one event; end the process if stdout is closed."""
        try:
            self.out.write(json.dumps(dict(fields, event=event)) + "\n")
            self.out.flush()
        except OSError:
            os._exit(1)


def load(arguments, speaker):
    """Import, and create the pipeline; return it with the seconds that either took."""
    seconds = {}
    speaker.say("stage", stage="import")
    started = time.perf_counter()
    gc.disable()  # the collector takes an eighth of the time of the imports, and finds nothing
    import paddleocr

    gc.freeze()
    gc.enable()
    cls = getattr(paddleocr, CLASSES[arguments.pipeline])
    seconds["import"] = round(time.perf_counter() - started, 3)
    speaker.say("stage", stage="load")
    started = time.perf_counter()
    known = inspect.signature(cls.__init__).parameters
    wanted = dict(QUIET, device=arguments.device, **json.loads(arguments.options))
    key = os.environ.get("PADDLEVL_DOCTOR_API_KEY")
    if key and "vl_rec_server_url" in wanted:
        wanted["vl_rec_api_key"] = key
    if "vl_rec_server_url" in wanted:  # with a login, which is no argument
        wanted["vl_rec_server_url"] = os.environ.get(
            "PADDLEVL_DOCTOR_SERVER_URL", wanted["vl_rec_server_url"]
        )
    pipeline = cls(**{name: value for name, value in wanted.items() if name in known or name == "device"})
    seconds["load"] = round(time.perf_counter() - started, 3)
    return pipeline, seconds


def blocks_of(result):
    """Return the blocks of a page; a pipeline that finds lines only gives lines."""
    if "parsing_res_list" in result:
        found = result["parsing_res_list"]
        return [{"kind": b.label, "text": b.content, "box": [int(x) for x in b.bbox]} for b in found]
    boxes = result["rec_boxes"]
    lines = enumerate(result["rec_texts"])
    return [{"kind": "text", "text": line, "box": [int(x) for x in boxes[n]]} for n, line in lines]


def saved(result, folder, kinds):
    """Save what the result can save; return what could not be, as sentences."""
    troubles = []
    for kind in kinds:
        save = getattr(result, "save_to_" + kind, None)
        try:
            if save is not None and not (kind == "img" and drawn(save, folder)):
                save(save_path=folder)
        except Exception as error:  # a missing font must not lose the page that was read
            if getattr(error, "errno", None) in FULL:
                raise  # half a file must not pass for a page that was kept
            troubles.append("%s: %s: %s" % (kind, type(error).__name__, error))
    return troubles


def drawn(save, folder):
    """Draw pictures; where paddlex's font cannot be had, the one that comes with OpenCV stands in from now on."""
    try:
        save(save_path=folder)
        return True
    except Exception:
        import cv2
        from paddlex.utils import fonts

        font = os.path.join(os.path.dirname(cv2.__file__), "qt", "fonts", "DejaVuSans.ttf")
        missing = [known for known in vars(fonts).values() if getattr(known, "_local_path", "") is None]
        if not missing or not os.path.isfile(font):
            raise
        for known in missing:
            known._local_path = font
        return False


def markdown_of(result):
    """Return the data for joining pages: the text, and whether its first and last paragraphs continue.

    A pipeline that finds lines only has none.
    """
    found = getattr(result, "markdown", None)
    if not found:
        return {}
    flags = found.get("page_continuation_flags")
    return {
        "markdown_texts": str(found.get("markdown_texts", "")),
        "page_continuation_flags": [bool(flag) for flag in flags] if flags else None,
    }


def size_of(result):
    """Return width and height in pixels, from the picture if the pipeline does not report them."""
    width, height = result.get("width"), result.get("height")
    if not (width and height):
        picture = (result.get("doc_preprocessor_res") or {}).get("output_img")
        height, width = picture.shape[:2] if picture is not None else (0, 0)
    return int(width), int(height)


def read(pipeline, task, device, speaker):
    """Read pages in one call, so that the pipeline works on the next ones meanwhile; save and report each as it comes.

    Pictures come last and are a stage of their own: drawing them may download a font.
    """
    known = inspect.signature(pipeline.predict_iter).parameters
    options = {name: value for name, value in task.get("options", {}).items() if name in known}
    results = iter(pipeline.predict_iter([page["image"] for page in task["pages"]], **options))
    for page in task["pages"]:
        started = time.perf_counter()
        speaker.say("stage", stage="read", page=page["page"])
        result = next(results)
        told = keep(result, page, task.get("pictures", True), speaker)
        seconds = round(time.perf_counter() - started, 3)
        peak, held = tidy(device)
        speaker.say("page", page=page["page"], seconds=seconds, vram_mb=peak, held_mb=held, **told)
    gc.collect()


def keep(result, page, pictures, speaker):
    """Save a page that was read; return its description."""
    width, height = size_of(result)
    os.makedirs(page["folder"], exist_ok=True)
    troubles = saved(result, page["folder"], ("markdown", "json"))
    if pictures:
        speaker.say("stage", stage="pictures", page=page["page"])
        troubles += saved(result, page["folder"], ("img",))
    return {
        "width": width,
        "height": height,
        "blocks": blocks_of(result),
        "markdown": markdown_of(result),
        "troubles": troubles,
    }


def tidy(device):
    """Give back what the page needed; return the peak of GPU memory and what is still held, in MiB, None on a CPU."""
    if not device.startswith("gpu"):
        return None, None
    import paddle

    peak = paddle.device.cuda.max_memory_allocated() >> 20
    paddle.device.cuda.empty_cache()
    return peak, paddle.device.cuda.memory_allocated() >> 20


def join(pipeline, pages):
    """Return the Markdown of all pages in one, as the pipeline itself joins them."""
    joined = pipeline.concatenate_markdown_pages(pages)
    text = joined[0] if isinstance(joined, tuple) else joined
    return str(text.get("markdown_texts", "") if isinstance(text, dict) else text)


def serve(pipeline, device, speaker):
    """Answer one line after the other."""
    for line in sys.stdin:
        task = json.loads(line)
        try:
            if "join" in task:
                speaker.say("stage", stage="join")
                speaker.say("joined", text=join(pipeline, task["join"]))
                continue
            read(pipeline, task, device, speaker)
        except Exception as error:  # the next pages may be read
            speaker.say("failed", error=describe(error))


def watch_over():
    """Let the parent ask where every thread is, and let a crash say so."""
    faulthandler.enable(all_threads=True)
    if hasattr(signal, "SIGUSR1"):
        faulthandler.register(signal.SIGUSR1, all_threads=True)


def end_with_stdin():
    """End the process as soon as the other end of stdin is closed, as the system does for one that is killed."""
    threading.Thread(target=wait_for_end_of_stdin, daemon=True).start()


def wait_for_end_of_stdin():
    """Wait until the other end of stdin is closed, without reading requests; then end the process."""
    if hasattr(select, "poll"):
        asker = select.poll()
        asker.register(0, 0)  # a hang-up is always reported
        asker.poll()
    else:
        while is_stdin_open_on_windows():
            time.sleep(LOOK_SECONDS)
    os._exit(0)


def is_stdin_open_on_windows():
    """Return whether the other end of stdin is open, or stdin is not a pipe."""
    import ctypes
    import msvcrt

    kernel = ctypes.WinDLL("kernel32", use_last_error=True)
    handle = ctypes.c_void_p(msvcrt.get_osfhandle(0))
    peeked = kernel.PeekNamedPipe(handle, None, 0, None, None, None)
    return bool(peeked) or ctypes.get_last_error() != BROKEN_PIPE


def main():
    """Load and serve."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--pipeline", default="PaddleOCR-VL", choices=sorted(CLASSES))
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--options", default="{}")
    arguments = parser.parse_args()
    sys.path.pop(0)  # the folder of this script
    speaker = Speaker(_claim_stdout())
    watch_over()
    end_with_stdin()
    code = 0
    try:
        pipeline, seconds = load(arguments, speaker)
        speaker.say("ready", seconds=seconds)
        serve(pipeline, arguments.device, speaker)
    except BaseException as error:
        speaker.say("fatal", error=describe(error))
        code = 1
    sys.stderr.flush()
    os._exit(code)


main()
