"""Asks an HTTP server one question and gives back whatever it said; `RealSystem.ask` leads here."""

from __future__ import annotations

import base64
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING
from urllib.parse import unquote, urlsplit, urlunsplit

if TYPE_CHECKING:
    from urllib.error import HTTPError

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

    `Authorization` stays with the address that was named, where that leads elsewhere; a user and a password in the
    URL become one where `headers` has none.
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


def without_login(url: str) -> tuple[str, dict[str, str]]:
    """Return a URL without its user and password, and the header that says them; none where it has no user.

    `urllib` takes them for the host and repeats them in its errors. Raises ValueError for what is no URL.
    """
    parts = urlsplit(url)
    login, mark, host = parts.netloc.rpartition("@")
    if not mark:
        return url, {}
    said = ":".join(unquote(part) for part in login.partition(":")[::2]).encode()
    header = {"Authorization": f"Basic {base64.b64encode(said).decode()}"} if login else {}
    return urlunsplit(parts._replace(netloc=host)), header


def shown(url: str) -> str:
    """Return what a user gave as a URL and may be none, without what may be a password in it."""
    _, mark, rest = url.rpartition("@")
    return f"***@{rest}" if mark else url


def _send(url: str, timeout: float, body: bytes | None, headers: Mapping[str, str], *, direct: bool) -> Reply:
    from http.client import HTTPException  # noqa: PLC0415 - start-up time
    from urllib.error import HTTPError, URLError  # noqa: PLC0415
    from urllib.request import ProxyHandler, Request, build_opener  # noqa: PLC0415

    opener = build_opener(ProxyHandler({})) if direct else build_opener()
    try:
        bare, login = without_login(url)
        request = Request(bare, data=body)  # noqa: S310 - `ask` takes http and https only
        for name, value in {**login, **headers}.items():
            add = request.add_unredirected_header if name == "Authorization" else request.add_header
            add(name, value)
        with opener.open(request, timeout=timeout) as answer:
            return Reply(answer.status, _text(answer))
    except HTTPError as error:
        return Reply(error.code, _said(error))
    except URLError as error:
        return Reply(None, error=_reason(error.reason))
    except (OSError, ValueError, HTTPException) as error:
        return Reply(None, error=_reason(error))


def _said(error: HTTPError) -> str:
    """Return the body of an answer with an error; one that stalls or breaks off says nothing."""
    from http.client import HTTPException  # noqa: PLC0415 - start-up time

    try:
        return _text(error)
    except (OSError, ValueError, HTTPException):
        return ""


def _text(answer: IO[bytes]) -> str:
    return answer.read(LIMIT).decode("utf-8", errors="replace")


def _reason(reason: object) -> str:
    if isinstance(reason, TimeoutError):
        return "timeout"
    return "refused" if isinstance(reason, ConnectionRefusedError) else str(reason)
