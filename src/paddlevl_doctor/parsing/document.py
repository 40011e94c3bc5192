"""A look at what the user gave, before anything heavy starts: can it be read, and can the answer be written?

Everything here runs in the doctor's own process, with the standard library alone.
"""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path

from paddlevl_doctor.errors import UsageError
from paddlevl_doctor.parsing.image_headers import HEAD_BYTES, Size, format_of, png_damage, size_of

MAX_PIXELS = 500_000_000
"""Above this an image is refused: 500 million pixels are 1.5 GB once decoded in colour."""
SCALED_ABOVE = 64_000_000
"""Above this a page is scaled down before it is read, and the answer says so."""

_NO_FILE = (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP)
"""There is no such file, or can be none."""

SUFFIXES = {
    "png": (".png", ".apng"),
    "jpeg": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "gif": (".gif",),
    "bmp": (".bmp", ".dib"),
    "tiff": (".tif", ".tiff"),
    "webp": (".webp",),
    "pdf": (".pdf",),
}
"""By format, the suffixes that its files have."""

_SENTENCES = {
    "missing": {
        "en": "There is no file {path}.",
        "zh": "文件 {path} 不存在。",
    },
    "not-a-file": {
        "en": "{path} is no regular file (a pipe, device or socket). Save the document to a file first.",
        "zh": "{path} 不是普通文件（而是管道、设备或套接字）。请先把文档保存为文件。",
    },
    "forbidden": {
        "en": "{path} cannot be opened: {detail}. Check its permissions.",
        "zh": "无法打开 {path}：{detail}。请检查文件权限。",
    },
    "empty": {
        "en": "{path} is empty (0 bytes). Was its download or copy interrupted?",
        "zh": "{path} 是空文件（0 字节）。是不是下载或复制被中断了？",
    },
    "not-an-image": {
        "en": "{path} is neither an image nor a PDF, whatever its name says (it begins with {head}). "
        "PNG, JPEG, BMP, TIFF, WebP, GIF and PDF can be read.",
        "zh": "无论文件名如何，{path} 的内容既不是图片也不是 PDF（开头是 {head}）。"
        "可以读取 PNG、JPEG、BMP、TIFF、WebP、GIF 和 PDF。",
    },
    "truncated": {
        "en": "{path} is an incomplete PNG: its part {chunk} lacks at least {bytes} bytes at the end of the file. "
        "Copy or download it again.",
        "zh": "{path} 是不完整的 PNG：文件末尾的 {chunk} 数据块至少缺少 {bytes} 字节。请重新复制或下载。",
    },
    "no-size": {
        "en": "{path} is a damaged {format}: its header gives no size. Copy or download it again.",
        "zh": "{path} 是已损坏的 {format} 文件：文件头中没有尺寸信息。请重新复制或下载。",
    },
    "too-large": {
        "en": "{path} has {width} x {height} pixels; the limit is {limit} million. Scale it down or split it.",
        "zh": "{path} 有 {width} x {height} 像素，超过 {limit} 百万像素的上限。请缩小或拆分图像。",
    },
    "suffix": {
        "en": "{name} is really a {format} file; it is read as such.",
        "zh": "{name} 实际上是 {format} 文件，将按此格式读取。",
    },
    "output-not-folder": {
        "en": "The results cannot be written to {path}: {culprit} is a file, not a folder.",
        "zh": "无法把结果写入 {path}：{culprit} 是文件而不是目录。",
    },
    "output-forbidden": {
        "en": "The results cannot be written to {path}: {detail}. Choose another folder with --output.",
        "zh": "无法把结果写入 {path}：{detail}。请用 --output 指定其他目录。",
    },
}


@dataclass(frozen=True)
class InputKind:
    """What a document is by its content; the size in pixels is None for a PDF and where only decoding would tell."""

    format: str
    """png, jpeg, gif, bmp, tiff, webp or pdf."""
    width: int | None = None
    height: int | None = None
    notes: tuple[str, ...] = ()
    """Sentences for the user that do not stop anything."""


def sentence(key: str, lang: str, **values: object) -> str:
    """Return a sentence of this module in `lang`, en or zh."""
    return _SENTENCES[key][lang].format(**values)


def check_input(path: Path, lang: str = "en") -> InputKind:
    """Return what the document at `path` is; raises UsageError with one sentence for what cannot be read."""
    try:
        _check_is_file(path, lang)
        with path.open("rb") as file:
            length = os.fstat(file.fileno()).st_size
            head = file.read(HEAD_BYTES * 16)
            image_format = format_of(head)
            if image_format is None:
                raise UsageError(_no_document(path, head, lang))
            damage = png_damage(file, length) if image_format == "png" else None
            size = size_of(file, image_format)
    except OSError as error:
        raise refusal(path, error, lang) from error
    if damage is not None:
        raise UsageError(sentence("truncated", lang, path=path, chunk=damage[0], bytes=damage[1]))
    return _accept(path, image_format, size, lang)


def refusal(path: Path, error: OSError, lang: str = "en") -> UsageError:
    """Return what to say of a document that the system does not open."""
    key = "missing" if error.errno in _NO_FILE else "forbidden"
    return UsageError(sentence(key, lang, path=path, detail=error.strerror or error))


def _check_is_file(path: Path, lang: str) -> None:
    mode = path.stat().st_mode
    if stat.S_ISDIR(mode):
        os.scandir(path).close()  # a folder comes here only where this is forbidden
    if not stat.S_ISREG(mode):
        raise UsageError(sentence("not-a-file", lang, path=path))


def _no_document(path: Path, head: bytes, lang: str) -> str:
    if not head:
        return sentence("empty", lang, path=path)
    return sentence("not-an-image", lang, path=path, head=repr(head[:16])[1:])


def _accept(path: Path, image_format: str, size: Size | None, lang: str) -> InputKind:
    """Return the kind of a document whose content is fine, unless its size forbids to read it."""
    notes = []
    if path.suffix.lower() not in SUFFIXES[image_format]:
        notes.append(sentence("suffix", lang, name=path.name, format=image_format.upper()))
    if size is None and image_format in ("pdf", "tiff"):
        return InputKind(image_format, notes=tuple(notes))
    if size is None or min(size) < 1:
        raise UsageError(sentence("no-size", lang, path=path, format=image_format.upper()))
    values = {"width": size[0], "height": size[1], "limit": MAX_PIXELS // 1_000_000}
    if size[0] * size[1] > MAX_PIXELS:
        raise UsageError(sentence("too-large", lang, path=path, **values))
    return InputKind(image_format, *size, tuple(notes))


def check_output_folder(path: Path, lang: str = "en") -> None:
    """Create the folder for the results and try it; raises UsageError where nothing can be written there."""
    try:
        culprit = next((p for p in (path, *path.parents) if p.exists() and not p.is_dir()), None)
        if culprit is not None:
            raise UsageError(sentence("output-not-folder", lang, path=path, culprit=culprit))
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(
            dir=path
        ):  # a real file: permission bits say too little about network drives
            pass
    except OSError as error:
        raise UsageError(
            sentence("output-forbidden", lang, path=path, detail=error.strerror or error)
        ) from error
