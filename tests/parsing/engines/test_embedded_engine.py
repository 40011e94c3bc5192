"""The embedded reader on real pages, in its own process and without any network."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFont

import documents
from paddlevl_doctor.commands.parse import ASSETS
from paddlevl_doctor.parsing.engines.base import PageFailedError, Task
from paddlevl_doctor.parsing.engines.embedded import ReaderEngine, threads_for
from paddlevl_doctor.parsing.engines.embedded_worker import engine_options, split_into_bands
from paddlevl_doctor.parsing.evaluate.ground_truth import load_truth
from paddlevl_doctor.parsing.evaluate.verdict import READER_CLAIMS, THRESHOLDS, compare_with_truth
from paddlevl_doctor.parsing.input.decode import UnreadableImageError, load
from paddlevl_doctor.parsing.input.page_source import Picture
from paddlevl_doctor.values.errors import DoctorError
from paddlevl_doctor.values.pages import Page, Reading
from samples import png
from wording import worded

DEMO = ASSETS / "demo.png"
TRUTH = load_truth(ASSETS / "demo.json")
real_pages = pytest.mark.xdist_group("reader")


def without_network():
    command = ("unshare", "--net", "--map-root-user") if os.geteuid() else ("unshare", "--net")
    try:
        allowed = subprocess.run((*command, "true"), capture_output=True, check=False).returncode == 0
    except OSError:
        allowed = False
    return command if allowed else ()


def task_of(image):
    with Image.open(image) as page:
        picture = Picture(image, *page.size)
    return Task(0, image.parent, lambda _scale: picture)


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    """The reader in a process without any network, where the kernel lets us take it away."""
    engine = ReaderEngine(os.environ, tmp_path_factory.mktemp("reader"), 2, before=without_network())
    yield engine
    engine.close()


def judged(page):
    reading = Reading("reader", "cpu", (page,), {}, 0)
    return worded(compare_with_truth(reading, TRUTH, claims=READER_CLAIMS, threshold=THRESHOLDS["reader"]))


def box_of(name):
    blocks = json.loads((ASSETS / "demo.json").read_text(encoding="utf-8"))["pages"][0]["blocks"]
    return next(block["box"] for block in blocks if block["id"] == name)


# --- real pages -----------------------------------------------------------------------------------------------


@real_pages
def test_the_demo_page_is_read_without_a_network_and_passes(reader):
    found = reader.read(task_of(DEMO))
    verdict = judged(found.page)

    assert (verdict.passed, verdict.reference) == (True, "demo.json")
    assert verdict.similarity >= 0.99
    assert worded(verdict.reasons) == (
        "Not evaluated, because this engine does not read it: formula, figure, table structure.",
    )
    assert (found.device, found.notes, found.page.width, found.page.height) == ("cpu", (), 1240, 1754)
    assert set(reader.seconds) == {"load"}


@real_pages
def test_a_page_with_exchanged_columns_and_a_lost_paragraph_fails(reader, tmp_path):
    with Image.open(DEMO) as shipped:
        page = shipped.convert("RGB")
    left, right = ((left, 530, left + 500, 1000) for left in (100, 640))
    columns = page.crop(left), page.crop(right)
    page.paste(columns[1], left)
    page.paste(columns[0], right)
    page.paste("white", tuple(box_of("end")))
    page.save(tmp_path / "page.png")

    verdict = judged(reader.read(task_of(tmp_path / "page.png")).page)

    assert not verdict.passed
    assert verdict.similarity < 0.75
    assert str(verdict.reasons[0]).startswith("text '如果程序读出的文字")


@real_pages
def test_a_blank_page_is_read_as_nothing_and_fails(reader, tmp_path):
    (tmp_path / "page.png").write_bytes(png(620, 877))

    verdict = judged(reader.read(task_of(tmp_path / "page.png")).page)

    assert (verdict.passed, verdict.similarity, str(verdict.reasons[0])) == (False, 0.0, "Nothing was read.")


@real_pages
def test_a_file_called_numpy_beside_the_document_is_not_imported(tmp_path, monkeypatch):
    (tmp_path / "page.png").write_bytes(png(64, 64))
    (tmp_path / "numpy.py").write_text("raise SystemExit('a file of the user was imported')")
    monkeypatch.chdir(tmp_path)
    engine = ReaderEngine(os.environ, tmp_path, 1)
    try:
        found = engine.read(task_of(tmp_path / "page.png"))
    finally:
        engine.close()

    assert found.page == Page(0, 64, 64, (), found.page.seconds)


@real_pages
def test_a_picture_that_breaks_off_fails_this_page_and_the_next_is_read(reader, tmp_path):
    file = tmp_path / "page.jpg"
    Image.effect_noise((200, 200), 90).save(file)
    whole = task_of(file)
    file.write_bytes(file.read_bytes()[:3000])

    with pytest.raises(PageFailedError) as caught:
        reader.read(whole)

    assert str(caught.value).startswith("Page 1 could not be read: OSError: image file is truncated")
    documents.page("NEXT").save(tmp_path / "next.png")
    assert [block.text for block in reader.read(task_of(tmp_path / "next.png")).page.blocks] == ["NEXT"]


@real_pages
def test_a_screenshot_of_many_screens_is_read_line_by_line_wherever_it_is_cut(reader, tmp_path):
    font = ImageFont.load_default(20)
    image = Image.new("RGB", (600, 7000), "white")
    tops = range(30, 6950, 173)
    for number, top in enumerate(tops):
        ImageDraw.Draw(image).text((40, top), f"Message {100 + number} of this chat", "black", font)
    image.save(tmp_path / "page.png")

    lines, turn = reader.lines(Picture(tmp_path / "page.png", *image.size), 0)

    assert [line.text for line in lines] == [f"Message {100 + n} of this chat" for n in range(len(tops))]
    assert all(abs(line.box[1] - top) < 12 for line, top in zip(lines, tops, strict=True))
    assert turn == 0


@given(data=st.data(), width=st.integers(3, 40), height=st.integers(1, 9000))
def test_a_long_page_is_cut_into_parts_that_follow_each_other_and_only_through_blank_rows(
    data, width, height
):
    pixels = np.full((height, width, 3), 255, np.uint8)
    for top in data.draw(st.lists(st.integers(0, height), max_size=40)):
        pixels[top : top + 60, : width // 2 + 1] = 0  # part of a row: a whole one is as empty as white
    found = split_into_bands(pixels)

    assert [found[0][0], *(bottom for _, bottom in found)] == [0, *(top for top, _ in found[1:]), height]
    assert all(0 < bottom - top <= 2100 for top, bottom in found)
    window = 1400 // 4
    for _, cut in found[:-1]:
        near = pixels[max(0, cut - window) : cut + window, 0, 0]
        assert pixels[cut, 0, 0] == 255 or not near.any()


def test_a_reader_whose_models_are_missing_says_so(tmp_path):
    engine = ReaderEngine(os.environ, tmp_path, 1, before=("/bin/sh", "-c", "exit 3"))

    with pytest.raises(DoctorError) as caught:
        engine.read(Task(0, tmp_path, lambda _scale: Picture(DEMO, 1, 1)))

    assert str(caught.value) == "The embedded OCR engine cannot run: the process ended (exit status 3): "


def test_the_reader_is_available_here_and_asking_imports_nothing():
    code = (
        "import sys; from paddlevl_doctor.parsing.engines import embedded; found = embedded.is_reader_installed();"
        "print(found, sorted({'rapidocr', 'onnxruntime', 'numpy', 'PIL'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == "True []\n"


# --- decoding -------------------------------------------------------------------------------------------------


def saved(tmp_path, image, name="page.png", **options):
    image.save(tmp_path / name, **options)
    return tmp_path / name


def test_a_huge_image_is_scaled_down_and_keeps_its_size_in_the_answer(tmp_path):
    file = saved(tmp_path, Image.new("L", (900, 700), 200))

    page, width, height = load(file, 100_000)

    assert (page.size, page.mode, page.getpixel((5, 5))) == ((300, 234), "RGB", (200, 200, 200))
    assert (width, height) == (900, 700)


def test_transparent_parts_are_white_paper(tmp_path):
    page, *_ = load(saved(tmp_path, Image.new("RGBA", (4, 4), (0, 0, 0, 0))), 1000)

    assert page.getpixel((0, 0)) == (255, 255, 255)


def test_sixteen_bits_a_pixel_are_not_clipped_to_white(tmp_path):
    file = saved(tmp_path, Image.new("I;16", (4, 4), 32_768))

    assert load(file, 1000)[0].getpixel((0, 0)) == (128, 128, 128)


@pytest.mark.parametrize("name", ["page.jpg", "page.png", "page.tif"])
@pytest.mark.parametrize("max_pixels", [10_000, 100])
def test_a_photograph_held_sideways_is_turned_upright(tmp_path, name, max_pixels):
    image = Image.new("RGB", (20, 40), "blue")
    image.paste("red", (0, 0, 20, 20))  # red on top; a quarter turn clockwise brings red to the right
    exif = Image.Exif()
    exif[0x0112] = 6
    options = {"tiffinfo": {0x0112: 6}} if name.endswith("tif") else {"exif": exif}

    page, width, height = load(saved(tmp_path, image, name, **options), max_pixels)

    red, _, blue = page.getpixel((page.width - 2, page.height // 2))
    assert (width, height, red > blue) == (40, 20, True)


def test_an_image_beyond_the_limit_is_refused_before_it_is_decoded(tmp_path):
    (tmp_path / "page.png").write_bytes(png(30_000, 20_000, data=b""))

    with pytest.raises(UnreadableImageError, match="30000 x 20000 pixels are more than 500000000"):
        load(tmp_path / "page.png", 1000)


def test_missing_weights_are_named_instead_of_downloaded(tmp_path):
    for task in ("det", "cls"):
        (tmp_path / f"model_{task}_small.onnx").touch()

    with pytest.raises(FileNotFoundError, match="rapidocr came without weights for Rec"):
        engine_options(tmp_path, 1)


@pytest.mark.parametrize(
    ("cores", "limit", "threads"),
    [(2, None, 2), (64, None, 8), (64, "4", 4), (2, "4", 2), (2, "0", 1), (2, "4,2", 2), (1, "", 1)],
)
def test_the_reader_has_a_thread_per_core_within_the_limit_of_the_user(
    cores: int, limit: str | None, threads: int
) -> None:
    assert threads_for(cores, {} if limit is None else {"OMP_NUM_THREADS": limit}) == threads
