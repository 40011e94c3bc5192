"""Documents that hurt become pictures of their pages, or one sentence each."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pypdfium2
import pytest
from PIL import Image

import documents
from paddlevl_doctor.parsing.input import decode, page_source
from paddlevl_doctor.parsing.input.decode import UnreadableImageError, load
from paddlevl_doctor.parsing.input.page_source import (
    Count,
    DiskFullError,
    PageSource,
    PdfPage,
    PictureError,
    _failure_message,
    render_processes_for,
)
from paddlevl_doctor.system.machine import RealSystem
from paddlevl_doctor.values.errors import UsageError
from samples import png


@pytest.fixture
def source(tmp_path: Path) -> Iterator[PageSource]:
    folder = tmp_path / "scratch"
    folder.mkdir()
    made = PageSource(folder, os.environ)
    yield made
    made.close()


def ink(path: Path) -> float:
    """Return the share of a picture that is dark."""
    with Image.open(path) as image:
        histogram = image.convert("L").histogram()
    return sum(histogram[:128]) / sum(histogram)


def render_processes() -> list[psutil.Process]:
    """Return the processes that draw pages for this one."""
    children = psutil.Process().children(recursive=True)
    return [child for child in children if "page_worker" in " ".join(child.cmdline())]


def test_a_page_of_a_pdf_has_144_dots_an_inch(source: PageSource, tmp_path: Path) -> None:
    document = pypdfium2.PdfDocument.new()
    document.new_page(595, 842)
    document.save(tmp_path / "a4.pdf")
    drawn = source.render(tmp_path / "a4.pdf", 0)

    assert (drawn.width, drawn.height, drawn.share, drawn.blank) == (1190, 1684, 1.0, True)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (documents.encrypted, "{path} needs a password. Save a copy without one."),
        (lambda p, pdf: documents.without_pages(p), "{path} is a PDF without pages."),
        (documents.damaged, "{path} cannot be decoded: "),
    ],
    ids=["encrypted", "no pages", "damaged"],
)  # fmt: skip
def test_a_pdf_that_cannot_be_opened_is_one_sentence(source, make, sentence, tmp_path) -> None:  # type: ignore[no-untyped-def]
    path = make(tmp_path / "bad.pdf", documents.pdf(tmp_path / "good.pdf", [documents.page()]))

    with pytest.raises(UsageError) as caught:
        source.count(path)

    assert str(caught.value.message).startswith(sentence.format(path=path))
    assert "\n" not in str(caught.value.message)


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("cmyk.jpg", documents.cmyk),
        ("deep.png", documents.sixteen_bits),
        ("long.tif", documents.thirty_two_bits),
        ("share.tif", documents.shares),
        ("high.tif", documents.heights),
        ("alpha.png", documents.transparent),
        ("film.gif", documents.animated),
        ("exif.jpg", documents.turned_by_exif),
    ],
    ids=["CMYK", "16 bits", "32 bits", "0 to 1", "any number", "alpha", "animated", "EXIF"],
)
def test_an_unusual_picture_is_a_page_with_dark_words_on_white(source, name, make, tmp_path) -> None:  # type: ignore[no-untyped-def]
    path = make(tmp_path / name)
    drawn = source.render(path, 0)

    assert (drawn.width, drawn.height, drawn.blank) == (400, 300, False)
    assert 0.005 < ink(drawn.path) < 0.1


def test_only_the_first_frame_of_a_film_is_a_page_and_all_of_a_tiff_are(source, tmp_path) -> None:  # type: ignore[no-untyped-def]
    tiff = tmp_path / "pages.tif"
    documents.page("1").save(tiff, save_all=True, append_images=[documents.page("2")])

    assert source.count(documents.animated(tmp_path / "film.gif")) == Count(1, 3)
    assert source.count(tiff) == Count(2, 2)


@pytest.mark.parametrize("compression", [None, "tiff_lzw", "tiff_deflate"])
def test_the_pages_of_a_tiff_are_the_right_ones_in_any_order_whatever_lies_between(
    source: PageSource, compression: str | None, tmp_path: Path
) -> None:
    tiff, other = tmp_path / "pages.tif", tmp_path / "other.tif"
    mixed = [Image.new("L" if n % 2 else "RGB", (40 + n, 30), "white" if n % 3 else "gray") for n in range(9)]
    mixed[0].save(tiff, save_all=True, append_images=mixed[1:], compression=compression)
    documents.page("other").save(other)

    for page in (8, 0, 3, 3, 7, 1, 2, 6, 4, 5):
        drawn = source.render(tiff, page)
        with Image.open(drawn.path) as image:
            shade = image.getpixel((5, 5))
        value = 255 if page % 3 else 128
        assert (drawn.width, drawn.height, shade) == (40 + page, 30, (value, value, value))
        source.forget(tiff, page)
        if page == 3:
            assert source.render(other, 0).width == documents.page("other").width
            source.forget(other, 0)


def test_a_damaged_page_of_a_tiff_does_not_spoil_those_around_it(source: PageSource, tmp_path: Path) -> None:
    tiff = tmp_path / "pages.tif"
    pages = [Image.new("L", (64, 64), shade) for shade in (10, 20, 30)]
    pages[0].save(tiff, save_all=True, append_images=pages[1:], compression="tiff_deflate")
    with Image.open(tiff) as image:
        image.seek(1)
        (begin,) = image.tag_v2[273]  # StripOffsets
    data = bytearray(tiff.read_bytes())
    data[begin : begin + 8] = b"\xff" * 8
    tiff.write_bytes(data)

    found: list[object] = []
    for page in (0, 1, 2, 1, 0):
        try:
            with Image.open(source.render(tiff, page).path) as image:
                found.append(image.getpixel((0, 0)))
        except PictureError as error:
            found.append(str(error).split(":")[0])
        source.forget(tiff, page)

    broken = "Page 2 cannot be rendered"
    assert found == [(10, 10, 10), broken, (30, 30, 30), broken, (10, 10, 10)]


def test_a_scan_that_is_too_large_is_scaled_and_its_size_told(tmp_path: Path) -> None:
    folder = tmp_path / "scratch"
    folder.mkdir()
    source = PageSource(folder, os.environ, max_pixels=100_000)
    path = tmp_path / "scan.png"
    documents.page("LARGE", (4000, 3000)).save(path)
    drawn = source.render(path, 0)
    with Image.open(drawn.path) as image:
        assert image.width * image.height <= 100_000
    source.close()

    assert (drawn.width, drawn.height) == (4000, 3000)
    assert 0.05 < drawn.share < 0.1


@pytest.mark.parametrize(("mode", "white"), [("I;16", 65_535), ("I", 65_535), ("I", 255), ("F", 1.0)])
def test_a_large_scan_of_many_shades_keeps_its_words_when_it_is_scaled_in_bands(
    mode: str, white: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decode, "_BAND_PIXELS", 400 * 40)
    grey = documents.page("DEEP").convert("L").point(lambda value: 40 + value * 215 // 255)
    deep = grey.convert("F").point(lambda value: value * (white / 255) + 0)
    deep = deep if mode == "F" else deep.convert("I").convert(mode)
    deep.save(tmp_path / "deep.tif")
    image, width, height = load(tmp_path / "deep.tif", 30_000)
    image.save(tmp_path / "small.png")

    assert (image.size, width, height) == ((200, 150), 400, 300)
    assert 0.005 < ink(tmp_path / "small.png") < 0.1


@pytest.mark.parametrize(
    "name",
    [
        "第一页.png",
        "😀 smile.png",
        " spaces  around .png",
        "页" * 83 + ".png",
        "-dash.png",
        "a'b\"c$(d).png",
        "%20.png",
    ],
)
def test_any_name_that_a_file_can_have_is_read(source: PageSource, name: str, tmp_path: Path) -> None:
    documents.page().save(tmp_path / "page.png")
    (tmp_path / "page.png").rename(tmp_path / name)

    assert (source.render(tmp_path / name, 0).width, source.count(tmp_path / name)) == (400, Count(1, 1))


def test_a_picture_that_breaks_off_fails_its_page_and_the_next_document_is_drawn(source, tmp_path) -> None:  # type: ignore[no-untyped-def]
    good = tmp_path / "good.jpg"
    documents.page().save(good)
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(good.read_bytes()[:2000])

    with pytest.raises(PictureError, match=r"^Page 1 cannot be rendered: OSError: image file is truncated"):
        source.render(bad, 0)

    assert source.render(good, 0).width == 400


def test_a_decoder_that_dies_fails_one_page_and_is_started_again(source: PageSource, tmp_path: Path) -> None:
    documents.page().save(tmp_path / "page.png")
    source.render(tmp_path / "page.png", 0)
    for child in render_processes():
        child.kill()

    with pytest.raises(PictureError, match="the rendering process ended with -9"):
        source.render(tmp_path / "page.png", 1)

    documents.page().save(tmp_path / "other.png")
    assert source.render(tmp_path / "other.png", 0).width == 400


def test_several_processes_draw_side_by_side_what_one_would_have_drawn(
    source: PageSource, tmp_path: Path
) -> None:
    pages = [documents.page(str(number), (300, 100)) for number in range(24)]
    path = documents.pdf(tmp_path / "many.pdf", pages)
    folder = tmp_path / "several"
    folder.mkdir()
    several = PageSource(folder, os.environ, processes=3)
    drawn = [several.prepare(path, number) for number in range(24)]
    assert [several.render(path, n).path.read_bytes() for n in range(24)] == [
        source.render(path, n).path.read_bytes() for n in range(24)
    ]
    assert all(one.done() for one in drawn)
    assert len(render_processes()) == 4
    several.close()
    assert len(render_processes()) == 1


def test_no_more_is_drawn_ahead_than_there_is_room_for_and_what_is_asked_for_is_drawn(
    source: PageSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = documents.pdf(tmp_path / "many.pdf", [documents.page(str(number)) for number in range(4)])
    monkeypatch.setattr(page_source, "_MAX_BYTES_AHEAD", source.render(path, 0).path.stat().st_size - 1)
    ahead = [source.prepare(path, number) for number in (1, 2, 3)]

    assert [type(future.exception()) for future in ahead] == [DiskFullError] * 3
    assert sorted(os.listdir(source.folder / "..")) == ["many.pdf", "scratch"]
    assert source.render(path, 1).width == source.render(path, 0).width
    for number in (0, 1):
        source.forget(path, number)
    assert source.prepare(path, 2).result().width == source.render(path, 1).width


SMALL_DISK = """
import os, subprocess, sys
from pathlib import Path
from paddlevl_doctor.parsing.input.page_source import DiskFullError, PageSource
place, document = Path(sys.argv[1]), Path(sys.argv[2])
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", place], check=True)
source = PageSource(place, os.environ)
begun = [source.prepare(document, page) for page in range(4)]
ahead = [type(one.exception()).__name__ for one in begun]
said = []
for page in range(4):
    try:
        said.append(source.render(document, page).width)
    except DiskFullError as error:
        said.append(str(error))
    source.forget(document, page)
