"""Stands in for a target's Python that runs the native worker: same lines in and out, faults where they are wanted.

FAULTS names a JSON file: {"faults": [[PAGE, KIND], ...], "seconds": S, "log": FOLDER, "good_env": {NAME: VALUE},
"joins": KIND, "keeps_mb": MIB, "keeps_vram_mb": MIB, "fits": PIXELS, "deaf_after": PAGE, "dots": NUMBER,
"together": N}. Every fault happens once; PAGE -1 is the loading of models, and `joins` what happens to whoever asks for
pages to be joined. With `good_env`, pages are read only where these variables have these values, as in an environment
that needs another rung of the ladder; with `fits`, only where their pictures are no wider, as on a device with little
memory. `keeps_mb` is what a process keeps of every page, and never gives back; `dots` is how many end a page's text,
and after page `deaf_after` its process stands still as a whole. With `together`, nobody reads a page before so many
processes have one.
"""

from __future__ import annotations

import ctypes
import faulthandler
import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

PLAN: dict[str, Any] = json.loads(Path(os.environ["FAULTS"]).read_text(encoding="utf-8"))
LOG = Path(PLAN["log"])
KEPT: list[bytes] = []
"""What a leaking process never gives back, a piece for each page."""


def say(event: str, **fields: Any) -> None:
    print(json.dumps({"event": event, **fields}), flush=True)


def stand_still() -> NoReturn:
    while True:
        time.sleep(60)


def die(number: int) -> NoReturn:
    os.kill(os.getpid(), number)
    stand_still()


def failed(page: int, words: str) -> None:
    say("failed", page=page, error={"message": words, "root": words})


def garbage() -> None:
    sys.stdout.buffer.write(b"\xff\xfe not a line of ours \x00\n{}\n[1, 2]\n" * 50)
    sys.stdout.flush()


def half_a_line() -> None:
    sys.stdout.write('{"event": "page", "pa')
    sys.stdout.flush()
    os._exit(1)


def leave_an_heir() -> None:
    """End, and leave a child that keeps the pipes open."""
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    os._exit(1)


def close() -> None:
    """Live on, deaf and dumb."""
    os.close(1)
    stand_still()


def ignore_the_end() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    stand_still()


def spin() -> NoReturn:
    while True:
        pass


def eat_too_much() -> NoReturn:
    """Take memory for as long as it takes to be seen, and be killed as the system would do it."""
    KEPT.append(b"x" * (200 << 20))
    time.sleep(2.5)
    die(signal.SIGKILL)


def fatal() -> None:
    say("fatal", error={"message": "OSError: weights", "root": "OSError: weights"})
    os._exit(1)


DEEDS: dict[str, Callable[[], object]] = {
    "deadlock": stand_still,
    "spin": spin,
    "segv": lambda: ctypes.string_at(0),
    "killed": lambda: die(signal.SIGKILL),
    "hungry": eat_too_much,
    "abort": os.abort,
    "exit": lambda: os._exit(0),
    "half-a-line": half_a_line,
    "garbage": garbage,
    "heir": leave_an_heir,
    "closed": close,
    "stubborn": ignore_the_end,
    "fatal": fatal,
}
ERRORS = {
    "oom": "ResourceExhaustedError: Out of memory error on GPU 0",
    "raised": "RuntimeError: CUDA error: an illegal memory access was encountered",
}
STRANGE: dict[str, dict[str, Any]] = {
    "stranger": {"event": "joined", "text": "nobody asked"},
    "other-page": {"event": "page", "page": 4711},
    "torn": {"event": "page"},
}
"""Answers to something else, or none that can be used."""


def happen(kind: str, page: int) -> bool:
    """Let a fault happen; returns whether the page is answered with it."""
    if kind in ERRORS:
        failed(page, ERRORS[kind])
        return True
    if kind in STRANGE:
        say(**{"page": page, **STRANGE[kind]})
        return True
    DEEDS[kind]()
    return False


