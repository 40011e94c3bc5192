"""Asks an HTTP server one question and gives back whatever it said; `RealSystem.ask` leads here."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import IO

LIMIT = 1 << 20
"""Bytes of an answer that are read; model lists and completions are far smaller."""


@dataclass(frozen=True)
class Reply:
    """What became of a request. `status` is None where no HTTP answer came, `error` then says why."""

    status: int | None
    body: str = ""
    error: str = ""
    """timeout, refused, or the system's own words."""


def ask(
    url: str,
    *,
    timeout: float,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    direct: bool = False,
) -> Reply:
    """Send GET, or POST with a JSON body, and wait for at most `timeout` seconds in all; raises nothing.

    `Authorization` stays with the address that was named, where that leads elsewhere.
    `direct` ignores the proxies of the environment. The time limit of a socket starts anew with each byte, so
    the request runs in a thread that nobody waits for longer.
    """
    if not url.startswith(("http://", "https://")):
        return Reply(None, error="not an http address")
    answers: list[Reply] = []
    words = {"Content-Type": "application/json", **(headers or {})}
    thread = threading.Thread(
        target=lambda: answers.append(_send(url, timeout, body, words, direct=direct)), daemon=True
    )
    thread.start()
    thread.join(timeout)
    return answers[0] if answers else Reply(None, error="timeout")


def _send(url: str, timeout: float, body: bytes | None, headers: Mapping[str, str], *, direct: bool) -> Reply:
    from http.client import HTTPException  # noqa: PLC0415 - start-up time
    from urllib.error import HTTPError, URLError  # noqa: PLC0415
    from urllib.request import ProxyHandler, Request, build_opener  # noqa: PLC0415

    opener = build_opener(ProxyHandler({})) if direct else build_opener()
    try:
        request = Request(url, data=body)  # noqa: S310 - `ask` takes http and https only
        for name, value in headers.items():
            add = request.add_unredirected_header if name == "Authorization" else request.add_header
            add(name, value)
        with opener.open(request, timeout=timeout) as answer:
            return Reply(answer.status, _text(answer))
    except HTTPError as error:
        return Reply(error.code, _text(error))
    except URLError as error:
        return Reply(None, error=_reason(error.reason))
    except (OSError, ValueError, HTTPException) as error:
        return Reply(None, error=_reason(error))


def _text(answer: IO[bytes]) -> str:
    return answer.read(LIMIT).decode("utf-8", errors="replace")


def _reason(reason: object) -> str:
    if isinstance(reason, TimeoutError):
        return "timeout"
    return "refused" if isinstance(reason, ConnectionRefusedError) else str(reason)