source.close()
print(said, ahead)
"""


def test_pages_that_do_not_fit_at_once_are_drawn_one_by_one_and_one_that_never_fits_is_one_sentence(
    tmp_path: Path,
) -> None:
    (tmp_path / "disk").mkdir()
    noise = [Image.effect_noise((side, side), 90) for side in (800, 800, 2000, 800)]
    path = tmp_path / "noise.tif"
    noise[0].save(path, save_all=True, append_images=noise[1:])
    argv = ["unshare", "--mount", "--map-root-user", sys.executable, "-c", SMALL_DISK]
    done = subprocess.run([*argv, tmp_path / "disk", path], capture_output=True, text=True, check=True)

    full = "Page 3 cannot be rendered: OSError: [Errno 28] No space left on device"
    assert (
        done.stdout
        == f"{[800, 800, full, 800]} ['NoneType', 'DiskFullError', 'DiskFullError', 'DiskFullError']\n"
    )


@pytest.mark.parametrize(
    ("cores", "free_mb", "expected"),
    [
        (1, 8_000, 1),
        (2, 8_000, 1),
        (4, 8_000, 2),
        (16, 90_000, 8),
        (128, 900_000, 8),
        (16, 6_000, 2),
        (16, 900, 1),
    ],
)
def test_half_of_the_cores_draw_no_more_than_eight_and_than_have_room_for_the_largest_scan(
    cores: int, free_mb: int, expected: int
) -> None:
    assert render_processes_for(cores, free_mb) == expected


def test_a_scan_that_would_need_more_memory_than_is_free_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "scan.png"
    Image.new("RGBA", (3000, 1000)).save(path)
    monkeypatch.setattr(RealSystem, "memory_mb", lambda _: (8_000, 10))

    with pytest.raises(UnreadableImageError, match=r"^14 MiB > 10 MiB$") as caught:
        load(path, 1_000_000)

    answer = {"kind": caught.value.kind, "detail": str(caught.value)}
    assert str(_failure_message(answer, path, 0)) == (
        "Page 1 cannot be rendered: decoding it needs more memory than is free (14 MiB > 10 MiB). "
        "Scale it down, or close other programs."
    )


def test_a_decoder_that_takes_too_long_fails_one_page(tmp_path: Path) -> None:
    folder = tmp_path / "scratch"
    folder.mkdir()
    source = PageSource(folder, os.environ, seconds=0.001)
    (tmp_path / "page.png").write_bytes(png(64, 64))
    os.mkfifo(tmp_path / "pipe")  # whoever opens it waits for ever

    with pytest.raises(PictureError, match=r"^Page 1 cannot be rendered: rendering took more than 0\.001 s$"):
        source.render(tmp_path / "page.png", 0)

    with pytest.raises(PictureError, match=r"rendering took more than 1\.001 s"):
        source.write_pdf([PdfPage(tmp_path / "pipe")], tmp_path / "all.pdf")
    source.seconds = 60
    assert source.render(tmp_path / "page.png", 0, scale=0.5).width == 64
    source.close()


def test_a_preview_is_at_most_1600_pixels_wide(source: PageSource, tmp_path: Path) -> None:
    documents.page("WIDE", (5000, 1000)).save(tmp_path / "page.png")
    source.render(tmp_path / "page.png", 0, preview=tmp_path / "page.jpg")

    with Image.open(tmp_path / "page.jpg") as preview:
        assert (preview.size, preview.format) == ((1250, 250), "JPEG")


@pytest.mark.parametrize(("name", "size"), [("page.png", (40, 70_000)), ("page.tif", (70_000, 400))])
def test_a_strip_that_no_jpeg_can_hold_has_a_smaller_preview(
    source: PageSource, name: str, size: tuple[int, int], tmp_path: Path
) -> None:
    documents.page("STRIP", size).save(tmp_path / name)
    drawn = source.render(tmp_path / name, 0, preview=tmp_path / "page.jpg")

    with Image.open(tmp_path / "page.jpg") as preview:
        assert max(preview.size) <= 16_000
    source.write_pdf([PdfPage(drawn.path)], tmp_path / "all.pdf")
    assert (drawn.width, drawn.height, len(pypdfium2.PdfDocument(tmp_path / "all.pdf"))) == (*size, 1)


def test_pictures_are_bound_to_one_pdf_with_a_page_each(source: PageSource, tmp_path: Path) -> None:
    for name in ("1.png", "2.png"):
        documents.page(name).save(tmp_path / name)
    source.write_pdf([PdfPage(tmp_path / "1.png"), PdfPage(tmp_path / "2.png")], tmp_path / "all.pdf")

    assert len(pypdfium2.PdfDocument(tmp_path / "all.pdf")) == 2