def due(page: int) -> list[str]:
    """Return the faults of this page that have not happened yet, one at a time, and note that they happen."""
    for number, (place, kind) in enumerate(PLAN.get("faults", ())):
        mark = LOG / f"fault-{number}"
        if place == page and not mark.exists():
            mark.touch()
            return [kind]
    return []


def page_of(task: dict[str, Any]) -> int:
    """Return the number that the page itself carries, at any scale: the shades of its left and right edges."""
    from PIL import Image

    with Image.open(task["image"]) as image:
        grey, low = image.convert("L"), image.height - 1
        ones, hundreds = grey.getpixel((0, low)), grey.getpixel((image.width - 1, low))
    return (255 - ones) // 2 + 100 * ((255 - hundreds) // 2)


def width_of(task: dict[str, Any]) -> int:
    """Return the width of a page's picture."""
    from PIL import Image

    with Image.open(task["image"]) as image:
        return image.width


def answer(task: dict[str, Any]) -> None:
    if "join" in task:
        say("stage", stage="join")
    if "join" in task and "joins" in PLAN:
        say("failed", error={"root": "no"}) if PLAN["joins"] == "failed" else happen(PLAN["joins"], 0)
        return
    if "join" in task:
        say("joined", text="\n\n".join(page["markdown_texts"] for page in task["join"]))
        return
    for page in task["pages"]:
        if not read(page):
            return


def wait_for_the_others(count: int) -> None:
    """Wait until so many processes have a page: one that starts late would find none that is left."""
    (LOG / f"has-page-{os.getpid()}").touch()
    end = time.monotonic() + 60
    while len(list(LOG.glob("has-page-*"))) < count and time.monotonic() < end:
        time.sleep(0.01)


def read(task: dict[str, Any]) -> bool:
    """Read a page; returns whether it was read."""
    say("stage", stage="read", page=task["page"])
    number = page_of(task)
    if width_of(task) > PLAN.get("fits", math.inf):
        failed(task["page"], ERRORS["oom"])
        return False
    wrong = [n for n, value in PLAN.get("good_env", {}).items() if os.environ.get(n) != value]
    if any(happen(kind, task["page"]) for kind in due(number)):
        return False
    if wrong:
        failed(task["page"], f"OSError: {wrong[0]} is not set as it should be here {time.monotonic()}")
        return False
    wait_for_the_others(PLAN.get("together", 1))
    began = time.time()
    time.sleep(float(PLAN.get("speeds", {}).get(os.environ.get("SPEED", ""), PLAN.get("seconds", 0))))
    with (LOG / f"read-{os.getpid()}").open("a") as log:
        log.write(f"{began} {time.time()} {number}\n")
    KEPT.append(bytes(range(256)) * (PLAN.get("keeps_mb", 0) << 12))
    block = {
        "kind": "text",
        "text": f"This is page {number}." + "." * PLAN.get("dots", 0),
        "box": [0, 0, 50, 20],
    }
    markdown = {"markdown_texts": block["text"], "page_continuation_flags": [True, True]}
    Path(task["folder"], "page.md").write_text(str(block["text"]))
    say(
        "page",
        page=task["page"],
        width=0,
        height=0,
        blocks=[block],
        markdown=markdown,
        troubles=[],
        seconds=0.1,
        held_mb=PLAN["keeps_vram_mb"] * len(KEPT) if "keeps_vram_mb" in PLAN else None,
    )
    if number == PLAN.get("deaf_after"):
        os.kill(os.getpid(), signal.SIGSTOP)
    return True


def main() -> None:
    faulthandler.enable()
    faulthandler.register(signal.SIGUSR1, all_threads=True)
    say("stage", stage="load")
    import PIL.Image  # noqa: F401 - here, as real workers do: a busy machine may need long for it

    for kind in due(-1):
        happen(kind, -1)
    say("ready", seconds={"import": 0.1, "load": 0.2})
    for line in sys.stdin:
        answer(json.loads(line))
    if PLAN.get("never_ends"):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        stand_still()


main()
