"""Which model hubs answer from here. Asked only when a model is missing; the time limits are real.

`System.answers` limits each step of a connection; a server that drips byte after byte, or a resolver that never
ends, would still hold it for minutes. So every hub is asked in a thread of its own that nobody waits for longer
than the limit.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping

from paddlevl_doctor.facts.deep_facts import HubAnswer
from paddlevl_doctor.system import System

TIMEOUT = 5.0
"""Seconds for all hubs. PaddleX gives each one second, which is too short for many proxies."""


def hub_urls(env: Mapping[str, str]) -> dict[str, str]:
    """Return the hubs in PaddleX's order; PADDLE_PDX_HUGGING_FACE_ENDPOINT (since paddlex 3.4.0) replaces the first."""
    from paddlevl_doctor.knowledge.matrix import load_hubs  # noqa: PLC0415 - a check with its models asks none

    endpoint = env.get("PADDLE_PDX_HUGGING_FACE_ENDPOINT")
    hubs = {hub.name: hub.url for hub in load_hubs()}
    return {**hubs, **({"huggingface": endpoint} if endpoint else {})}


def answering_hubs(system: System, timeout: float = TIMEOUT) -> tuple[str, ...]:
    """Ask all hubs side by side; return the names of those that answered within `timeout` seconds in all."""
    return tuple(answer.name for answer in HubQuestion(system, timeout).answers() if answer.answered)


class HubQuestion:
    """All hubs, being asked side by side from the moment this is made; `answers` waits for the rest of the limit."""

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
        """Return one answer a hub; one that said nothing within the limit did not answer."""
        for thread in self._threads:
            thread.join(max(0.0, self._deadline - self._system.clock()))
        given = dict(self._answers)
        silence = {
            n: HubAnswer(n, url, False, self._timeout, self._proxied(url)) for n, url in self._urls.items()
        }
        return tuple(given.get(name, silence[name]) for name in self._urls)
