"""The requests to a server: an image of a word, a key that is a valid header value, no proxy to loopback."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from paddlevl_doctor.facts.server import KEY_VARIABLE, api_key, bearer, drawn_word, loopback_exemptions
from paddlevl_doctor.values.errors import UsageError


def test_the_picture_is_a_png_with_a_word_in_its_middle() -> None:
    with Image.open(io.BytesIO(drawn_word())) as shown:
        ink = shown.point(lambda shade: 255 - shade).getbbox()
        assert (shown.format, shown.size, shown.mode, ink) == ("PNG", (224, 224), "L", (20, 84, 204, 140))
        dots = shown.crop(ink).resize((23, 7), Image.Resampling.NEAREST)
        values = dots.tobytes()
    rows = ["".join("#" if value == 0 else "." for value in values[23 * y : 23 * y + 23]) for y in range(7)]
    assert rows == [
        "#####.#####..####.#####",
        "..#...#.....#.......#..",
        "..#...#.....#.......#..",
        "..#...####...###....#..",
        "..#...#.........#...#..",
        "..#...#.........#...#..",
        "..#...#####.####....#..",
    ]


@pytest.mark.parametrize(("value", "key"), [("", ""), ("sk-1", "sk-1"), (" sk-1\r\n", "sk-1")])
def test_a_key_is_taken_without_the_space_around_it(value: str, key: str) -> None:
    assert api_key({KEY_VARIABLE: value}) == key
    assert bearer(key) == ({"Authorization": f"Bearer {key}"} if key else {})


@pytest.mark.parametrize("value", ["two words", "two\nlines", "schlüssel", "a\x00b"])
def test_a_key_that_no_header_can_carry_is_refused_without_its_words(value: str) -> None:
    with pytest.raises(UsageError) as caught:
        api_key({KEY_VARIABLE: value})
    assert str(caught.value).startswith(KEY_VARIABLE)
    assert value not in str(caught.value)


@pytest.mark.parametrize(
    ("env", "exempt"),
    [
        ({}, "localhost,127.0.0.1,::1"),
        ({"NO_PROXY": ".corp"}, ".corp,localhost,127.0.0.1,::1"),
        ({"no_proxy": ".corp"}, ".corp,localhost,127.0.0.1,::1"),
    ],
)
def test_loopback_is_added_to_what_no_proxy_is_asked_for(env: dict[str, str], exempt: str) -> None:
    assert loopback_exemptions(env) == {"NO_PROXY": exempt, "no_proxy": exempt}
