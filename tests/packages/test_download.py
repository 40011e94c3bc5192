"""Fetching a wheel from servers that throttle, cut, stall, lie and refuse."""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from broken_server import ETAG, Broken, Manners, broken_server
from paddlevl_doctor.packages.download import DownloadError, DownloadRequest, Limits, fetch
from paddlevl_doctor.packages.http_range import FileVersion, range_headers
from paddlevl_doctor.system.http import keep_login
from wheels import wheel

NAME, DATA = wheel("paddlepaddle-gpu", "3.2.1", padding=600_000)
OTHER = wheel("other", "1", padding=600_000)[1]
SHA256 = hashlib.sha256(DATA).hexdigest()
FILES = {NAME: DATA}
QUICK = Limits(stall=60, attempts=6, pause=0.01)
IMPATIENT = replace(QUICK, stall=3)
"""For servers that stall; a busy machine may well be silent for a second."""


def wanted(*servers: Broken, sha256: str | None = SHA256, size: int | None = len(DATA)) -> DownloadRequest:
    return DownloadRequest(NAME, tuple(server.url(NAME) for server in servers), sha256, size)


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def assert_whole(folder: Path) -> None:
    assert left(folder) == [NAME]
    assert (folder / NAME).read_bytes() == DATA


def test_a_good_server_is_asked_once_and_a_file_that_is_there_not_at_all(tmp_path: Path) -> None:
    with broken_server(FILES) as server:
        first = fetch(wanted(server), tmp_path, limits=QUICK)
        assert (first.url, first.size, first.troubles) == (server.url(NAME), len(DATA), ())
        assert fetch(wanted(server), tmp_path, limits=QUICK).url is None
        assert server.asked == [(f"/{NAME}", None)]
    assert_whole(tmp_path)


@pytest.mark.parametrize("sha256", [SHA256, None], ids=["hash", "no-hash"])
def test_a_cut_connection_is_continued_where_it_was_cut(sha256: str | None, tmp_path: Path) -> None:
    with broken_server(FILES, Manners(cut_after=200_000)) as server:
        fetched = fetch(wanted(server, sha256=sha256, size=None), tmp_path, limits=QUICK)
        ranges = [asked for _, asked in server.asked]
        assert ranges == [None, "bytes=200000-", "bytes=400000-", "bytes=600000-"]
        assert server.sent == len(DATA)
    assert len(fetched.troubles) == 3
    assert_whole(tmp_path)


def test_what_one_process_fetched_the_next_one_keeps(tmp_path: Path) -> None:
    with broken_server(FILES, Manners(cut_after=30_000)) as server:
        with pytest.raises(DownloadError, match="cut off after 30000 bytes"):
            fetch(wanted(server), tmp_path, limits=replace(QUICK, attempts=1))
        server.manners = Manners()
        fetch(wanted(server), tmp_path, limits=QUICK)
        assert [asked for _, asked in server.asked] == [None, "bytes=30000-"]
        assert server.sent == len(DATA)
    assert_whole(tmp_path)


def test_a_stalled_server_is_left_for_another_one_and_nothing_is_fetched_twice(tmp_path: Path) -> None:
    with broken_server(FILES, Manners(stall_after=30_000)) as stalled, broken_server(FILES) as good:
        fetched = fetch(wanted(stalled, good), tmp_path, limits=IMPATIENT)
        assert fetched.url == good.url(NAME)
        assert good.asked == [(f"/{NAME}", "bytes=30000-")]
    assert_whole(tmp_path)


def test_a_server_that_stalls_again_and_again_is_left_at_the_first_time(tmp_path: Path) -> None:
    with broken_server(FILES, Manners(stall_after=100_000)) as stalled, broken_server(FILES) as good:
        fetch(wanted(stalled, good), tmp_path, limits=IMPATIENT)
        assert (len(stalled.asked), [asked for _, asked in good.asked]) == (1, ["bytes=100000-"])
    assert_whole(tmp_path)


def test_a_server_that_drips_is_left_like_one_that_is_silent(tmp_path: Path) -> None:
    limits = replace(QUICK, window=1, slowest=100_000)
    with broken_server(FILES, Manners(rate=20_000)) as slow, broken_server(FILES) as good:
        fetched = fetch(wanted(slow, good), tmp_path, limits=limits)
    assert fetched.url == good.url(NAME)
    assert "bytes per second" in str(fetched.troubles[0])


