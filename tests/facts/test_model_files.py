"""What can be told of a model's files without reading them whole; the files here are real ones on a disk."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest

from fake_system import FakeSystem
from paddlevl_doctor.facts.model_cache import collect_cache, damage_of
from paddlevl_doctor.probes.selftest import checkpoint
from paddlevl_doctor.system.machine import RealSystem
from paddlevl_doctor.values.facts import CachedModel, DamagedFile, ModelCache

LFS_POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 1917255968\n"


def safetensors(size: int = 1000, **more: object) -> bytes:
    tensors = {"__metadata__": {"format": "pt"}, "b": entry(0, 4), "a": entry(4, size), **more}
    header = json.dumps(tensors).encode()
    return struct.pack("<Q", len(header)) + header + bytes(size)


def entry(start: int, end: int) -> dict[str, object]:
    return {"dtype": "BF16", "shape": [(end - start) // 2], "data_offsets": [start, end]}


def damage(path: Path, data: bytes) -> DamagedFile | None:
    path.write_bytes(data)
    return damage_of(RealSystem(), path)


WHOLE = safetensors()


@pytest.mark.parametrize(
    ("data", "why", "seen"),
    [
        (b"", "empty", "0 bytes"),
        (WHOLE[:-1], "truncated", f"{len(WHOLE) - 1} of {len(WHOLE)} bytes"),
        (WHOLE[:40], "truncated", f"40 of {len(WHOLE) - 1000} bytes"),
        (WHOLE + b"x", "too-long", f"{len(WHOLE) + 1} of {len(WHOLE)} bytes"),
        (LFS_POINTER, "not-safetensors", f"{len(LFS_POINTER)} bytes"),
        (b"\x01\x02\x03", "not-safetensors", "3 bytes"),
        (struct.pack("<Q", 5) + b"<html", "not-safetensors", "13 bytes"),
        (struct.pack("<Q", 2) + b"[]", "not-safetensors", "10 bytes"),
        (struct.pack("<Q", 8) + b'{"a": 1}', "not-safetensors", "16 bytes"),
    ],
)
def test_weights_that_cannot_be_right_are_named(tmp_path: Path, data: bytes, why: str, seen: str) -> None:
    found = damage(tmp_path / "model.safetensors", data)
    assert found == DamagedFile("model.safetensors", why, seen)


def test_whole_weights_are_not_damaged(tmp_path: Path) -> None:
    assert damage(tmp_path / "model.safetensors", WHOLE) is None
    assert damage(tmp_path / "empty.safetensors", safetensors(0, b=entry(0, 0), a=entry(0, 0))) is None


def test_a_folder_and_nothing_are_no_files(tmp_path: Path) -> None:
    system = RealSystem()
    for path in (tmp_path, tmp_path / "absent"):
        assert (system.file_size(path), system.read_head(path, 8), damage_of(system, path)) == (
            None,
            None,
            None,
        )


def test_of_large_weights_only_the_header_is_read(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    header = json.dumps({"a": entry(0, 3 << 30)}).encode()
    with path.open("wb") as file:  # three gigabytes of nothing, which take no room on the disk
        file.write(struct.pack("<Q", len(header)) + header)
        file.truncate(8 + len(header) + (3 << 30))
    read: list[int] = []

    class Counting(RealSystem):
        def read_head(self, path: Path, size: int) -> bytes | None:
            data = super().read_head(path, size)
            read.append(len(data or b""))
            return data

    assert damage_of(Counting(), path) is None
    assert read == [8, 8 + len(header)]


@pytest.mark.parametrize(
    ("stop", "config", "why"),
    [
        ('{"eos_token_id": 2}', '{"eos_token_id": 2}', None),
        ('{"eos_token_id": [2, 7]}', '{"eos_token_id": 2}', None),
        ('{"eos_token_id": 2}', "{}", None),
        ('{"eos_token_id": 2}', None, None),
        ('{"eos_token_id": 3}', '{"eos_token_id": 2}', "other-end-mark"),
        ('{"eos_token_id": null}', '{"eos_token_id": 2}', "no-end-mark"),
        ('{"eos_token_id": true}', '{"eos_token_id": 2}', "no-end-mark"),
        ("{}", '{"eos_token_id": 2}', "no-end-mark"),
        ("[]", None, "no-end-mark"),
        ('{"eos_tok', None, "not-json"),
    ],
)
def test_the_end_mark_has_to_be_there_and_to_be_the_models(
    tmp_path: Path, stop: str, config: str | None, why: str | None
) -> None:
    if config is not None:
        (tmp_path / "config.json").write_text(config)
    found = damage(tmp_path / "generation_config.json", stop.encode())
    assert (found.why if found else None) == why


@pytest.mark.parametrize("name", ["inference.json", "config.json"])
@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b'{"program": 1}', None),
        (b'\xef\xbb\xbf{"program": 1}', None),
        (b'{"pro\x9eram": 1}', "not-json"),
        (b'{"program":', "not-json"),
        (b"<!DOCTYPE html>", "not-json"),
    ],
)
def test_a_json_file_has_to_be_json(tmp_path: Path, name: str, content: bytes, why: str | None) -> None:
    found = damage(tmp_path / name, content)
    assert (found.why if found else None) == why


def test_a_checkpoint_as_it_is_published_is_whole(tmp_path: Path) -> None:
    folder = tmp_path / "official_models" / "PaddleOCR-VL-1.6"
    folder.parent.mkdir()
    checkpoint.write_colour(str(folder))
    (tmp_path / "fonts").mkdir()
    (tmp_path / "fonts" / "simfang.ttf").write_bytes(b"font")
    system = FakeSystem(env={"PADDLE_PDX_CACHE_HOME": str(tmp_path)}, files=files_below(tmp_path))
    size = sum(path.stat().st_size for path in folder.iterdir()) >> 20
    assert collect_cache(system) == ModelCache(
        str(tmp_path), (CachedModel("PaddleOCR-VL-1.6", str(folder), size),), ("simfang.ttf",)
    )


def files_below(root: Path) -> dict[str, bytes]:
    return {path.as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_a_stray_file_beside_the_models_is_no_model() -> None:
    system = FakeSystem(
        env={"PADDLE_PDX_CACHE_HOME": "/c"},
        files={"/c/official_models/model.tar": b"x", "/c/official_models/UVDoc/inference.yml": b"x"},
    )
    missing = ("inference.pdiparams", "inference.json")
    assert collect_cache(system).models == (CachedModel("UVDoc", "/c/official_models/UVDoc", 0, missing),)


@pytest.mark.parametrize(("there", "fonts"), [(True, ("/f/own.ttf",)), (False, ())])
def test_a_font_of_ones_own_counts_where_it_exists(there: bool, fonts: tuple[str, ...]) -> None:
    env = {"PADDLE_PDX_CACHE_HOME": "/c", "PADDLE_PDX_LOCAL_FONT_FILE_PATH": "/f/own.ttf"}
    files = {"/f/own.ttf": b"font"} if there else {}
    assert collect_cache(FakeSystem(env=env, files=files)).fonts == fonts
