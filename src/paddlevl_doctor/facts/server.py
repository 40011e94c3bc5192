"""Queries a server of the vision model at the address that the user gave.

The requests are those of an OpenAI client: the list of models, then one completion with a small image. They use the
proxies of the environment, as the client does; if that fails for a loopback address, the list is requested without a
proxy. The API key is sent, but never returned.
"""

from __future__ import annotations

import base64
import json
import struct
import zlib
from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import urlsplit

from paddlevl_doctor.frozen import dataclass
from paddlevl_doctor.messages import message
from paddlevl_doctor.system.files import load_json
from paddlevl_doctor.system.http import Reply, mask_login, split_login
from paddlevl_doctor.system.machine import System
from paddlevl_doctor.values.errors import UsageError

WORD = "TEST"
_LETTERS = {
    "E": ("#####", "#....", "#....", "####.", "#....", "#....", "#####"),
    "S": (".####", "#....", "#....", ".###.", "....#", "....#", "####."),
    "T": ("#####", "..#..", "..#..", "..#..", "..#..", "..#..", "..#.."),
}
_DOT = 8
"""The width and height of one dot of a letter in pixels."""
_SIDE = 224
"""The width and height in pixels: four patches of 56 pixels; some clients enlarge smaller images."""


def drawn_word() -> bytes:
    """Return a white PNG image with `WORD` in its middle."""
    lines = [".".join(_LETTERS[letter][y] for letter in WORD) for y in range(7)]
    left, top = (_SIDE - len(lines[0]) * _DOT) // 2, (_SIDE - len(lines) * _DOT) // 2
    return _png(
        [[_shade(lines, (x - left) // _DOT, (y - top) // _DOT) for x in range(_SIDE)] for y in range(_SIDE)]
    )


def _shade(lines: list[str], column: int, row: int) -> int:
    inside = 0 <= row < len(lines) and 0 <= column < len(lines[0])
    return 0 if inside and lines[row][column] == "#" else 255


def _png(rows: list[list[int]]) -> bytes:
    """Return rows of grey values as an 8-bit PNG. Source: the PNG specification, RFC 2083."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", len(rows[0]), len(rows), 8, 0, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\x00" + bytes(row) for row in rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


LIST_TIMEOUT = 10.0
CHAT_TIMEOUT = 120.0
"""Seconds: the first request compiles kernels in some servers."""
KEY_VARIABLE = "PADDLEVL_DOCTOR_API_KEY"
"""The variable with the API key: unlike an option, it is not visible to other users or kept in shell histories."""
_OK, _NOT_FOUND = 200, 404
KEY_REFUSED = (401, 403)
"""The HTTP status of a request without a valid API key."""
_ENDS = ("/chat/completions", "/completions", "/models", "/health")
"""Suffixes of addresses that users copy, although the client adds them."""
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class ServerFacts:
    """The answers of one server."""

    url: str
    """The address without a trailing slash and without credentials."""
    models: tuple[str, ...] = ()
    list_status: int | None = None
    """The HTTP status of `/models`, None without an answer."""
    list_words: str = ""
    """The reason for a missing list: the error, or the beginning of the body."""
    proxy: str | None = None
    """The proxy that the environment applies to this address."""
    loopback: bool = False
    direct_status: int | None = None
    """The status of the list without the proxy, requested if the proxy failed."""
    interface: str | None = None
    """The address that has the list if the given one lacks `/v1` or continues after it."""
    interface_status: int | None = None
    """The HTTP status of that address: 200, or one of `KEY_REFUSED`."""
    key_sent: bool = False
    """Whether an API key was sent with every request."""
    asked_model: str | None = None
    chat_status: int | None = None
    """The HTTP status of a completion with an image; None if it was not requested or not answered."""
    chat_words: str = ""
    chat_asked: bool = False


def ask_server(
    system: System, url: str, model: str | None = None, chat_timeout: float = CHAT_TIMEOUT
) -> ServerFacts:
    """Query the server at `url`; `model` is the model that the client will request, None for the server's first.

    Raises UsageError for an invalid address.
    """
    base, login = split_login(_address(url))
    key = api_key(system.env)
    headers = {**login, **bearer(key)}
    host = urlsplit(base).hostname or ""
    proxy = proxy_for(system.env, base)
    listed = system.ask(f"{base}/models", timeout=LIST_TIMEOUT, headers=headers)
    facts = ServerFacts(
        base,
        model_names(listed),
        listed.status,
        _error_text(listed, key),
        proxy,
        host in _LOOPBACK,
        asked_model=model,
        key_sent=bool(key),
    )
    if listed.status == _OK and facts.models:
        return _with_chat(system, facts, chat_timeout, headers, key)
    return _why_no_list(system, facts, headers)


def api_key(env: Mapping[str, str]) -> str:
    """Return the API key, empty if it is not set.

    Raises UsageError if it is not a valid header value, because the client's own error would contain the key.
    """
    key = env.get(KEY_VARIABLE, "").strip()
    if not (key.isascii() and key.isprintable()) or " " in key:
        raise UsageError(message("server-key-unusable", name=KEY_VARIABLE))
    return key


def bearer(key: str) -> Mapping[str, str]:
    """Return the header with the key, nothing without a key."""
    return {"Authorization": f"Bearer {key}"} if key else {}


def _address(url: str) -> str:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # half an IPv6 address, or a port that is no number
        usable = False
    if not usable:
        raise UsageError(message("server-url-unusable", url=mask_login(url)))
    return url.rstrip("/")


def _why_no_list(system: System, facts: ServerFacts, headers: Mapping[str, str]) -> ServerFacts:
    if facts.proxy is not None and facts.loopback:
        direct = system.ask(f"{facts.url}/models", timeout=LIST_TIMEOUT, headers=headers, direct=True)
        facts = replace(facts, direct_status=direct.status)
    elsewhere = _interface(facts)
    if elsewhere is None:
        return facts
    status = system.ask(f"{elsewhere}/models", timeout=LIST_TIMEOUT, headers=headers).status
    found = status == _OK or status in KEY_REFUSED
    return replace(facts, interface=elsewhere, interface_status=status) if found else facts


def _interface(facts: ServerFacts) -> str | None:
    """Return the probable address of the interface if `/v1` is missing or followed by more; None otherwise.

    vLLM requires its key for every path that begins with /v1 and answers 404 to all others: a path after /v1 is
    recognised by its suffix, a missing /v1 by the 404.
    """
    cut = next((facts.url.removesuffix(end) for end in _ENDS if facts.url.endswith(end)), facts.url)
    if cut == facts.url and (cut.endswith("/v1") or facts.list_status != _NOT_FOUND):
        return None
    return cut if cut.endswith("/v1") else f"{cut}/v1"


def _with_chat(
    system: System, facts: ServerFacts, timeout: float, headers: Mapping[str, str], key: str
) -> ServerFacts:
    if facts.asked_model is not None and facts.asked_model not in facts.models:
        return facts  # asking would only give 404
    name = facts.asked_model or facts.models[0]
    reply = chat(system, facts.url, name, timeout, headers)
    return replace(facts, chat_status=reply.status, chat_words=_error_text(reply, key), chat_asked=True)


def chat(
    system: System, base: str, model: str, timeout: float, headers: Mapping[str, str], *, direct: bool = False
) -> Reply:
    """Request the text of a small image; an answer without text counts as an error."""
    address = f"{base}/chat/completions"
    reply = system.ask(address, timeout=timeout, body=chat_request(model), headers=headers, direct=direct)
    if reply.status == _OK and not _has_text(reply.body):
        return Reply(None, error="the answer has no text")
    return reply


def _has_text(body: str) -> bool:
    try:
        return bool(load_json(body)["choices"][0]["message"]["content"].strip())
    except (ValueError, LookupError, TypeError, AttributeError):
        return False


def chat_request(model: str) -> bytes:
    """Return the body of a completion as PaddleX's client sends it: an image, a prompt of the model, temperature 0."""
    url = "data:image/png;base64," + base64.b64encode(drawn_word()).decode("ascii")
    content = [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": "OCR:"}]
    message = {"role": "user", "content": content}
    body = {"model": model, "messages": [message], "temperature": 0.0, "max_tokens": 8}
    return json.dumps(body).encode("ascii")


def model_names(reply: Reply) -> tuple[str, ...]:
    """Return the names in a list of models, nothing for another answer."""
    if reply.status != _OK:
        return ()
    try:
        return tuple(str(row["id"]) for row in load_json(reply.body)["data"])
    except (ValueError, LookupError, TypeError):
        return ()


def _error_text(reply: Reply, key: str) -> str:
    """Return the error or the beginning of the answer, without the key, which some servers repeat."""
    text = reply.error or " ".join(reply.body.split())
    return (text.replace(key, "***") if key else text)[:200]


def proxy_for(env: Mapping[str, str], url: str) -> str | None:
    """Return the proxy of the environment for this address, None for a direct connection.

    Lower-case names are read first, as in urllib and in httpx, the client's library; NO_PROXY has hosts, suffixes of
    hosts or a star. HTTP_PROXY in capitals counts, too: both libraries ignore it only under CGI.
    """
    parts = urlsplit(url)
    names = (f"{parts.scheme}_proxy", "all_proxy")
    proxy = next((value for name in names if (value := env.get(name) or env.get(name.upper()))), None)
    exempt = (env.get("no_proxy") or env.get("NO_PROXY") or "").split(",")
    host = (parts.hostname or "").lower()
    return None if proxy is None or any(_covers(entry.strip().lower(), host) for entry in exempt) else proxy


def loopback_exemptions(env: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that exempt this machine from the proxy (failures.md: proxy on loopback).

    Existing exemptions are kept. Both spellings are set, because libraries differ in which one they read first.
    """
    known = env.get("NO_PROXY", env.get("no_proxy", ""))
    local = ",".join(part for part in (known, "localhost,127.0.0.1,::1") if part)
    return {"NO_PROXY": local, "no_proxy": local}


def _covers(entry: str, host: str) -> bool:
    if entry == "*":
        return True
    bare = entry.lstrip(".")
    if bare.count(":") == 1:  # a host with a port
        bare = bare.rpartition(":")[0] or bare
    return bool(bare) and (host == bare or host.endswith(f".{bare}"))