def test_a_server_is_left_for_one_that_was_measured_to_be_far_faster_but_never_to_and_fro(
    tmp_path: Path,
) -> None:
    """Both have become slow: each is tried for one window, and the one that is no better is stayed with."""
    limits = replace(QUICK, window=1)
    with (
        broken_server(FILES, Manners(rate=200_000)) as one,
        broken_server(FILES, Manners(rate=250_000)) as two,
    ):
        measured = {one.url(NAME): 9_000_000, two.url(NAME): 8_000_000}
        fetched = fetch(replace(wanted(one, two), rates=measured), tmp_path, limits=limits)
        assert (len(one.asked), len(two.asked), fetched.url) == (1, 1, two.url(NAME))
        begun = re.fullmatch(r"bytes=([1-9]\d*)-", two.asked[0][1] or "")
        assert begun, "it goes on where the first one was left"
        assert two.sent == len(DATA) - int(begun[1])
    assert len(fetched.troubles) == 1
    assert_whole(tmp_path)


def test_a_server_that_is_only_somewhat_slower_than_measured_is_kept(tmp_path: Path) -> None:
    with broken_server(FILES, Manners(rate=400_000)) as one, broken_server(FILES) as two:
        measured = {one.url(NAME): 3_000_000, two.url(NAME): 410_000}
        asked = replace(wanted(one, two), rates=measured)
        assert fetch(asked, tmp_path, limits=replace(QUICK, window=1)).url == one.url(NAME)
        assert two.asked == []


def test_a_body_without_a_length_that_was_cut_is_kept_and_continued(tmp_path: Path) -> None:
    """Nobody says how long it is: what has no end of an archive was cut."""
    asked, once = wanted(sha256=None, size=None), replace(QUICK, attempts=1)
    with broken_server(FILES, Manners(cut_after=30_000, unsaid=True)) as server:
        asked = replace(asked, urls=(server.url(NAME),))
        with pytest.raises(DownloadError, match=r"the downloaded part is kept.*cut off after 30000 bytes"):
            fetch(asked, tmp_path, limits=once)
        assert left(tmp_path) == [f".{NAME}.part", f".{NAME}.part.json"]
        server.manners = Manners(unsaid=True)
        fetch(asked, tmp_path, limits=once)
        assert [said for _, said in server.asked] == [None, "bytes=30000-"]
    assert_whole(tmp_path)


def test_nothing_is_said_to_be_kept_where_nothing_is(tmp_path: Path) -> None:
    with broken_server(FILES, Manners(status=403)) as server, pytest.raises(DownloadError) as raised:
        fetch(wanted(server), tmp_path, limits=QUICK)
    assert "kept" not in str(raised.value)


LIES = {
    "forbidden": (Manners(status=403), "HTTP 403"),
    "not-found": (Manners(status=404), "HTTP 404"),
    "empty": (Manners(body=b""), "0 bytes are too few for this wheel"),
    "far-too-small": (Manners(body=b"PK" + bytes(5_000)), f"5002 bytes instead of {len(DATA)}"),
    "a-page": (
        Manners(content_type="text/html; charset=utf-8"),
        "sent a page (text/html) instead of a wheel",
    ),
    "no-archive": (Manners(body=bytes(len(DATA))), "the response is not a wheel"),
    "another-wheel": (Manners(body=OTHER[: len(DATA)].ljust(len(DATA), b"\0")), "its SHA-256 differs"),
    "length-too-short": (Manners(length=len(DATA) - 7), f"{len(DATA) - 7} bytes instead of {len(DATA)}"),
    "length-too-long": (Manners(length=len(DATA) + 7), f"{len(DATA) + 7} bytes instead of {len(DATA)}"),
}


@pytest.mark.parametrize("name", LIES)
def test_a_server_that_lies_is_not_believed_and_the_next_one_is_asked(name: str, tmp_path: Path) -> None:
    manners, reason = LIES[name]
    with broken_server(FILES, manners) as liar, broken_server(FILES) as honest:
        fetched = fetch(wanted(liar, honest), tmp_path, limits=QUICK)
        assert (fetched.url, len(liar.asked)) == (honest.url(NAME), 1)
        assert [reason in str(trouble) for trouble in fetched.troubles] == [True]
    assert_whole(tmp_path)


