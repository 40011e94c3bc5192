"""What every probe needs to answer: a clean standard output, the first exception, and a way out that always works."""

import errno
import gc
import json
import os
import shutil
import sys
import tempfile
import threading
import time
import traceback

from _isolation import isolate

LOOK_SECONDS = 1.0
LIMIT = "PADDLEVL_DOCTOR_PROBE_SECONDS"
"""The variable with the seconds after which the doctor ends the probe."""
TRACEBACK_LINES = 15


def answer(document, work, isolated=True):
    """Run `work(document, folder)`, which fills the document, then print the document and end the process.

    The folder is empty, private and removed afterwards. An exception of `work` is described under `error`.
    `isolated` keeps the work away from the user's home and from the network.
    """
    started = time.perf_counter()
    gc.disable()  # a short process; the collector takes an eighth of the time of the imports
    out = _claim_stdout()
    _leave_path()
    os.environ.setdefault("GLOG_minloglevel", "2")
    folder = tempfile.mkdtemp(prefix="paddlevl-doctor-")
    _end_with_parent(folder)
    document.update({"seconds": {}, "error": None})
    _end_in_time(out, document, folder)
    try:
        if isolated:
            isolate(folder)
        work(document, folder)
    except BaseException as error:
        document["error"] = describe(error)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    document["seconds"]["total"] = round(time.perf_counter() - started, 3)
    document["rss_peak_mb"] = _peak_rss_mb()
    _finish(out, document)


def _leave_path():
    """Take the probes' folder off sys.path: `kernels` and others in it are names that the target's packages import.

    modelscope, which paddlex imports, looks for a package of that name whether or not one is installed.
    """
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [folder for folder in sys.path if not folder or os.path.abspath(folder) != here]


def _end_with_parent(folder):
    """End the process when the doctor's process is gone; a pipeline that hangs would run forever.

    Windows leaves the number of a parent as it was; there nothing is noticed.
    """
    asker = os.getppid()

    def watch():
        while os.getppid() == asker:
            time.sleep(LOOK_SECONDS)
        shutil.rmtree(folder, ignore_errors=True)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _end_in_time(out, document, folder):
    """Answer with the place where the work is, shortly before the doctor would end the process.

    Code that hangs without releasing the GIL lets no other thread run; the doctor then ends the process.
    """
    limit = float(os.environ.get(LIMIT) or 0)
    if not limit:
        return
    main = threading.get_ident()

    def watch():
        time.sleep(limit - min(5.0, limit / 4))
        document["error"] = _describe_wait(sys._current_frames()[main], limit)
        shutil.rmtree(folder, ignore_errors=True)
        _finish(out, document)

    threading.Thread(target=watch, daemon=True).start()


def _describe_wait(frame, limit):
    """Describe the place where the main thread is, and the module whose import does not end, if it is in one."""
    stack = traceback.extract_stack(frame)
    at = "%s, line %d" % (stack[-1].filename, stack[-1].lineno)
    module = None
    while frame is not None and module is None:
        name = frame.f_globals.get("__name__", "__main__")
        if frame.f_code.co_name == "<module>" and name != "__main__":
            module = name.partition(".")[0]
        frame = frame.f_back
    end = "does not end within %.0f s (%s)" % (limit, at)
    lines = "".join(traceback.format_list(stack)).splitlines()
    return {
        "type": "TimeoutError",
        "message": "it " + end,
        "root": "TimeoutError: %s %s" % ("import " + module if module else "it", end),
        "traceback": lines[-TRACEBACK_LINES:],
        **({"module": module} if module else {}),
    }


def _claim_stdout():
    """Redirect the prints of libraries to stderr from now on, and return the real standard output."""
    real = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return real


def _finish(real, document):
    """Print the document and leave at once: threads of a failed pipeline would keep the process alive."""
    real.write(json.dumps(document) + "\n")
    real.flush()
    sys.stderr.flush()
    os._exit(0)


def first_of(error):
    """Return the innermost exception of a chain: the original fault.

    A rename from one disk to another that fails is no cause: shutil.move tries it first, and copies then.
    """
    seen = set()
    while id(error) not in seen:
        seen.add(id(error))
        inner = error.__cause__ or error.__context__ or error
        if getattr(inner, "errno", None) != errno.EXDEV:
            error = inner
    return error


def describe(error):
    """Describe an exception: its text, the text of the first one in its chain, and the end of the traceback."""
    lines = "".join(traceback.format_exception(type(error), error, error.__traceback__)).splitlines()
    return {
        "type": type(error).__name__,
        "message": str(error),
        "root": sentence(first_of(error)),
        "traceback": lines[-TRACEBACK_LINES:],
    }


def sentence(error):
    """Return an exception as the last line of a traceback shows it; of many files not copied, the first."""
    if isinstance(error, shutil.Error) and error.args and isinstance(error.args[0], list) and error.args[0]:
        source, place, why = error.args[0][0]
        return "Error: %s: %r -> %r" % (why, source, place)
    return "%s: %s" % (type(error).__name__, error)


class Stopwatch:
    """Adds the duration of some work to a dictionary: `with Stopwatch(seconds, "load"): ...`.

    Work that ends in an exception leaves no time behind, so a time also says that the work was done.
    """

    def __init__(self, seconds, name):
        self.seconds, self.name = seconds, name

    def __enter__(self):
        self.started = time.perf_counter()
        return self

    def __exit__(self, kind, error, where):
        if kind is None:
            spent = self.seconds.get(self.name, 0.0) + time.perf_counter() - self.started
            self.seconds[self.name] = round(spent, 3)
        return False


def _peak_rss_mb():
    """Return the peak resident memory in MiB, None where the system does not say (Windows)."""
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak >> (20 if sys.platform == "darwin" else 10)
