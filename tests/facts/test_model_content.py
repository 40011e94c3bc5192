"""Bytes of models against the hashes that the hub sent with them: what was never compared by anybody."""

from __future__ import annotations

import hashlib

from fake_system import FakeSystem
from paddlevl_doctor.facts.model_cache import altered_models
from paddlevl_doctor.values.facts import AlteredModel, CachedModel, ModelCache

MODEL = "/cache/official_models/PaddleOCR-VL"
NOTES = f"{MODEL}/.cache/huggingface/download"
CACHE = ModelCache(
    "/cache",
    (
        CachedModel("PaddleOCR-VL", MODEL, 1),
        CachedModel("PaddleOCR-VL/PP-DocLayoutV2", f"{MODEL}/PP-DocLayoutV2", 1),
    ),
)
LARGE, SMALL = b"weights" * 1000, b'{"a": 1}'
SHA256 = hashlib.sha256(LARGE).hexdigest()
BLOB = hashlib.sha1(b"blob 8\0" + SMALL, usedforsecurity=False).hexdigest()


def note(etag: str, noted: str = "5.0") -> bytes:
    return f"{'0' * 40}\n{etag}\n{noted}\n".encode()


def altered(files: dict[str, bytes]) -> tuple[AlteredModel, ...]:
    return altered_models(FakeSystem(files=files), CACHE)


HEALTHY = {
    f"{MODEL}/model.safetensors": LARGE,
    f"{NOTES}/model.safetensors.metadata": note(SHA256),
    f"{MODEL}/config.json": SMALL,
    f"{NOTES}/config.json.metadata": note(BLOB),
    f"{MODEL}/PP-DocLayoutV2/inference.pdiparams": LARGE,
    f"{NOTES}/PP-DocLayoutV2/inference.pdiparams.metadata": note(SHA256),
}


def test_files_that_are_what_was_promised_are_not_spoken_of() -> None:
    assert altered(HEALTHY) == ()
    assert altered_models(FakeSystem(), None) == ()


def test_one_wrong_bit_of_a_large_file_is_seen() -> None:
    wrong = LARGE[:-1] + bytes([LARGE[-1] ^ 1])
    files = {**HEALTHY, f"{MODEL}/model.safetensors": wrong}
    assert altered(files) == (AlteredModel("PaddleOCR-VL", MODEL, ("model.safetensors",)),)


def test_a_small_file_has_the_name_that_git_gives_it() -> None:
    files = {**HEALTHY, f"{MODEL}/config.json": b'{"a": 2}'}
    assert altered(files) == (AlteredModel("PaddleOCR-VL", MODEL, ("config.json",)),)


def test_a_model_inside_another_one_has_its_notes_there() -> None:
    files = {**HEALTHY, f"{MODEL}/PP-DocLayoutV2/inference.pdiparams": b"none"}
    expected = AlteredModel(
        "PaddleOCR-VL/PP-DocLayoutV2", f"{MODEL}/PP-DocLayoutV2", ("inference.pdiparams",)
    )
    assert altered(files) == (expected,)


def test_what_somebody_edited_after_the_download_is_their_affair() -> None:
    files = {
        **HEALTHY,
        f"{MODEL}/config.json": b"mine",
        f"{NOTES}/config.json.metadata": note(BLOB, "-60.0"),  # every file of this machine is from second 0
    }
    assert altered(files) == ()


def test_notes_that_promise_nothing_are_passed_over() -> None:
    for promise in (b"", b"half a line", note("W/other-hub"), note(BLOB, "yesterday"), b"\xff" * 80):
        files = {**HEALTHY, f"{MODEL}/config.json": b"x", f"{NOTES}/config.json.metadata": promise}
        assert altered(files) == ()


def test_a_note_about_a_file_that_is_gone_is_a_matter_of_the_quick_look() -> None:
    files = {name: data for name, data in HEALTHY.items() if name != f"{MODEL}/model.safetensors"}
    assert altered(files) == ()
