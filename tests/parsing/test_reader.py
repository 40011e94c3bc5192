"""The embedded reader on real pages, in its own process and without any network."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from paddlevl_doctor.commands.parse import ASSETS
from paddlevl_doctor.errors import DoctorError, UsageError
from paddlevl_doctor.parsing import reader
from paddlevl_doctor.parsing.model import Block, Page, Reading
from paddlevl_doctor.parsing.reader_worker import UnreadableImageError, engine_options, load
from paddlevl_doctor.parsing.truth import load_truth
from paddlevl_doctor.parsing.verdict import READER_CLAIMS, THRESHOLDS, judge
from paddlevl_doctor.system import Completed, RealSystem
from paddlevl_doctor.system_fake import FakeSystem
from parsing.samples import png

DEMO = ASSETS / "demo.png"
TRUTH = load_truth(ASSETS / "demo.json")
real_pages = pytest.mark.xdist_group("reader")


class OfflineSystem(RealSystem):
    """This machine without its network, where the kernel lets us take it away."""

    def run(self, argv, **options):
        return super().run((*without_network(), *argv), **options)


def without_network():
    command = ("unshare", "--net", "--map-root-user") if os.geteuid() else ("unshare", "--net")
    try:
        allowed = subprocess.run((*command, "true"), capture_output=True, check=False).returncode == 0
    except OSError:
        allowed = False
    return command if allowed else ()


def judged(image):
    return judge(
        reader.read(OfflineSystem(), image, timeout=120),
        TRUTH,
        claims=READER_CLAIMS,
        threshold=THRESHOLDS["reader"],
    )


def box_of(name):
    blocks = json.loads((ASSETS / "demo.json").read_text(encoding="utf-8"))["pages"][0]["blocks"]
    return next(block["box"] for block in blocks if block["id"] == name)


# --- real pages -----------------------------------------------------------------------------------------------


@real_pages
def test_the_demo_page_is_read_without_a_network_and_passes():
    reading = reader.read(OfflineSystem(), DEMO, timeout=120)
    verdict = judge(reading, TRUTH, claims=READER_CLAIMS, threshold=THRESHOLDS["reader"])

    assert (verdict.passed, verdict.reference) == (True, "demo.json")
    assert verdict.similarity >= 0.99
    assert verdict.reasons == (
        "Not judged, because this engine does not claim to read it: formula, figure, table structure.",
    )
    assert (reading.engine, reading.device, reading.notes) == ("reader", "cpu", ())
    assert (reading.pages[0].width, reading.pages[0].height) == (1240, 1754)
    assert set(reading.stages) == {"import", "decode", "read"}
    assert 100 < reading.rss_mb < 2000


@real_pages
def test_a_page_with_exchanged_columns_and_a_lost_paragraph_fails(tmp_path):
    with Image.open(DEMO) as shipped:
        page = shipped.convert("RGB")
    left, right = ((left, 530, left + 500, 1000) for left in (100, 640))
    columns = page.crop(left), page.crop(right)
    page.paste(columns[1], left)
    page.paste(columns[0], right)
    page.paste("white", tuple(box_of("end")))
    page.save(tmp_path / "page.png")

    verdict = judged(tmp_path / "page.png")

    assert not verdict.passed
    assert verdict.similarity < 0.75
    assert verdict.reasons[0].startswith("text '如果程序读出的文字")


@real_pages
def test_a_blank_page_is_read_as_nothing_and_fails(tmp_path):
    (tmp_path / "page.png").write_bytes(png(620, 877))

    verdict = judged(tmp_path / "page.png")

    assert (verdict.passed, verdict.similarity, verdict.reasons[0]) == (False, 0.0, "Nothing was read.")


@real_pages
def test_the_worker_prints_one_json_document_whatever_lies_in_the_working_folder(tmp_path):
    (tmp_path / "page.png").write_bytes(png(64, 64))
    (tmp_path / "numpy.py").write_text(
        "raise SystemExit('a file of the user was imported')", encoding="utf-8"
    )
    command = reader.worker_command(Path("page.png"), 1)
    done = subprocess.run(
        [part if part != str(Path("page.png").absolute()) else str(tmp_path / "page.png") for part in command],
        capture_output=True, cwd=tmp_path, env={**os.environ, "PYTHONSAFEPATH": "1"}, text=True, check=True,
    )  # fmt: skip

    answer = json.loads(done.stdout)
    assert (answer["lines"], answer["width"], answer["height"], answer["scale"]) == ([], 64, 64, 1.0)
    assert set(answer["versions"]) == {"rapidocr", "onnxruntime"}


def test_an_image_that_breaks_off_is_unusable_input(tmp_path):
    file = tmp_path / "page.jpg"
    Image.effect_noise((200, 200), 90).save(file)
    file.write_bytes(file.read_bytes()[:3000])

    with pytest.raises(UsageError) as caught:
        reader.read(RealSystem(), file, timeout=60)

    assert caught.value.message.startswith(f"{file} cannot be decoded: OSError: image file is truncated")


# --- what becomes of the worker -------------------------------------------------------------------------------

ANSWER = {
    "lines": [{"text": "Hello", "box": [10, 20, 90, 50], "score": 0.9}],
    "width": 100,
    "height": 200,
    "scale": 0.5,
    "frames": 3,
    "seconds": {"import": 0.5, "decode": 0.123, "read": 1.2345},
    "rss_mb": 321,
    "versions": {},
}


@pytest.fixture
def page(tmp_path):
    file = tmp_path / "page.png"
    file.write_bytes(png(100, 200))
    return file


def with_worker(page, **outcome):
    command = reader.worker_command(page, 8)
    return FakeSystem(commands={command: Completed(command, **outcome)})


def test_the_answer_of_the_worker_becomes_a_reading_with_notes(page):
    system = with_worker(page, returncode=0, stdout=json.dumps(ANSWER))

    assert reader.read(system, page, timeout=9) == Reading(
        engine="reader",
        device="cpu",
        pages=(Page(0, 100, 200, (Block("text", "Hello", (10, 20, 90, 50)),), 1.23),),
        stages={"import": 0.5, "decode": 0.12, "read": 1.23},
        rss_mb=321,
        vram_mb=None,
        notes=(
            "The page was scaled to 50 % before it was read.",
            "Only the first of 3 pages was read; the embedded reader reads one.",
        ),
    )


@pytest.mark.parametrize(
    ("outcome", "kind", "message"),
    [
        ({"returncode": 2, "stderr": "x\nOSError: bad\n"}, UsageError, "{page} cannot be decoded: OSError: bad"),
        ({"returncode": 1, "stderr": "Traceback\nValueError: no\n"}, DoctorError,
         "The embedded reader failed on {page}: ValueError: no"),
        ({"returncode": -9}, DoctorError, "The embedded reader failed on {page}: exit status -9"),
        ({"returncode": 0, "stdout": "garbage", "stderr": "hm"}, DoctorError,
         "The embedded reader failed on {page}: hm"),
        ({"returncode": None, "stderr": "no such program"}, DoctorError,
         "The embedded reader failed on {page}: no such program"),
        ({"returncode": -15, "timed_out": True}, DoctorError,
         "The embedded reader did not finish {page} within 9 s and was ended."),
    ],
)  # fmt: skip
def test_every_end_of_the_worker_has_its_sentence(page, outcome, kind, message):
    with pytest.raises(DoctorError) as caught:
        reader.read(with_worker(page, **outcome), page, timeout=9)

    assert (type(caught.value), caught.value.message) == (kind, message.format(page=page))


def test_a_pdf_is_left_to_the_native_engine(tmp_path):
    file = tmp_path / "page.pdf"
    file.write_bytes(b"%PDF-1.4")

    with pytest.raises(UsageError) as caught:
        reader.read(FakeSystem(), file, timeout=9, lang="zh")

    assert "--engine native" in caught.value.message


def test_the_reader_is_available_here_and_asking_imports_nothing():
    code = (
        "import sys; from paddlevl_doctor.parsing import reader; found = reader.available();"
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

    page, width, height, frames = load(file, 100_000)

    assert (page.size, page.mode, page.getpixel((5, 5))) == ((300, 234), "RGB", (200, 200, 200))
    assert (width, height, frames) == (900, 700, 1)


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

    page, width, height, _ = load(saved(tmp_path, image, name, **options), max_pixels)

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