@pytest.mark.parametrize("name", [name for name in LIES if name not in ("another-wheel", "length-too-long")])
def test_where_all_lie_the_error_says_why_and_no_file_has_the_name(name: str, tmp_path: Path) -> None:
    manners, reason = LIES[name]
    with broken_server(FILES, manners) as liar, pytest.raises(DownloadError) as raised:
        fetch(wanted(liar), tmp_path, limits=QUICK)
    assert f"127.0.0.1: {reason}" in str(raised.value)
    assert NAME not in left(tmp_path)


@pytest.mark.parametrize("lie", [-7, 7])
def test_a_wrong_length_that_nobody_could_know_is_found_by_the_archive(lie: int, tmp_path: Path) -> None:
    with broken_server(FILES, Manners(length=len(DATA) + lie)) as liar, broken_server(FILES) as honest:
        fetched = fetch(wanted(liar, honest, sha256=None, size=None), tmp_path, limits=QUICK)
    assert fetched.troubles
    assert_whole(tmp_path)


def test_a_wheel_that_is_far_too_small_is_refused_even_where_nobody_promised_its_size(tmp_path: Path) -> None:
    asked = replace(wanted(sha256=None, size=None), least=10_000_000)
    with broken_server(FILES) as server, pytest.raises(DownloadError, match="are too few for this wheel"):
        fetch(replace(asked, urls=(server.url(NAME),)), tmp_path, limits=QUICK)


def test_a_server_without_ranges_costs_its_bytes_again_but_never_what_is_here(tmp_path: Path) -> None:
    with broken_server(FILES, Manners(cut_after=200_000, times=1, ranges=False)) as server:
        fetch(wanted(server), tmp_path, limits=QUICK)
        assert [asked for _, asked in server.asked] == [None, "bytes=200000-"]
        assert server.sent == 200_000 + len(DATA)
    assert_whole(tmp_path)


def test_a_file_that_changed_meanwhile_is_begun_again(tmp_path: Path) -> None:
    with broken_server({NAME: OTHER}, Manners(cut_after=30_000)) as server:
        with pytest.raises(DownloadError):
            fetch(wanted(server, sha256=None, size=None), tmp_path, limits=replace(QUICK, attempts=1))
        server.files, server.manners = FILES, Manners(etag='"two"')
        fetch(wanted(server, sha256=None, size=None), tmp_path, limits=QUICK)
    assert_whole(tmp_path)


def test_a_partial_answer_beside_what_was_asked_for_is_refused(tmp_path: Path) -> None:
    expected = pytest.raises(DownloadError, match="sent a different range than requested")
    with broken_server(FILES, Manners(cut_after=30_000, range_shift=5)) as server, expected:
        fetch(wanted(server), tmp_path, limits=QUICK)


def test_a_busy_server_is_asked_again(tmp_path: Path) -> None:
    with broken_server(FILES, Manners(status=503, times=2)) as server:
        fetched = fetch(wanted(server), tmp_path, limits=QUICK)
    assert [str(trouble) for trouble in fetched.troubles] == ["127.0.0.1: HTTP 503"] * 2
    assert_whole(tmp_path)


def test_the_bar_ends_at_the_whole_file_whatever_happened(tmp_path: Path) -> None:
    seen: list[tuple[str, int]] = []
    steps: list[int] = []

    @contextlib.contextmanager
    def bar(title: str, total: int) -> Iterator[Callable[[int], None]]:
        seen.append((title, total))
        yield steps.append

    lie = Manners(body=OTHER[: len(DATA)].ljust(len(DATA), b"\0"))
    with broken_server(FILES, lie) as liar, broken_server(FILES, Manners(cut_after=200_000)) as server:
        fetch(wanted(liar, server), tmp_path, bar, QUICK)
    assert (seen, sum(steps)) == ([(NAME, len(DATA))], len(DATA))


def test_credentials_are_a_header_and_a_reason_never_shows_them(tmp_path: Path) -> None:
    with broken_server({}, Manners()) as server, pytest.raises(DownloadError) as raised:
        url = server.url(NAME).replace("://", "://somebody:secret@")
        fetch(DownloadRequest(NAME, (url,)), tmp_path, limits=QUICK)
    assert "127.0.0.1: HTTP 404" in str(raised.value)
    assert "secret" not in str(raised.value)


def test_what_is_no_web_address_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match="'file' is not http or https"):
        fetch(DownloadRequest(NAME, ("file:///etc/passwd",)), tmp_path, limits=QUICK)


