"""Fetches paddlepaddle-gpu before anything is changed: 1 to 3 GB, which uv would begin again after every cut."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.error import URLError
from urllib.parse import urljoin
from urllib.request import urlopen

from paddlevl_doctor.facts.run_probes import user_cache
from paddlevl_doctor.knowledge.catalogue import load_wheel_hosts
from paddlevl_doctor.knowledge.wheel_choice import WheelChoice
from paddlevl_doctor.messages import Text, text
from paddlevl_doctor.packages.download import DownloadError, Fetched, Limits, Part
from paddlevl_doctor.packages.http_range import Origin, RefusalError, Wanted, base_of, request
from paddlevl_doctor.packages.mirrors import fetch_from_fastest, shown
from paddlevl_doctor.packages.wheel_cache import Use, lock_of
from paddlevl_doctor.system.machine import System
from paddlevl_doctor.values.errors import DoctorError
from paddlevl_doctor.values.findings import Bar, Plan, Step

if TYPE_CHECKING:
    from paddlevl_doctor.packages.server_rates import Measured
    from paddlevl_doctor.packages.wheel_cache import Use


@dataclass(frozen=True)
class Prefetched:
    """A plan whose installation takes the wheel from here, and the wheel; None where uv has to fetch it itself."""

    plan: Plan
    wheel: Path | None = None
    trouble: Text | None = None
    measured: tuple[Measured, ...] = ()
    """What the servers gave, the fastest first."""
    use: Use | None = None
    """Keeps the wheel there until it is ended."""


def needs_gpu_wheel(plan: Plan) -> bool:
    """Say whether a plan installs paddlepaddle-gpu from Paddle's page, and not from a wheelhouse."""
    return any(position_of_gpu_wheel(step) is not None for step in plan.steps)


def position_of_gpu_wheel(step: Step) -> int | None:
    """Return where the command of a step names paddlepaddle-gpu, None where it does not, or needs no page for it."""
    words = step.commands[0] if step.kind == "install-packages" else ()
    if "--find-links" not in words or "--no-index" in words:
        return None
    return next((n for n, word in enumerate(words) if word.startswith("paddlepaddle-gpu==")), None)


LEAST = 100 << 20
"""Bytes; the smallest CUDA wheel that was seen has 700 MB (matrix.md, 1.1)."""
_PAGE_TIMEOUT = 10.0
_PAGE_LIMIT = 4 << 20
_TAGS = {"linux": "linux_x86_64", "windows": "win_amd64"}


def gpu_wheel(choice: WheelChoice, system: str, python: str, *, least: int = LEAST) -> Wanted:
    """Return the CUDA wheel of a choice and where it is to be had: where its page says, the CDN, the CDN's origin.

    Which of them is the fastest is measured when it is fetched.

    `python` is 3.12 or 3.12.1. Names as on Paddle's own pages (matrix/indexes.toml).
    """
    tag = "cp" + "".join(python.split(".")[:2])
    name = f"paddlepaddle_gpu-{choice.version}-{tag}-{tag}-{_TAGS[system]}.whl"
    linked = linked_wheel(choice.find_links or "", name)
    hosts = (host.url.format(tag=choice.tag, wheel=name) for host in load_wheel_hosts())
    urls = tuple(dict.fromkeys((*([linked] if linked else []), *hosts)))
    sha256 = linked.partition("#sha256=")[2] or None if linked else None
    return Wanted(name, urls, sha256, least=least, tag=choice.tag)


def linked_wheel(page: str, name: str) -> str | None:
    """Return where a flat page says that a file is, None where the page cannot be had or does not name it."""
    try:
        with urlopen(request(page, 0, Origin()), timeout=_PAGE_TIMEOUT) as answer:  # noqa: S310 - checked in request
            words = answer.read(_PAGE_LIMIT).decode("utf-8", errors="replace")
            base = base_of(page, answer.geturl())
    except (OSError, URLError, RefusalError, ValueError):
        return None
    escaped = re.escape(name).replace("\\+", "(?:\\+|%2B)")
    found = re.search(rf"""href=["']([^"']*{escaped}(?:#[^"']*)?)["']""", words)
    return urljoin(base, found[1]) if found else None


def prefetch(
    system: System, plan: Plan, wanted: Wanted, bar: Bar, limits: Limits | None = None
) -> Prefetched:
    """Fetch the wheel for a plan into the doctor's cache; raises DownloadError where the line does not hold,
    DoctorError where the cache cannot be written or is full.

    Where every server refuses, the plan stays as it is: the page may know better than we do. What was fetched stays
    in the cache until the plan is carried out.
    """
    folder = cache_folder(system, wanted.tag)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with lock_of(folder / wanted.name):
            fetched = fetch_from_fastest(wanted, folder, bar, limits)
            use = Use(fetched.path)
    except DownloadError as error:
        if Part(folder, wanted.name).size():
            raise
        return Prefetched(plan, trouble=error.message)
    except OSError as error:
        raise DoctorError(text("cache-not-written", path=folder, reason=error.strerror or error)) from error
    steps = tuple(_from_file(step, fetched) for step in plan.steps)
    return Prefetched(replace(plan, steps=steps), fetched.path, measured=fetched.measured, use=use)


def cache_folder(system: System, tag: str | None) -> Path:
    """Return the folder for wheels of one CUDA line that are being fetched: those of all lines have one name."""
    return user_cache(system) / "wheels" / (tag or "")


def _from_file(step: Step, fetched: Fetched) -> Step:
    if (at := position_of_gpu_wheel(step)) is None:
        return step
    words = list(step.commands[0])
    words[at] = str(fetched.path)
    links = words.index("--find-links")
    reasons = [*step.arguments.get("reasons", ()), text("wheel-fetched", name=fetched.path.name)]
    if fetched.measured:
        reasons.append(shown(fetched.measured))
    del words[links : links + 2]
    return replace(step, commands=(tuple(words),), arguments={**step.arguments, "reasons": reasons})
