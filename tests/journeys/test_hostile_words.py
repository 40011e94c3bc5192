"""What others wrote, names of files and servers' answers, is shown on a terminal and steers none."""

from __future__ import annotations

from pathlib import Path

import documents
from doctor import doctor
from fake_servers import listening

TITLE = "\x1b]0;owned\x07"
"""Sets the title of a terminal's window."""
SHOWN = "�]0;owned�"


def test_a_servers_answer_steers_no_terminal(tmp_path: Path) -> None:
    documents.page().save(tmp_path / "page.png")
    said = f"HTTP/1.1 405 No\r\nConnection: close\r\n\r\n{TITLE}go away".encode()
    with listening(said) as address:
        url = f"http://u:secret@{address}"
        answer = doctor("parse", "page.png", "--engine", "server", "--server-url", url, cwd=tmp_path)

    assert (answer.code, f"{SHOWN}go away" in answer.stderr) == (1, True), answer.stderr
    assert not {"\x1b", "\x07"} & set(answer.stderr)
    assert "secret" not in answer.stderr


def test_the_name_of_a_document_steers_no_terminal(tmp_path: Path) -> None:
    (tmp_path / f"{TITLE}.png").write_bytes(b"no picture")
    answer = doctor("parse", f"{TITLE}.png", "--engine", "reader", cwd=tmp_path)

    assert (answer.code, f"{SHOWN}.png" in answer.stderr) == (2, True), answer.stderr
    assert not {"\x1b", "\x07"} & set(answer.stderr + answer.stdout)


def test_deep_json_of_a_server_is_one_sentence_or_a_finding(tmp_path: Path) -> None:
    documents.page().save(tmp_path / "page.png")
    said = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + b"[" * 100_000
    for words in (
        ("check", "--server-url"),
        ("serve", "--url"),
        ("parse", "page.png", "--engine", "server", "--server-url"),
    ):
        with listening(said) as address:
            answer = doctor(*words, f"http://{address}", cwd=tmp_path)
        assert answer.code == 1, (words, answer)
        assert answer.stdout or "nested too deeply" in answer.stderr
