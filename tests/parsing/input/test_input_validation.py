"""What is wrong with an input is said in one sentence, before anything heavy starts."""

import os
import tempfile
from pathlib import Path

import pytest

from paddlevl_doctor.messages import render
from paddlevl_doctor.parsing.input.documents import InputKind, check_input, check_output_folder
from paddlevl_doctor.values.errors import UsageError
from samples import ordinary_user, png
from wording import worded


def complaint(check, *arguments, lang="en"):
    with pytest.raises(UsageError) as caught:
        check(*arguments)
    assert caught.value.exit_code == 2
    return render(caught.value.message, lang)


def test_a_whole_png_is_accepted_with_its_size(tmp_path):
    file = tmp_path / "page.png"
    file.write_bytes(png(40, 30))

    assert check_input(file) == InputKind("png", 40, 30)


def test_a_pdf_is_accepted_without_a_size(tmp_path):
    file = tmp_path / "page.pdf"
    file.write_bytes(b"%PDF-1.7\n...")

    assert check_input(file) == InputKind("pdf")


def test_a_missing_file_is_named(tmp_path):
    file = tmp_path / "no.png"

    assert complaint(check_input, file) == f"There is no file {file}."
    assert complaint(check_input, file / "below") == f"There is no file {file / 'below'}."


def test_an_empty_file_is_called_empty(tmp_path):
    file = tmp_path / "page.png"
    file.touch()

    assert (
        complaint(check_input, file)
        == f"{file} is empty (0 bytes). Check whether its download or copy was interrupted."
    )


def test_a_text_named_png_is_no_image(tmp_path):
    file = tmp_path / "page.png"
    file.write_text("Hello, I am a text.", encoding="utf-8")

    assert complaint(check_input, file) == (
        f"{file} is neither an image nor a PDF, regardless of its name (it begins with 'Hello, I am a "
        "te'). Supported formats: PNG, JPEG, BMP, TIFF, WebP, GIF and PDF."
    )


def test_a_wrong_suffix_is_mentioned_and_does_not_matter(tmp_path):
    file = tmp_path / "page.jpg"
    file.write_bytes(png(40, 30))

    assert worded(check_input(file)) == InputKind(
        "png", 40, 30, ("page.jpg is actually a PNG file and is read as such.",)
    )


@pytest.mark.parametrize(
    ("cut", "chunk", "missing"),
    [(-12, "IEND", 12), (-1, "IEND", 1), (-14, "IDAT", 2), (20, "IHDR", 13), (8, "IEND", 12)],
)
def test_a_truncated_png_says_which_part_is_missing(tmp_path, cut, chunk, missing):
    file = tmp_path / "page.png"
    file.write_bytes(png(40, 30)[:cut])

    assert complaint(check_input, file) == (
        f"{file} is an incomplete PNG: its chunk {chunk} lacks at least {missing} bytes at the end of "
        "the file. Copy or download it again."
    )


def test_a_huge_image_is_accepted(tmp_path):
    file = tmp_path / "page.png"
    file.write_bytes(png(20_000, 20_000, data=b""))

    assert check_input(file) == InputKind("png", 20_000, 20_000)


def test_an_image_beyond_the_limit_is_refused(tmp_path):
    file = tmp_path / "page.png"
    file.write_bytes(png(30_000, 20_000, data=b""))

    expected = f"{file} has 30000 x 20000 pixels; the limit is 500 million. Scale it down or split it."
    assert complaint(check_input, file) == expected


def test_an_image_without_a_size_is_damaged(tmp_path):
    file = tmp_path / "page.jpg"
    file.write_bytes(b"\xff\xd8\xff\xe0\0\x10JFIF\0" + bytes(40))

    expected = f"{file} is a damaged JPEG: its header gives no size. Copy or download it again."
    assert complaint(check_input, file) == expected


def test_a_pipe_is_refused_without_waiting_for_its_writer(tmp_path):
    file = tmp_path / "page.png"
    os.mkfifo(file)

    assert complaint(check_input, file).startswith(f"{file} is not a regular file")


def test_a_file_that_may_not_be_opened_says_so():
    with tempfile.TemporaryDirectory() as name:
        file = Path(name) / "page.png"
        file.write_bytes(png(4, 4))
        file.parent.chmod(0o755)
        file.chmod(0)
        with ordinary_user():
            message = complaint(check_input, file)

    assert message == f"{file} cannot be opened: Permission denied. Check its permissions."


def test_a_complaint_is_worded_in_chinese(tmp_path):
    assert complaint(check_input, tmp_path / "no.png", lang="zh") == f"文件 {tmp_path / 'no.png'} 不存在。"


def test_an_output_folder_is_created_and_left_empty(tmp_path):
    check_output_folder(tmp_path / "new" / "folder")

    assert list((tmp_path / "new" / "folder").iterdir()) == []


def test_a_file_where_the_output_folder_should_be_is_named(tmp_path):
    file = tmp_path / "out"
    file.touch()

    for folder in (file, file / "below"):
        expected = f"The results cannot be written to {folder}: {file} is a file, not a folder."
        assert complaint(check_output_folder, folder) == expected


def test_an_output_folder_that_cannot_be_created_is_refused():
    expected = "The results cannot be written to /proc/no-such-folder: No such file or directory. "

    message = complaint(check_output_folder, Path("/proc/no-such-folder"))

    assert message == expected + "Choose another folder with --output."


def test_an_output_folder_that_may_not_be_written_is_refused():
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "out"
        folder.mkdir()
        folder.chmod(0o555)
        folder.parent.chmod(0o755)
        with ordinary_user():
            message = complaint(check_output_folder, folder)

    assert message.startswith(f"The results cannot be written to {folder}: Permission denied.")
