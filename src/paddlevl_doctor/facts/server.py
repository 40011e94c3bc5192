"""What a server of the vision model answers: asked only where its address was given, and never more than is needed.

The questions are those of an OpenAI client: the list of models, then one completion with a small picture. They go
through the proxies of the environment, as the client's do; the direct way is tried where that fails on loopback.
"""

from __future__ import annotations

import base64
import json
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from paddlevl_doctor.errors import UsageError
from paddlevl_doctor.messages import text
from paddlevl_doctor.system import System
from paddlevl_doctor.system_http import Reply

LIST_TIMEOUT = 10.0
CHAT_TIMEOUT = 120.0
"""Seconds: the first request compiles kernels in some servers."""
_OK, _NOT_FOUND = 200, 404
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class ServerFacts:
    """What one server said."""

    url: str
    """The address as it was given, without a slash at its end."""
    models: tuple[str, ...] = ()
    list_status: int | None = None
    """The HTTP status of `/models`, None where no answer came."""
    list_words: str = ""
    """Why there was no list: the error, or how its body begins."""
    proxy: str | None = None
    """The proxy that the environment applies to this address."""
    loopback: bool = False
    direct_status: int | None = None
    """The status of the list without the proxy, asked where the way through it failed."""
    with_v1: bool = False
    """The list is there under `/v1`, which the address lacks."""
    asked_model: str | None = None
    chat_status: int | None = None
    """The status of a completion with a picture; None where none was asked for, or none came."""
    chat_words: str = ""
    chat_asked: bool = False


def ask_server(
    system: System, url: str, model: str | None = None, chat_timeout: float = CHAT_TIMEOUT
) -> ServerFacts:
    """Ask the server at `url`; `model` is what the client will ask for, None: whatever the server has.

    Raises UsageError for an address that is none.
    """
    base = _address(url)
    host = urlsplit(base).hostname or ""
    proxy = proxy_for(system.env, base)
    listed = system.ask(f"{base}/models", timeout=LIST_TIMEOUT)
    facts = ServerFacts(
        base,
        model_names(listed),
        listed.status,
        _words(listed),
        proxy,
        host in _LOOPBACK,
        None,
        asked_model=model,
    )
    if listed.status == _OK and facts.models:
        return _with_chat(system, facts, chat_timeout)
    return _why_no_list(system, facts)


def _address(url: str) -> str:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # half an IPv6 address, or a port that is no number
        usable = False
    if not usable:
        raise UsageError(text("server-url-unusable", url=url))
    return url.rstrip("/")


def _why_no_list(system: System, facts: ServerFacts) -> ServerFacts:
    from dataclasses import replace  # noqa: PLC0415 - only failures need it

    if facts.proxy is not None and facts.loopback:
        direct = system.ask(f"{facts.url}/models", timeout=LIST_TIMEOUT, direct=True)
        facts = replace(facts, direct_status=direct.status)
    if facts.list_status == _NOT_FOUND and not facts.url.endswith("/v1"):
        other = system.ask(f"{facts.url}/v1/models", timeout=LIST_TIMEOUT)
        facts = replace(facts, with_v1=other.status == _OK)
    return facts


def _with_chat(system: System, facts: ServerFacts, timeout: float) -> ServerFacts:
    from dataclasses import replace  # noqa: PLC0415 - as above

    if facts.asked_model is not None and facts.asked_model not in facts.models:
        return facts  # asking would only give 404
    name = facts.asked_model or facts.models[0]
    reply = chat(system, facts.url, name, timeout)
    return replace(facts, chat_status=reply.status, chat_words=_words(reply), chat_asked=True)


def chat(system: System, base: str, model: str, timeout: float, *, direct: bool = False) -> Reply:
    """Ask for what stands in a small picture; an answer without a choice counts as an error."""
    reply = system.ask(f"{base}/chat/completions", timeout=timeout, body=question(model), direct=direct)
    if reply.status == _OK and not _has_choice(reply.body):
        return Reply(None, error="the answer has no text")
    return reply


def _has_choice(body: str) -> bool:
    try:
        return isinstance(json.loads(body)["choices"][0]["message"]["content"], str)
    except (ValueError, LookupError, TypeError):
        return False


def question(model: str) -> bytes:
    """Return the body of a completion as PaddleX's client sends it: a picture, a prompt of the model, no chance."""
    picture = "data:image/png;base64," + base64.b64encode(_picture()).decode("ascii")
    content = [{"type": "image_url", "image_url": {"url": picture}}, {"type": "text", "text": "OCR:"}]
    message = {"role": "user", "content": content}
    words = {"model": model, "messages": [message], "temperature": 0.0, "max_tokens": 8}
    return json.dumps(words).encode("ascii")


def _picture(side: int = 112) -> bytes:
    """Return a white PNG with a black bar, `side` pixels wide and high: four of the model's patches across."""
    rows = b"".join(
        b"\x00" + bytes(0 if side // 3 < y < side // 2 else 255 for _ in range(side)) for y in range(side)
    )

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def model_names(reply: Reply) -> tuple[str, ...]:
    """Return the names in a list of models; nothing where the answer is none."""
    if reply.status != _OK:
        return ()
    try:
        return tuple(str(row["id"]) for row in json.loads(reply.body)["data"])
    except (ValueError, LookupError, TypeError):
        return ()


def _words(reply: Reply) -> str:
    return reply.error or " ".join(reply.body.split())[:200]


def proxy_for(env: Mapping[str, str], url: str) -> str | None:
    """Return the proxy that the environment gives for this address, None for the direct way.

    Lower-case names go first, as in urllib and in httpx, the client's library; NO_PROXY holds hosts, suffixes of
    hosts or a star. HTTP_PROXY in capitals counts too: neither library ignores it outside of CGI.
    """
    parts = urlsplit(url)
    names = (f"{parts.scheme}_proxy", "all_proxy")
    proxy = next((value for name in names if (value := env.get(name) or env.get(name.upper()))), None)
    exempt = (env.get("no_proxy") or env.get("NO_PROXY") or "").split(",")
    host = (parts.hostname or "").lower()
    return None if proxy is None or any(_covers(entry.strip().lower(), host) for entry in exempt) else proxy


def _covers(entry: str, host: str) -> bool:
    if entry == "*":
        return True
    bare = (
        entry.lstrip(".").rpartition(":")[0] or entry.lstrip(".")
        if entry.count(":") == 1
        else entry.lstrip(".")
    )
    return bool(bare) and (host == bare or host.endswith(f".{bare}"))
