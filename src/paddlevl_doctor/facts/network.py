"""Queries model hubs and reads Paddle's page of CUDA wheels, within a time limit.

`System.answers` limits only each step of a connection: a slow server or resolver can take minutes. Therefore each hub
is queried in a thread of its own, and the caller waits for it only until the limit.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from urllib.parse import unquote

from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from paddlevl_doctor.knowledge.catalogue import load_hubs
from paddlevl_doctor.system.machine import System
from paddlevl_doctor.values.facts import HubAnswer, IndexPage, PublishedWheel

TIMEOUT = 5.0
"""Seconds for all hubs. PaddleX waits one second for each, which is too short for many proxies."""


def hub_urls(env: Mapping[str, str]) -> dict[str, str]:
    """Return the hubs in PaddleX's order; PADDLE_PDX_HUGGING_FACE_ENDPOINT (since paddlex 3.4.0) replaces the first."""
    endpoint = env.get("PADDLE_PDX_HUGGING_FACE_ENDPOINT")
    hubs = {hub.name: hub.url for hub in load_hubs()}
    return {**hubs, **({"huggingface": endpoint} if endpoint else {})}


def answering_hubs(system: System, timeout: float = TIMEOUT) -> tuple[str, ...]:
    """Query all hubs concurrently; return the names of those that answer within `timeout` seconds."""
    return tuple(answer.name for answer in HubQuery(system, timeout).answers() if answer.answered)


class HubQuery:
    """Queries all hubs concurrently from its creation on; `answers` waits until the time limit."""

    def __init__(self, system: System, timeout: float = TIMEOUT) -> None:
        self._system, self._timeout = system, timeout
        self._urls = hub_urls(system.env)
        self._answers: dict[str, HubAnswer] = {}
        self._deadline = system.clock() + timeout
        self._threads = [
            threading.Thread(target=self._ask, args=item, daemon=True) for item in self._urls.items()
        ]
        for thread in self._threads:
            thread.start()

    def _ask(self, name: str, url: str) -> None:
        started = self._system.clock()
        answered = self._system.answers(url, self._timeout)
        seconds = round(self._system.clock() - started, 3)
        self._answers[name] = HubAnswer(name, url, answered, seconds, self._proxied(url))

    def _proxied(self, url: str) -> bool:
        name = f"{url.partition(':')[0]}_proxy"
        return any(self._system.env.get(key) for key in (name, name.upper(), "all_proxy", "ALL_PROXY"))

    def answers(self) -> tuple[HubAnswer, ...]:
        """Return one answer for each hub; a hub that is silent until the limit did not answer."""
        for thread in self._threads:
            thread.join(max(0.0, self._deadline - self._system.clock()))
        given = dict(self._answers)
        silence = {
            n: HubAnswer(n, url, False, self._timeout, self._proxied(url)) for n, url in self._urls.items()
        }
        return tuple(given.get(name, silence[name]) for name in self._urls)


INDEX_PAGE_TIMEOUT = 8.0
"""Seconds for the whole answer; the page has some hundred links."""
_LINK = re.compile(r"""href\s*=\s*["']([^"'#?]+\.whl)""", re.IGNORECASE)
_SYSTEMS = {"linux": "linux", "manylinux": "linux", "win": "windows", "macosx": "macos"}
_HTTP_OK = 200


def read_index_page(system: System, url: str) -> IndexPage:
    """Read a page of wheels; never raises, an error becomes `problem`."""
    reply = system.ask(
        url, timeout=INDEX_PAGE_TIMEOUT, headers={"Accept": "text/html", "User-Agent": "paddlevl-doctor"}
    )
    if reply.status is None:
        return IndexPage(url, problem=reply.error)
    if reply.status != _HTTP_OK:
        return IndexPage(url, problem=f"HTTP {reply.status}")
    return IndexPage(url, wheels_on(reply.body))


def wheels_on(page: str) -> tuple[PublishedWheel, ...]:
    """Return the wheels of paddlepaddle-gpu to which a page links, sorted and without duplicates."""
    names = (unquote(link).rpartition("/")[2] for link in _LINK.findall(page))
    found = {wheel for name in names for wheel in _parse_wheel_name(name)}
    return tuple(sorted(found, key=lambda wheel: (wheel.version, wheel.system, wheel.machine, wheel.python)))


def _parse_wheel_name(name: str) -> list[PublishedWheel]:
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
