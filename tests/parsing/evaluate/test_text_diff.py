"""A diff that people read: only what differs, bounded, and harmless to a terminal."""

from hypothesis import given
from hypothesis import strategies as st

from paddlevl_doctor.parsing.evaluate.judge import MAX_LINES, readable_diff


def test_a_changed_line_stands_with_its_neighbours_below_the_names():
    known = "one\ntwo\nthree\nfour\nfive"
    read = "one\ntwo\nthre\nfour\nfive"

    assert readable_diff(known, read, ("demo.json", "native")) == (
        "--- demo.json\n+++ native\n@@ -2,3 +2,3 @@\n two\n-three\n+thre\n four"
    )


def test_whitespace_and_empty_lines_make_no_difference():
    assert readable_diff("阅读  一页\n\n\nThe  end ", " 阅读\u3000一页\r\nThe\tend") == ""


def test_control_characters_and_turned_text_do_not_come_through():
    assert readable_diff("a", "\x1b[31mred\u202e\x07", ("k\x1b", "r")) == (
        "--- k\n+++ r\n@@ -1 +1 @@\n-a\n+[31mred"
    )


def test_a_long_diff_ends_with_a_sign_that_there_is_more():
    lines = readable_diff("", "\n".join(map(str, range(1000)))).splitlines()

    assert (len(lines), lines[-2:]) == (MAX_LINES, ["+195", "…"])


def test_a_long_line_is_cut():
    assert readable_diff("", "x" * 1000) == "--- known\n+++ read\n@@ -0,0 +1 @@\n+" + "x" * 298 + "…"


@given(st.text())
def test_a_text_does_not_differ_from_itself(text):
    assert readable_diff(text, text) == ""


@given(st.text(), st.text())
def test_whatever_differs_is_bounded_and_can_be_written(known, read):
    diff = readable_diff(known, read)
    diff.encode("utf-8")

    assert len(diff.split("\n")) <= MAX_LINES
    assert all(line.isprintable() or "\u2028" not in line for line in diff.split("\n"))
