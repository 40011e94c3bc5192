"""The two things that the self-test reads: a page of colour charts, and one chart with random weights."""

import os
import time

from _answer import Stopwatch

from . import checkpoint, golden, layout, pages, reading


class Desk:
    """Where the models and pages lie, which device reads them, and how long everything takes."""

    def __init__(self, folder, device, seconds):
        self.folder, self.device, self.seconds = folder, device, seconds

    def path(self, name):
        """Return the path of something on the desk."""
        return os.path.join(self.folder, name)

    def write_models(self):
        """Write both checkpoints and the layout program."""
        with Stopwatch(self.seconds, "export"):
            checkpoint.write_colour(self.path("colour"))
            checkpoint.write_random(self.path("random"))
            layout.export(self.path("layout"))

    def load(self, model, with_layout):
        """Return a pipeline for one of the checkpoints."""
        with Stopwatch(self.seconds, "load"):
            return reading.load(self.path(model), self.device, self.path("layout") if with_layout else None)

    def read(self, pipeline, page, **options):
        """Return the blocks of a page, read in this thread alone, which saves the waits between threads."""
        with Stopwatch(self.seconds, "read"):
            return reading.read_blocks(pipeline, page, use_queues=False, **options)

    def begin(self, pipeline, page):
        """Return the blocks of a page read through the pipeline's threads, and the pages that follow."""
        with Stopwatch(self.seconds, "read"):
            return reading.first_page(pipeline, page)

    def finish(self, rest):
        """Let the pipeline's threads end; no page may follow."""
        with Stopwatch(self.seconds, "finish"):
            pages_left = len(list(rest))
        if pages_left:
            raise AssertionError("%d more pages were read than there are" % pages_left)


def read_colours(desk, seed):
    """Read a page of charts drawn from the seed, from layout to text and HTML; the model stops by itself.

    Return the part, and what the pipeline still has to say (Desk.finish).
    Right is right in either `order` of the colour channels: which one it was is a fact of its own, because
    PaddleX's native backend exchanges red and blue.
    """
    started = time.perf_counter()
    charts, page = pages.draw_charts(seed), desk.path("page.png")
    pages.paint_page(page, charts)
    blocks, rest = desk.begin(desk.load("colour", with_layout=True), page)
    order = pages.colour_order(charts, blocks)
    expected = pages.expected_blocks(pages.swapped(charts) if order == "bgr" else charts)
    return {**_part("colour", "exact", expected, blocks, started), "order": order}, rest


def read_random(desk, paddlex):
    """Read one chart with random weights: the golden text where that is known, else the same text twice."""
    started = time.perf_counter()
    page = desk.path("chart.png")
    pages.paint_chart(page, golden.CHART)
    pipeline = desk.load("random", with_layout=False)
    text = _random_text(desk, pipeline, page)
    expected = golden.golden_text(paddlex, desk.device)
    if expected is not None:
        return _part("random", "golden", expected, text, started)
    return _part("random", "same-twice", text, _random_text(desk, pipeline, page), started)


def _random_text(desk, pipeline, page):
    blocks = desk.read(pipeline, page, max_new_tokens=golden.TOKENS)
    return "\n".join(content for _, content in blocks)


def _part(name, rule, expected, got, started):
    return {
        "name": name,
        "rule": rule,
        "ok": expected == got,
        "expected": expected,
        "got": got,
        "seconds": round(time.perf_counter() - started, 3),
    }