def test_the_validator_is_sent_so_that_a_changed_file_is_noticed() -> None:
    known = FileVersion("http://a/x.whl", ETAG, 20)
    assert range_headers("http://a/x.whl", 10, known) == {"Range": "bytes=10-", "If-Range": ETAG}
    assert range_headers("http://b/x.whl", 10, known) == {"Range": "bytes=10-"}


def test_a_part_of_a_file_that_nobody_has_any_more_is_dropped_once_and_said(tmp_path: Path) -> None:
    asked, once = wanted(sha256=None, size=None), replace(QUICK, attempts=1)
    with broken_server({NAME: OTHER}, Manners(cut_after=30_000)) as gone, pytest.raises(DownloadError):
        fetch(replace(asked, urls=(gone.url(NAME),)), tmp_path, limits=once)
    with broken_server(FILES) as one, broken_server(FILES) as two:
        fetched = fetch(replace(asked, urls=(one.url(NAME), two.url(NAME))), tmp_path, limits=once)
        assert [said for _, said in one.asked] == ["bytes=30000-", None]
        assert [said for _, said in two.asked] == ["bytes=30000-"]
    length = f"127.0.0.1: {len(DATA)} bytes instead of {len(OTHER)}"
    dropped = "the 30000 bytes that were kept belong to another file and were deleted"
    assert [str(trouble) for trouble in fetched.troubles] == [length, length, dropped]
    assert_whole(tmp_path)


def test_a_server_with_another_file_is_refused_while_the_one_that_a_part_is_from_has_the_rest(
    tmp_path: Path,
) -> None:
    asked, once = wanted(sha256=None, size=None), replace(QUICK, attempts=1)
    with broken_server(FILES, Manners(cut_after=30_000)) as server, broken_server({NAME: OTHER}) as other:
        asked = replace(asked, urls=(server.url(NAME),))
        with pytest.raises(DownloadError):
            fetch(asked, tmp_path, limits=once)
        server.manners = Manners()
        fetched = fetch(replace(asked, urls=(other.url(NAME), server.url(NAME))), tmp_path, limits=once)
        assert [said for _, said in server.asked] == [None, "bytes=30000-"]
    assert [str(trouble) for trouble in fetched.troubles] == [
        f"127.0.0.1: {len(OTHER)} bytes instead of {len(DATA)}"
    ]
    assert_whole(tmp_path)


def test_the_only_server_there_is_is_given_up_too_where_it_drips_for_ever(tmp_path: Path) -> None:
    """Some bytes come in each window, and at that rate the file never does."""
    limits = replace(QUICK, window=0.3, slowest=1_000_000, attempts=2)
    with broken_server(FILES, Manners(rate=350_000)) as slow, pytest.raises(DownloadError, match="is kept"):
        fetch(wanted(slow), tmp_path, limits=limits)
    assert left(tmp_path) == [f".{NAME}.part", f".{NAME}.part.json"]


def test_a_file_that_does_not_fit_on_the_disk_is_not_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=len(DATA) - 1))
    with broken_server(FILES) as server, pytest.raises(OSError, match="No space left"):
        fetch(wanted(server), tmp_path, limits=QUICK)
    assert not (tmp_path / f".{NAME}.part").exists()


@pytest.mark.parametrize(
    ("tag", "advice"),
    [
        (None, "Run the same command again, or choose another mirror."),
        ("cu126", "Run the same command again."),
    ],
)
def test_another_mirror_is_advised_only_where_one_may_have_the_file(
    tag: str | None, advice: str, tmp_path: Path
) -> None:
    with broken_server({}) as server, pytest.raises(DownloadError) as raised:
        fetch(replace(wanted(server), tag=tag), tmp_path, limits=QUICK)
    assert str(raised.value) == f"{NAME} could not be downloaded. {advice} 127.0.0.1: HTTP 404"


@pytest.mark.parametrize(
    ("asked", "final", "base"),
    [
        ("http://a/x/", "http://a/x/", "http://a/x/"),
        ("http://me:word@a/x/", "http://a/y/z/", "http://me:word@a/y/z/"),
        ("http://me:word@a/x/", "http://b/x/", "http://b/x/"),
        ("https://me:word@a/x/", "http://a/x/", "http://a/x/"),
    ],
)
def test_links_are_relative_to_where_redirects_led_and_credentials_stay_with_their_server(
    asked: str, final: str, base: str
) -> None:
    assert keep_login(asked, final) == base
