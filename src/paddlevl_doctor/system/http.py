"""The HTTP client: every request of the doctor's own process is sent here. `RealSystem` and the packages room use it.

urllib3 sends the requests: it verifies with the certificates of the operating system (requests and httpx bring a list
of their own, which lacks the ones that companies add), follows redirects without the credentials where they lead to
another server, and depends on nothing. Only this module imports it, and `check` without `--server-url` never does.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import threading
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import unquote, urldefrag, urljoin, urlsplit, urlunsplit

import urllib3
from urllib3.exceptions import HTTPError

MAX_REPLY_BYTES = 1 << 20
"""Bytes of a reply that are read; model lists and completions are far smaller."""
_MAX_REDIRECTS = 10
_CHUNK_BYTES = 1 << 16


@dataclass(frozen=True)
class Reply:
    """The result of a request. `status` is None where no HTTP response came; `error` then says why."""

    status: int | None
    body: str = ""
    error: str = ""
    """timeout, refused, or the words of the operating system."""


class Response:
    """A response whose body is still to be read."""

    def __init__(self, raw: urllib3.BaseHTTPResponse, asked: str) -> None:
        self._raw = raw
        self.status = raw.status
        self.headers: Mapping[str, str] = raw.headers
        """Names are compared without regard to case."""
        self.url = _final_url(asked, raw)
        """Where redirects led, with the credentials of the URL that was asked for if that is the same server."""

    def read1(self, size: int) -> bytes:
        """Return the bytes that are there, at most `size`; b"" at the end of the body. Raises OSError."""
        try:
            return self._raw.read1(size, decode_content=False)
        except (HTTPError, http.client.HTTPException) as error:
            raise _os_error(error) from error

    def read(self, limit: int) -> bytes:
        """Return the body, at most its first `limit` bytes; raises OSError."""
        data = b""
        while len(data) < limit and (piece := self.read1(min(_CHUNK_BYTES, limit - len(data)))):
            data += piece
        return data


@contextlib.contextmanager
def stream(
    url: str,
    *,
    timeout: float,
    method: str = "GET",
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    direct: bool = False,
    follow: bool = True,
) -> Iterator[Response]:
    """Send a request and give the response, whatever its status.

    `timeout` is the limit in seconds for the connection and for each time that no byte comes. `direct` ignores the
    proxies of the environment; `follow` follows the redirects of a request without a body. A user and a password in
    the URL become an `Authorization` header unless `headers` has one; redirects to another server lose it.

    Raises ValueError for what is no http or https URL, TimeoutError, and other kinds of OSError.
    """
    if not url.startswith(("http://", "https://")):
        raise ValueError("not an http address")
    bare, login = split_login(urldefrag(url).url)
    sent = {"User-Agent": "paddlevl-doctor", "Accept-Encoding": "identity", **login, **(headers or {})}
    redirects = _MAX_REDIRECTS if follow and body is None else 0
    policy = urllib3.Retry(None, connect=0, read=0, redirect=redirects, other=0, raise_on_redirect=False)
    with _pool(bare, direct=direct) as pool:
        try:
            raw = pool.request(
                method,
                bare,
                body=body,
                headers=sent,
                timeout=timeout,
                retries=policy,
                preload_content=False,
                enforce_content_length=False,
            )
        except HTTPError as error:
            raise _os_error(error) from error
        try:
            yield Response(raw, url)
        finally:
            raw.close()


def _pool(url: str, *, direct: bool) -> urllib3.PoolManager:
    """Return what connects to a URL: directly, or through the proxy that the environment names for it."""
    parts = urlsplit(url)
    proxies = {} if direct or urllib.request.proxy_bypass(parts.netloc) else urllib.request.getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    if not proxy:
        return urllib3.PoolManager()
    bare, login = split_login(proxy if "://" in proxy else f"http://{proxy}")
    return urllib3.ProxyManager(bare, proxy_headers={f"Proxy-{name}": value for name, value in login.items()})


def _os_error(error: Exception) -> OSError:
    """Return the OSError that an error of urllib3 comes from, or one in its words."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, OSError):
        last, cause = cause, cause.__cause__ or cause.__context__
    if cause is not None:
        return cause
    kind = TimeoutError if isinstance(error, urllib3.exceptions.TimeoutError) else ConnectionError
    return kind(str(last) or type(last).__name__)


def ask(
    url: str,
    *,
    timeout: float,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    direct: bool = False,
) -> Reply:
    """Send GET, or POST with a JSON body, and wait for at most `timeout` seconds in all; raises nothing.

    The arguments are those of `stream`. The time limit of a socket starts anew with each byte, so the request runs
    in a thread that is abandoned when the time is over.
    """
    replies: list[Reply] = []
    sent = {"Content-Type": "application/json", **(headers or {})}
    thread = threading.Thread(
        target=lambda: replies.append(_reply(url, timeout, body, sent, direct=direct)), daemon=True
    )
    thread.start()
    thread.join(timeout)
    return replies[0] if replies else Reply(None, error="timeout")


def _reply(
    url: str, timeout: float, body: bytes | None, headers: Mapping[str, str], *, direct: bool
) -> Reply:
    method, status = "GET" if body is None else "POST", None
    try:
        with stream(
            url, timeout=timeout, method=method, body=body, headers=headers, direct=direct
        ) as response:
            status = response.status
            return Reply(status, response.read(MAX_REPLY_BYTES).decode("utf-8", errors="replace"))
    except (OSError, ValueError) as error:
        if status is not None and status >= http.client.BAD_REQUEST:
            return Reply(status)  # the status counts, even where its explanation breaks off
        return Reply(None, error=_reason(error))


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "timeout"
    return "refused" if isinstance(error, ConnectionRefusedError) else str(error)


def answers(url: str, timeout: float) -> bool:
    """Say whether a HEAD request is answered. A status from 500 on may be a proxy's that reaches no server."""
    try:
        with stream(url, timeout=timeout, method="HEAD") as response:
            return response.status < http.client.INTERNAL_SERVER_ERROR
    except (OSError, ValueError):
        return False


def split_login(url: str) -> tuple[str, dict[str, str]]:
    """Return a URL without its user and password, and the header with them; no header where it has no user.

    Raises ValueError for what is no URL.
    """
    parts = urlsplit(url)
    login, mark, host = parts.netloc.rpartition("@")
    if not mark:
        return url, {}
    credentials = ":".join(unquote(part) for part in login.partition(":")[::2]).encode()
    header = {"Authorization": f"Basic {base64.b64encode(credentials).decode()}"} if login else {}
    return urlunsplit(parts._replace(netloc=host)), header


def mask_login(url: str) -> str:
    """Return what a user gave as a URL, which may be none, without what may be a password."""
    _, mark, rest = url.rpartition("@")
    return f"***@{rest}" if mark else url


def _final_url(asked: str, raw: urllib3.BaseHTTPResponse) -> str:
    """Return where redirects led; the credentials of `asked` are put back if that is the same server."""
    final = split_login(asked)[0]
    for step in raw.retries.history if raw.retries else ():
        final = urljoin(final, step.redirect_location or "")
    return keep_login(asked, final)


def keep_login(asked: str, final: str) -> str:
    """Return the URL `final` with the credentials of `asked` if both are of one server."""
    first, last = urlsplit(asked), urlsplit(final)
    same = (last.scheme, last.netloc) == (first.scheme, first.netloc.rpartition("@")[2])
    return urlunsplit(last._replace(netloc=first.netloc)) if same else final
