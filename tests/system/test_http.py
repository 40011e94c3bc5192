"""Asking an HTTP server: whatever it answers becomes a reply, and no password is shown."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator

import pytest

from broken_server import broken_server
from paddlevl_doctor.system.http import Reply, ask, mask_login, split_login, stream


@contextlib.contextmanager
def saying(words: bytes, asked: list[bytes] | None = None) -> Iterator[str]:
    """A server that sends this to one visitor, whatever is asked, and closes; gives its host and port."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            door, _ = server.accept()
            with door:
                heard = door.recv(10_000)
                if asked is not None:
                    asked.append(heard)
                door.sendall(words)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"127.0.0.1:{server.getsockname()[1]}"
        thread.join()


@pytest.mark.parametrize(
    ("words", "reply"),
    [
        (b"HTTP/1.1 502 Bad\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nabc", Reply(502)),
        (b"HTTP/1.1 502 Bad\r\nTransfer-Encoding: chunked\r\n\r\nno number\r\n", Reply(502)),
        (b"HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy", Reply(503, "busy")),
    ],
    ids=["breaks off", "garbled", "whole"],
)
@pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")
def test_an_answer_with_an_error_is_its_status_whatever_becomes_of_its_body(
    words: bytes, reply: Reply
) -> None:
    with saying(words) as host:
        assert ask(f"http://{host}/v1", timeout=20, direct=True) == reply


@pytest.mark.parametrize(
    ("url", "bare", "login"),
    [
        ("http://h:1/v1", "http://h:1/v1", {}),
        ("http://u:p@h:1/v1", "http://h:1/v1", {"Authorization": "Basic dTpw"}),
        ("http://u@h/", "http://h/", {"Authorization": "Basic dTo="}),
        ("http://u:a%40b:c@h/?q=1", "http://h/?q=1", {"Authorization": "Basic dTphQGI6Yw=="}),
        ("http://u:p@w@h/", "http://h/", {"Authorization": "Basic dTpwQHc="}),
        ("http://@h/", "http://h/", {}),
    ],
)
def test_a_user_and_a_password_in_a_url_become_a_header(url: str, bare: str, login: dict[str, str]) -> None:
    assert split_login(url) == (bare, login)


def test_a_password_in_the_url_is_sent_and_a_key_goes_before_it() -> None:
    heard: list[bytes] = []
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    for headers in ({}, {"Authorization": "Bearer key"}):
        with saying(answer, heard) as host:
            assert ask(f"http://u:p@{host}/v1", timeout=20, headers=headers, direct=True) == Reply(200, "ok")
    found = [
        line for words in heard for line in words.splitlines() if line.startswith((b"Auth", b"Host", b"GET"))
    ]

    assert [line for line in found if b"Host" not in line] == [
        b"GET /v1 HTTP/1.1",
        b"Authorization: Basic dTpw",
        b"GET /v1 HTTP/1.1",
        b"Authorization: Bearer key",
    ]
    assert all(b"u:p" not in line for line in found)


@pytest.mark.parametrize(
    "url", ["http://u:secret@127.0.0.1:9/v1", "http://u:secret@[half/", "http://u:secret@h:x/"]
)
def test_no_error_has_the_password(url: str) -> None:
    reply = ask(url, timeout=20, direct=True)

    assert (reply.status, "secret" in reply.error) == (None, False)


def test_what_is_no_url_is_shown_without_what_may_be_a_password() -> None:
    assert mask_login("http://u:p/w@h/v1") == "***@h/v1"
    assert mask_login("http://h/v1") == "http://h/v1"


@pytest.mark.parametrize(
    ("env", "through"),
    [
        ({"http_proxy": "http://u:p@{proxy}"}, True),
        ({"HTTP_PROXY": "{proxy}"}, True),
        ({"ALL_PROXY": "http://{proxy}"}, True),
        ({"http_proxy": "http://{proxy}", "no_proxy": "example.org, server.test"}, False),
        ({"http_proxy": "http://{proxy}", "NO_PROXY": ".test"}, False),
        ({"http_proxy": "http://{proxy}", "NO_PROXY": "*"}, False),
        ({"https_proxy": "http://{proxy}"}, False),
    ],
)
def test_the_proxy_of_the_environment_is_used_unless_the_host_is_exempt(
    env: dict[str, str], through: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    received: list[bytes] = []
    with saying(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nproxy", received) as proxy:
        for name, value in env.items():
            monkeypatch.setenv(name, value.format(proxy=proxy))
        reply = ask("http://server.test/v1", timeout=20)
        if not through:
            ask(f"http://{proxy}/", timeout=20, direct=True)
    assert reply.body == ("proxy" if through else "")
    assert received[0].startswith(b"GET http://server.test/v1 HTTP/1.1" if through else b"GET / HTTP/1.1")
    assert (b"Proxy-Authorization: Basic dTpw" in received[0]) == ("u:p@" in env.get("http_proxy", ""))


@pytest.mark.parametrize("same", [True, False], ids=["same-server", "other-server"])
def test_credentials_follow_a_redirect_to_the_same_server_alone(same: bool) -> None:
    received: list[bytes] = []
    with (
        broken_server({"new": b"found"}) as first,
        saying(b"HTTP/1.1 200 OK\r\n\r\nfound", received) as other,
    ):
        first.moved["old"] = "/new" if same else f"http://{other}/new"
        url = first.url("old").replace("://", "://u:p@")
        with stream(url, timeout=20, direct=True) as response:
            assert response.read(100) == b"found"
        if same:
            ask(f"http://{other}/", timeout=20, direct=True)
    assert response.url == (first.url("new").replace("://", "://u:p@") if same else f"http://{other}/new")
    assert b"Authorization" not in received[0]


def test_a_request_with_a_body_is_not_redirected() -> None:
    moved = b"HTTP/1.1 307 Moved\r\nLocation: http://127.0.0.1:9/\r\nContent-Length: 0\r\n\r\n"
    with saying(moved) as host:
        assert ask(f"http://{host}/v1", timeout=20, body=b"{}", direct=True) == Reply(307)


def test_an_endless_redirect_is_its_status() -> None:
    with broken_server({}) as server:
        server.moved["round"] = "/round"
        assert ask(server.url("round"), timeout=20, direct=True) == Reply(302)
