"""Format and size are read from the first bytes, the same as Pillow finds by decoding."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from paddlevl_doctor.parsing.input.image_headers import format_of, png_damage, size_of

FORMATS = ("png", "jpeg", "gif", "bmp", "tiff", "webp")


def encoded(image_format, size, mode="RGB", **options):
    out = io.BytesIO()
    Image.new(mode, size, 1).save(out, image_format.upper(), **options)
    return out.getvalue()


VARIANTS = [
    *((name, "RGB", {}) for name in FORMATS),
    ("jpeg", "L", {"progressive": True}),
    ("webp", "RGB", {"lossless": True}),
    ("webp", "RGBA", {"exif": b"Exif\0\0MM\0*\0\0\0\x08\0\0"}),
    ("tiff", "1", {"compression": "group4"}),
]


@pytest.mark.parametrize(("name", "mode", "options"), VARIANTS)
def test_format_and_size_are_what_was_encoded(name, mode, options):
    data = encoded(name, (321, 123), mode, **options)

    assert (format_of(data[:64]), size_of(io.BytesIO(data), name)) == (name, (321, 123))


def test_a_big_tiff_is_known_but_its_size_is_left_to_the_decoder():
    data = encoded("tiff", (8, 8), big_tiff=True)

    assert (format_of(data), size_of(io.BytesIO(data), "tiff")) == ("tiff", None)


@pytest.mark.parametrize("head", [b"", b"PK\3\4", b"BM is a word", b"<html>", b"RIFF....WAVE", b"GIF90a"])
def test_anything_else_has_no_format(head):
    assert format_of(head) is None


@given(st.sampled_from(FORMATS), st.integers(0, 400), st.binary(max_size=8))
def test_damaged_headers_never_raise(name, keep, noise):
    data = encoded(name, (50, 40))[:keep] + noise

    size = size_of(io.BytesIO(data), name)

    assert size is None or len(size) == 2


@given(st.integers(8, 200))
def test_a_png_is_whole_only_up_to_its_last_byte(keep):
    data = encoded("png", (50, 40))

    damage = png_damage(io.BytesIO(data[:keep]), min(keep, len(data)))

    assert (damage is None) == (keep >= len(data))
