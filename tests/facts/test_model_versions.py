"""Which version of PaddleOCR-VL reads, and what the target's PaddleOCR can do, as its files say."""

from __future__ import annotations

import pytest

from environments import environment
from paddlevl_doctor.facts.model_versions import (
    backends_known,
    cached_versions,
    has_layout,
    known_versions,
    missing_of_pipeline,
    missing_of_version,
    nested_layout,
    version_for,
)
from paddlevl_doctor.system.machine import RealSystem
from paddlevl_doctor.values.facts import CachedModel, ModelCache, Target

NEW, OLD = ("v1.6", "v1.5", "v1"), ("v1",)


def target(name: str) -> Target:
    site = str(environment(name) / "lib/python3.11/site-packages")
    return Target("python", "3.11.7", "cpython", 64, False, "/", "/", site, site, False)


def cache(*names: str, incomplete: tuple[str, ...] = ()) -> ModelCache:
    whole = [CachedModel(name, f"/cache/{name}", 1) for name in names]
    return ModelCache("/cache", (*whole, *(CachedModel(name, "", 1, ("x",)) for name in incomplete)))


@pytest.mark.parametrize(
    ("name", "versions", "servers"),
    [
        ("set-2025-11", OLD, ("vllm", "sglang")),
        ("current-311", NEW, ("vllm", "sglang", "fastdeploy", "mlx-vlm", "llama-cpp")),
    ],
)
def test_the_files_of_real_targets_say_what_they_know(
    name: str, versions: tuple[str, ...], servers: tuple[str, ...]
) -> None:
    assert known_versions(RealSystem(), target(name)) == versions
    assert backends_known(RealSystem(), target(name)) == tuple(f"{server}-server" for server in servers)


@pytest.mark.parametrize(
    ("asked", "known", "cached", "reads"),
    [
        ("", NEW, (), "v1.6"),
        ("", NEW, ("v1.5", "v1"), "v1.5"),
        ("", OLD, ("v1.6",), "v1"),
        ("v1", NEW, ("v1.6",), "v1"),
        ("v1.5", OLD, ("v1.5",), None),
        ("", (), ("v1",), None),
    ],
)
def test_the_newest_version_at_hand_reads_unless_another_is_asked_for(
    asked: str, known: tuple[str, ...], cached: tuple[str, ...], reads: str | None
) -> None:
    assert version_for(asked, known, cached) == reads


def test_what_lies_whole_in_the_cache_is_found_inside_other_models_too() -> None:
    assert cached_versions(cache("PaddleOCR-VL", incomplete=("PaddleOCR-VL-1.6",))) == ("v1",)
    assert cached_versions(cache("PaddleOCR-VL-1.5/PaddleOCR-VL-1.5-0.9B")) == ("v1.5",)
    nested = cache("PaddleOCR-VL/PP-DocLayoutV2")
    assert nested_layout("v1", nested) == {"layout_detection_model_dir": "/cache/PaddleOCR-VL/PP-DocLayoutV2"}
    assert nested_layout("v1", cache("PP-DocLayoutV2", "PaddleOCR-VL/PP-DocLayoutV2")) == {}


@pytest.mark.parametrize(
    ("version", "names", "there"),
    [
        ("v1", ("PP-DocLayoutV2",), True),
        ("v1", ("PaddleOCR-VL/PP-DocLayoutV2",), True),
        ("v1", ("PP-DocLayoutV3",), False),
        ("v1.5", ("PP-DocLayoutV2",), False),
        ("v1.6", ("PP-DocLayoutV3",), True),
    ],
)
def test_a_version_needs_its_own_layout_model(version: str, names: tuple[str, ...], there: bool) -> None:
    assert has_layout(version, cache(*names)) is there


@pytest.mark.parametrize(
    ("names", "missing"),
    [
        ((), ("PaddleOCR-VL-1.6", "PP-DocLayoutV3")),
        (("PaddleOCR-VL-1.6",), ("PP-DocLayoutV3",)),
        (("PP-DocLayoutV3",), ("PaddleOCR-VL-1.6",)),
        (("PaddleOCR-VL-1.6", "PP-DocLayoutV3"), ()),
    ],
)
def test_a_version_needs_both_of_its_models(names: tuple[str, ...], missing: tuple[str, ...]) -> None:
    assert missing_of_version("v1.6", cache(*names)) == missing


OCR = ("PP-OCRv5_server_det", "PP-OCRv5_server_rec")


@pytest.mark.parametrize(
    ("pipeline", "names", "missing"),
    [
        ("OCR", ("PP-DocLayoutV3",), OCR),
        ("OCR", OCR, ()),
        ("PP-StructureV3", OCR, ("PP-DocLayout_plus-L",)),
        ("PP-StructureV3", ("PP-DocLayout_plus-L", *OCR), ()),
        ("another", ("PP-DocLayoutV3",), ()),
        ("another", (), ("another",)),
    ],
)
def test_another_pipeline_needs_the_models_that_its_file_in_the_target_names(
    pipeline: str, names: tuple[str, ...], missing: tuple[str, ...]
) -> None:
    found = missing_of_pipeline(RealSystem(), target("set-2025-11"), pipeline, cache(*names))
    assert found == missing
