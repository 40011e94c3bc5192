"""The diff of two texts is limited in size and has no control characters."""

from hypothesis import given
from hypothesis import strategies as st

from paddlevl_doctor.parsing.evaluate.judge import MAX_DIFF_LINES, text_diff


def test_a_changed_line_is_shown_with_its_neighbours():
    known = "one\ntwo\nthree\nfour\nfive"
    read = "one\ntwo\nthre\nfour\nfive"

    assert text_diff(known, read, ("demo.json", "native")) == (
        "--- demo.json\n+++ native\n@@ -2,3 +2,3 @@\n two\n-three\n+thre\n four"
    )


def test_whitespace_and_empty_lines_make_no_difference():
    assert text_diff("阅读  一页\n\n\nThe  end ", " 阅读\u3000一页\r\nThe\tend") == ""


def test_control_characters_and_text_direction_marks_are_removed():
    assert text_diff("a", "\x1b[31mred\u202e\x07", ("k\x1b", "r")) == (
        "--- k\n+++ r\n@@ -1 +1 @@\n-a\n+[31mred"
    )


def test_a_long_diff_is_cut_and_ends_with_an_ellipsis():
    lines = text_diff("", "\n".join(map(str, range(1000)))).splitlines()

    assert (len(lines), lines[-2:]) == (MAX_DIFF_LINES, ["+195", "…"])


def test_a_long_line_is_cut():
    assert text_diff("", "x" * 1000) == "--- known\n+++ read\n@@ -0,0 +1 @@\n+" + "x" * 298 + "…"


@given(st.text())
def test_a_text_does_not_differ_from_itself(text):
    assert text_diff(text, text) == ""


@given(st.text(), st.text())
def test_any_diff_is_limited_and_encodable(known, read):
    diff = text_diff(known, read)
    diff.encode("utf-8")

    assert len(diff.split("\n")) <= MAX_DIFF_LINES
    assert all(line.isprintable() or "\u2028" not in line for line in diff.split("\n"))
