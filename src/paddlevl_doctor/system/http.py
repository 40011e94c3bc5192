"""The HTTP client for all requests of the doctor's process. `RealSystem` and the packages room use it.

urllib3 sends the requests. It verifies with the certificates of the operating system (requests and httpx bring their
list, which lacks certificates that companies add), sends no credentials after a redirect to another server, and has no
dependencies. Only this module imports it, and only for a request: its import takes a third of the time of a check.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import threading
import urllib.request
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING
from urllib.parse import unquote, urldefrag, urljoin, urlsplit, urlunsplit

from paddlevl_doctor.frozen import dataclass

if TYPE_CHECKING:
    import urllib3

MAX_REPLY_BYTES = 1 << 20
"""Maximum number of bytes that are read of a reply; model lists and completions are far smaller."""
_MAX_REDIRECTS = 10
_CHUNK_BYTES = 1 << 16


@dataclass(frozen=True)
class Reply:
    """The result of a request. `status` is None if no HTTP response came; `error` is the reason."""

    status: int | None
    body: str = ""
    error: str = ""
    """timeout, refused, or the error of the operating system."""


class Response:
    """A response whose body has not been read yet."""

    def __init__(self, raw: urllib3.BaseHTTPResponse, requested: str) -> None:
        self._raw = raw
        self.status = raw.status
        self.headers: Mapping[str, str] = raw.headers
        """Names are compared without regard to case."""
        final = split_login(requested)[0]
        for step in raw.retries.history if raw.retries else ():
            final = urljoin(final, step.redirect_location or "")
        self.url = keep_login(requested, final)
        """The URL after redirects, with the credentials of the requested URL if it is the same server."""

    def read1(self, size: int) -> bytes:
        """Return the available bytes, at most `size`; b"" at the end of the body. Raises OSError."""
        with _os_errors():
            return self._raw.read1(size, decode_content=False)

    def read(self, limit: int) -> bytes:
        """Return at most the first `limit` bytes of the body. Raises OSError."""
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
    """Send a request and give the response, also one with an error status.

    `timeout` is the limit in seconds for the connection and for each pause between bytes. `direct` ignores the proxies
    of the environment. `follow` follows the redirects of a request without a body. A user and a password in the URL
    become an `Authorization` header unless `headers` has one; redirects to another server lose it.

    Raises ValueError if the URL is not an http or https URL, TimeoutError, and other kinds of OSError.
    """
    import urllib3  # noqa: PLC0415 - takes a third of the time of a check, and only a request needs it

    if not url.startswith(("http://", "https://")):
        raise ValueError("not an http address")
    bare, login = split_login(urldefrag(url).url)
    all_headers = {
        "User-Agent": "paddlevl-doctor",
        "Accept-Encoding": "identity",
        **login,
        **(headers or {}),
    }
    redirects = _MAX_REDIRECTS if follow and body is None else 0
    policy = urllib3.Retry(None, connect=0, read=0, redirect=redirects, other=0, raise_on_redirect=False)
    with _pool(bare, direct=direct) as pool:
        with _os_errors():
            raw = pool.request(
                method,
                bare,
                body=body,
                headers=all_headers,
                timeout=timeout,
                retries=policy,
                preload_content=False,
                enforce_content_length=False,
            )
        try:
            yield Response(raw, url)
        finally:
            raw.close()


_trusted: list[str | None] = [None]
"""The PEM file of the trusted authorities."""


def trust(bundle: str | None) -> None:
    """Let all further requests trust only the authorities in a PEM file; None: those of the operating system."""
    _trusted[:] = [bundle]


def _pool(url: str, *, direct: bool) -> urllib3.PoolManager:
    """Return a connection pool for a URL: direct, or through the proxy of the environment."""
    import urllib3  # noqa: PLC0415 - as above

    parts = urlsplit(url)
    proxies = {} if direct or urllib.request.proxy_bypass(parts.netloc) else urllib.request.getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    if not proxy:
        return urllib3.PoolManager(ca_certs=_trusted[0])
    bare, login = split_login(proxy if "://" in proxy else f"http://{proxy}")
    headers = {f"Proxy-{name}": value for name, value in login.items()}
    return urllib3.ProxyManager(bare, proxy_headers=headers, ca_certs=_trusted[0])


@contextlib.contextmanager
def _os_errors() -> Iterator[None]:
    """Turn the errors of urllib3 into the OSError that caused them, or a new one with their message."""
    from urllib3 import exceptions  # noqa: PLC0415 - as above

    try:
        yield
    except (exceptions.HTTPError, http.client.HTTPException) as error:
        timed_out = isinstance(error, exceptions.TimeoutError)
        raise _os_error(error, TimeoutError if timed_out else ConnectionError) from error


def _os_error(error: Exception, kind: type[OSError]) -> OSError:
    """Return the OSError that caused an error, or one of this kind with its message."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, OSError):
        last, cause = cause, cause.__cause__ or cause.__context__
    if cause is not None:
        return cause
    return kind(str(last) or type(last).__name__)


def ask(
    url: str,
    *,
    timeout: float,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    direct: bool = False,
) -> Reply:
    """Send GET, or POST with a JSON body, and wait at most `timeout` seconds in total. Raises nothing.

    The arguments are those of `stream`. The timeout of a socket restarts with each byte, so the request runs in a
    thread that is abandoned after `timeout`.
    """
    replies: list[Reply] = []
    all_headers = {"Content-Type": "application/json", **(headers or {})}
    thread = threading.Thread(
        target=lambda: replies.append(_reply(url, timeout, body, all_headers, direct=direct)), daemon=True
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
            return Reply(status)  # the status is valid even if the body is incomplete
        return Reply(None, error=_reason(error))


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "timeout"
    return "refused" if isinstance(error, ConnectionRefusedError) else str(error)


def answers(url: str, timeout: float) -> bool:
    """Return whether a HEAD request gets a status below 500; from 500 on, it may be from a proxy without a server."""
    try:
        with stream(url, timeout=timeout, method="HEAD") as response:
            return response.status < http.client.INTERNAL_SERVER_ERROR
    except (OSError, ValueError):
        return False


def split_login(url: str) -> tuple[str, dict[str, str]]:
    """Return a URL without user and password, and an `Authorization` header with them if it has a user.

    Raises ValueError if it is not a URL.
    """
    parts = urlsplit(url)
    login, mark, host = parts.netloc.rpartition("@")
    if not mark:
        return url, {}
    credentials = ":".join(unquote(part) for part in login.partition(":")[::2]).encode()
    header = {"Authorization": f"Basic {base64.b64encode(credentials).decode()}"} if login else {}
    return urlunsplit(parts._replace(netloc=host)), header


def mask_login(url: str) -> str:
    """Return a text that may be a URL with everything before the last @ masked, which may be a password."""
    _, mark, rest = url.rpartition("@")
    return f"***@{rest}" if mark else url


def keep_login(requested: str, final: str) -> str:
    """Return the URL `final`, with the credentials of `requested` if both have the same server."""
    first, last = urlsplit(requested), urlsplit(final)
    same = (last.scheme, last.netloc) == (first.scheme, first.netloc.rpartition("@")[2])
    return urlunsplit(last._replace(netloc=first.netloc)) if same else final
