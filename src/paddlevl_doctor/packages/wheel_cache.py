"""Downloads paddlepaddle-gpu into the doctor's cache before anything is changed: uv cannot resume 1 to 3 GB.

A wheel in the cache is reference-counted: the last process that installs from it removes it.
"""

from __future__ import annotations

import contextlib
from dataclasses import replace
from http import HTTPStatus
from pathlib import Path
from uuid import uuid4

from filelock import FileLock, Timeout

from paddlevl_doctor.facts.run_probes import user_cache
from paddlevl_doctor.knowledge.catalogue import load_wheel_hosts
from paddlevl_doctor.knowledge.wheel_choice import WheelChoice
from paddlevl_doctor.messages import message
from paddlevl_doctor.packages.download import DownloadError, Fetched, Limits, PartialDownload
from paddlevl_doctor.packages.gpu_wheel import Prefetched, gpu_wheel_position
from paddlevl_doctor.packages.http_range import DownloadRequest
from paddlevl_doctor.packages.mirrors import fetch_from_fastest, file_name, links, rates_note
from paddlevl_doctor.system.http import stream
from paddlevl_doctor.system.machine import System
from paddlevl_doctor.values.errors import DoctorError
from paddlevl_doctor.values.findings import Bar
from paddlevl_doctor.values.plan import InstallPackages, Plan, Step

LEAST = 100 << 20
"""Bytes; the smallest CUDA wheel that was seen has 700 MB (matrix.md, 1.1)."""
_PAGE_TIMEOUT = 10.0
_MAX_PAGE_BYTES = 4 << 20
_TAGS = {"linux": "linux_x86_64", "windows": "win_amd64"}


def gpu_wheel_request(
    choice: WheelChoice, system: str, python: str, *, least: int = LEAST
) -> DownloadRequest:
    """Return the CUDA wheel of a choice with its URLs: the one on its page, the CDN, the CDN's origin.

    `python` is 3.12 or 3.12.1. Names as on Paddle's own pages (matrix/indexes.toml).
    """
    tag = "cp" + "".join(python.split(".")[:2])
    name = f"paddlepaddle_gpu-{choice.version}-{tag}-{tag}-{_TAGS[system]}.whl"
    linked = linked_wheel(choice.find_links or "", name)
    hosts = (host.url.format(tag=choice.tag, wheel=name) for host in load_wheel_hosts())
    urls = tuple(dict.fromkeys((*([linked] if linked else []), *hosts)))
    sha256 = linked.partition("#sha256=")[2] or None if linked else None
    return DownloadRequest(name, urls, sha256, least=least, tag=choice.tag)


def linked_wheel(page: str, name: str) -> str | None:
    """Return the URL of a file on a flat page, None if the page cannot be read or does not link to it."""
    try:
        with stream(page, timeout=_PAGE_TIMEOUT) as response:
            if response.status != HTTPStatus.OK:
                return None
            content = response.read(_MAX_PAGE_BYTES).decode("utf-8", errors="replace")
    except (OSError, ValueError):
        return None
    return next((link for link in links(content, response.url) if file_name(link) == name), None)


def prefetch(
    system: System, plan: Plan, request: DownloadRequest, bar: Bar, limits: Limits | None = None
) -> Prefetched:
    """Download the wheel for a plan into the doctor's cache, where it stays until the plan has been applied.

    If every server refuses, the plan is unchanged, because the page may have the wheel under another name. Raises
    DownloadError for a bad connection, DoctorError for a cache that cannot be written or is full.
    """
    folder = cache_folder(system, request.tag)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with wheel_lock(folder / request.name):
            fetched = fetch_from_fastest(request, folder, bar, limits)
            lease = WheelLease(fetched.path)
    except DownloadError as error:
        if PartialDownload(folder, request.name).size():
            raise
        return Prefetched(plan, trouble=error.message)
    except OSError as error:
        raise DoctorError(
            message("cache-not-written", path=folder, reason=error.strerror or error)
        ) from error
    steps = tuple(_from_file(step, fetched) for step in plan.steps)
    return Prefetched(replace(plan, steps=steps), fetched.path, measured=fetched.measured, lease=lease)


def cache_folder(system: System, tag: str | None) -> Path:
    """Return the cache folder for the wheels of one CUDA variant: all variants have the same file name."""
    return user_cache(system) / "wheels" / (tag or "")


def _from_file(step: Step, fetched: Fetched) -> Step:
    """Return the step with the file instead of the requirement and its page."""
    position = gpu_wheel_position(step)
    if position is None or not isinstance(step, InstallPackages):
        return step
    words = list(step.commands[0])
    words[position] = str(fetched.path)
    find_links = words.index("--find-links")
    del words[find_links : find_links + 2]
    reasons = [*step.reasons, message("wheel-fetched", name=fetched.path.name)]
    if fetched.measured:
        reasons.append(rates_note(fetched.measured))
    return replace(step, commands=(tuple(words),), reasons=tuple(reasons))


def wheel_lock(wheel: Path) -> FileLock:
    """Return the lock that is held while a wheel is downloaded, leased or removed."""
    return FileLock(wheel.with_name(f"{wheel.name}.lock"))


class WheelLease:
    """A locked file beside a wheel: a process installs from it. The lock ends with the process at the latest.

    Made while `wheel_lock` is held. Raises OSError if the file cannot be made.
    """

    def __init__(self, wheel: Path) -> None:
        self._wheel = wheel
        self._mark = FileLock(wheel.with_name(f"{wheel.name}.{uuid4().hex}.used"))
        self._mark.acquire()

    def end(self) -> None:
        """Release the lease, and remove the wheel if there is no other: uv has it in its own cache."""
        with contextlib.suppress(OSError), wheel_lock(self._wheel):
            self._mark.release()
            marks = list(self._wheel.parent.glob(f"{self._wheel.name}.*.used"))
            if not any([_is_held(mark) for mark in marks]):  # noqa: C419 - every mark that is not held is removed
                self._wheel.unlink(missing_ok=True)


def _is_held(mark: Path) -> bool:
    """Return whether the process of a lease is alive; the file of a dead one is removed."""
    lock = FileLock(mark)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return True
    lock.release()
    mark.unlink(missing_ok=True)
    return False
