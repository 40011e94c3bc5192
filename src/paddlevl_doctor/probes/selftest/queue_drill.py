"""A drill: the language model's stage fails while pages are waiting; does every thread of the pipeline end?

The real `predict` of PaddleX runs with stub models that need no weights. Its queues, time limits and number of
pages are shrunk together, so that what takes more than 500 pages and ten seconds takes a tenth of a second here.
Nothing is decided by speed: the failure waits until threads are seen to wait in `put`, the end until they do so for
ever or have ended.
A thread that stays blocked in `put()` and is no daemon keeps Python from exiting.
"""

import contextlib
import importlib
import queue
import threading
import time
import types

_PIPELINE = "paddlex.inference.pipelines.paddleocr_vl.pipeline"
_ROOM = 2  # items a queue holds; PaddleX: 64
_BATCHES = 12  # enough to fill two queues, with one more in the hands of each thread
_PATIENCE = 0.02  # seconds for every time limit inside; PaddleX: 0.5 and 5
_FULL_WITHIN = 10.0  # seconds that a busy machine may need until both queues are full
_ENDED_WITHIN = 10.0  # and until every thread has ended, or can be seen never to end
_FAILURE = "the drill's own failure"


def run():
    """Return the names of the threads that stayed blocked, and why the drill could not be made (None: it was)."""
    try:
        return {"blocked": _blocked(importlib.import_module(_PIPELINE)), "error": None}
    except Exception as error:  # a PaddleX that is built otherwise
        return {"blocked": None, "error": "%s: %s" % (type(error).__name__, error)}


class _Room(threading.Condition):
    """The condition for which `put` waits in a full queue; it knows the waiting threads and their time limits."""

    def __init__(self, lock):
        super().__init__(lock)
        self.waiting = {}

    def wait(self, timeout=None):
        thread = threading.current_thread()
        self.waiting[thread] = timeout
        try:
            return super().wait(timeout)
        finally:
            del self.waiting[thread]


class _Stage:
    """Holds the queues and threads of one run, made small and impatient."""

    def __init__(self):
        stage = self
        self.queues, self.threads = [], []

        class Queue(queue.Queue):
            def __init__(self, maxsize=0):
                super().__init__(min(maxsize, _ROOM) if maxsize else 0)
                self.not_full = _Room(self.mutex)
                stage.queues.append(self)

            def get(self, block=True, timeout=None):
                return super().get(block, timeout if timeout is None else min(timeout, _PATIENCE))

        class Thread(threading.Thread):
            def start(self):
                stage.threads.append(self)
                super().start()

            def join(self, timeout=None):
                super().join(timeout if timeout is None else min(timeout, _PATIENCE))

        self.queue = types.SimpleNamespace(Queue=Queue, Empty=queue.Empty, Full=queue.Full)
        self.threading = types.SimpleNamespace(**{**vars(threading), "Thread": Thread})

    def fail(self, *_, **__):
        """Stand in for the language model: raise as soon as threads wait for room in both queues before it."""
        limit = time.monotonic() + _FULL_WITHIN
        while time.monotonic() < limit and not all(_awaited(one) for one in self.queues[:2]):
            time.sleep(0.002)
        raise RuntimeError(_FAILURE)

    def left(self):
        """Return the remaining threads once each has ended or waits forever on a queue without a consumer."""
        limit = time.monotonic() + _ENDED_WITHIN
        while time.monotonic() < limit:
            alive = [thread for thread in self.threads if thread.is_alive()]
            if set(alive) <= {thread for one in self.queues for thread in _awaited(one, for_ever=True)}:
                break
            time.sleep(0.005)
        return [thread for thread in self.threads if thread.is_alive()]


def _awaited(one, for_ever=False):
    """Return the threads that wait for room in a full queue; one that was woken no longer finds it full."""
    with one.mutex:
        if not 0 < one.maxsize <= len(one.queue):
            return []
        return [thread for thread, limit in one.not_full.waiting.items() if limit is None or not for_ever]


class _Batch:
    """A batch of one page."""

    input_paths, page_indexes, page_counts = ["drill"], [None], [None]

    def __init__(self):
        self.instances = [object()]

    def __len__(self):
        return 1


class _Sampler:
    """Gives batches, one page each."""

    batch_size = 1

    def __call__(self, _):
        return (_Batch() for _ in range(_BATCHES))


class _Layout:
    """Finds one box on every page."""

    batch_sampler = types.SimpleNamespace(batch_size=1)

    def __call__(self, images, **_):
        return [{"input_path": None, "page_index": None, "boxes": [1]} for _ in images]


def _pipeline(module, stage):
    """Return a pipeline object without models: the class's own code around stubs."""
    pipeline = object.__new__(module._PaddleOCRVLPipeline)
    settings = {
        "use_doc_preprocessor": False,
        "use_layout_detection": True,
        "use_chart_recognition": False,
        "use_seal_recognition": False,
        "use_ocr_for_image_block": False,
        "format_block_content": False,
        "merge_layout_blocks": True,
        "markdown_ignore_labels": [],
        "return_layout_polygon_points": False,
    }
    pipeline.batch_sampler, pipeline.layout_det_model = _Sampler(), _Layout()
    pipeline.vl_rec_model = types.SimpleNamespace(batch_sampler=types.SimpleNamespace(batch_size=1))
    pipeline.use_queues, pipeline.img_reader = True, lambda images: images
    pipeline.get_model_settings = lambda *_, **__: settings
    pipeline.check_model_settings_valid = lambda _: True
    pipeline.get_layout_parsing_results = pipeline._get_layout_parsing_results = stage.fail
    return pipeline


@contextlib.contextmanager
def _replaced(module, stubs):
    """Put stubs in the place of a module's own names for a while (unittest.mock takes longer than the drill)."""
    former = {name: getattr(module, name) for name in stubs}
    vars(module).update(stubs)
    try:
        yield
    finally:
        vars(module).update(former)


def _blocked(module):
    stage = _Stage()
    pipeline = _pipeline(module, stage)
    stubs = {"queue": stage.queue, "threading": stage.threading, "gather_imgs": lambda *_: []}
    with _replaced(module, stubs):
        try:
            for _ in module._PaddleOCRVLPipeline.predict(pipeline, "drill"):
                pass
        except Exception as error:
            if _FAILURE not in str(error):
                raise
        if all(thread.daemon for thread in stage.threads):
            return []
        return [_name(thread) for thread in stage.left() if not thread.daemon]


def _name(thread):
    """Return the name of the function that a thread runs; older Pythons do not put it into the thread's name."""
    target = getattr(thread, "_target", None)
    return getattr(target, "__name__", thread.name)
