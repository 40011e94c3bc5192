"""What Paddle's flat index page lists at this moment; asked only where the user wants it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote

from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from paddlevl_doctor.system import System

TIMEOUT = 8.0
"""Seconds for the whole answer; the page has some hundred links."""
_LINK = re.compile(r"""href\s*=\s*["']([^"'#?]+\.whl)""", re.IGNORECASE)
_SYSTEMS = {"linux": "linux", "manylinux": "linux", "win": "windows", "macosx": "macos"}
_HTTP_OK = 200


@dataclass(frozen=True, order=True)
class PublishedWheel:
    """One wheel of paddlepaddle-gpu on the page."""

    version: str
    system: str
    machine: str
    python: str
    """For example 3.12."""


@dataclass(frozen=True)
class IndexPage:
    """A page that was asked for; `problem` says why nothing is known, and is empty where it answered."""

    url: str
    wheels: tuple[PublishedWheel, ...] = ()
    problem: str = ""


def read_index_page(system: System, url: str) -> IndexPage:
    """Read a flat page; whatever it says or does not say, this never raises."""
    reply = system.ask(url, timeout=TIMEOUT, headers={"Accept": "text/html", "User-Agent": "paddlevl-doctor"})
    if reply.status is None:
        return IndexPage(url, problem=reply.error)
    if reply.status != _HTTP_OK:
        return IndexPage(url, problem=f"HTTP {reply.status}")
    return IndexPage(url, wheels_on(reply.body))


def wheels_on(page: str) -> tuple[PublishedWheel, ...]:
    """Return the wheels of paddlepaddle-gpu that a page links to, sorted, each once; other links are ignored."""
    names = (unquote(link).rpartition("/")[2] for link in _LINK.findall(page))
    return tuple(sorted({wheel for name in names for wheel in _read(name)}))


def _read(name: str) -> list[PublishedWheel]:
    try:
        project, version, _, tags = parse_wheel_filename(name)
    except InvalidWheelFilename:
        return []
    if project != "paddlepaddle-gpu":
        return []
    found = []
    for tag in tags:
        python = re.fullmatch(r"cp3(\d+)", tag.interpreter)
        place = re.fullmatch(r"([a-z]+)[\d_]*_(x86_64|amd64|aarch64|arm64)", tag.platform)
        if python and place and place[1] in _SYSTEMS:
            machine = {"amd64": "x86_64", "arm64": "aarch64"}.get(place[2], place[2])
            found.append(PublishedWheel(str(version), _SYSTEMS[place[1]], machine, f"3.{python[1]}"))
    return found
