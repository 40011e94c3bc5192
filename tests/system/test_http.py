"""Asking an HTTP server: whatever it answers becomes a reply, and no password is shown."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator

import pytest

from paddlevl_doctor.system.http import Reply, ask, shown, without_login


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
    assert without_login(url) == (bare, login)


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
    assert shown("http://u:p/w@h/v1") == "***@h/v1"
    assert shown("http://h/v1") == "http://h/v1"
