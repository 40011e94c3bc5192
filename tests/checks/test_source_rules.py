"""The version ranges of entries about released source files, held against the files of installed releases."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet

from environments import environment, python_in
from paddlevl_doctor.checks import sources
from paddlevl_doctor.knowledge.failures import load_failure

Read = Callable[[str], str]
"""From a path below site-packages to the text of the file, empty where there is none."""

_MODELS = "paddlex/inference/models/doc_vlm"
_PIPELINES = "paddlex/inference/pipelines"


def has(path: str, pattern: str) -> Callable[[Read], bool]:
    return lambda read: re.search(pattern, read(path)) is not None


def lacks(path: str, pattern: str) -> Callable[[Read], bool]:
    return lambda read: read(path) != "" and re.search(pattern, read(path)) is None


def reads_bgr(read: Read) -> bool:
    code = read(f"{_MODELS}/processors/common.py")
    return "Image.fromarray(image)" in code and "::-1]" not in code and "cvtColor" not in code


def calls_a_close_that_does_nothing(read: Read) -> bool:
    empty = re.search(r"def close\(self\)[^\n]*\n\s+pass\b", read(f"{_PIPELINES}/base.py"))
    return empty is not None and "def close" not in read(f"{_PIPELINES}/_parallel.py")


def asks_for_flash_attention_by_the_card_alone(read: Read) -> bool:
    return "_supports_sdpa = cap >= (8, 0)" in read(f"{_MODELS}/modeling/paddleocr_vl/_siglip.py")


def refuses_its_own_name(read: Read) -> bool:
    """The pipeline's name for the model is neither in the list of models nor replaced before it is looked up."""
    code = read("paddlex/inference/utils/official_models.py")
    known = re.search(
        r'(?m)^    "PaddleOCR-VL-0\.9B",$|model_name == "PaddleOCR-VL-0\.9B":|replace\("-0\.9B"', code
    )
    return code != "" and known is None


FLAWS: dict[str, Callable[[Read], bool]] = {
    "vl-official-name-3-3-2": refuses_its_own_name,
    "langchain-docstore": lambda read: read("paddlex/utils/langchain_shim.py") == "",
    "chart-model-loaded-needlessly": lacks(
        f"{_PIPELINES}/layout_parsing/pipeline_v2.py",
        r"if self\.use_chart_recognition:\s+chart_recognition_config",
    ),
    "vl-rec-max-concurrency-ignored": lacks(
        "paddleocr/_pipelines/paddleocr_vl.py", r"VLRecognition\.genai_config\.max_concurrency"
    ),
    "native-bgr-swap": reads_bgr,
    "queue-deadlock-on-error": has(f"{_PIPELINES}/paddleocr_vl/pipeline.py", r"(?s)(daemon=False.*){3}"),
    "pipeline-close-leak": calls_a_close_that_does_nothing,
    "dtype-mismatch-bf16": lacks(f"{_MODELS}/predictor.py", r"is_bfloat16_available\(self\.device\)"),
    "flashattention2-unsupported": asks_for_flash_attention_by_the_card_alone,
}
"""What shows each flaw in the source of a release."""
_OF_OTHER_PROGRAMS = {"aistudio-sdk-conflict", "vllm-transformers-5"}
_OF_DEVICES = {"dtype-mismatch-bf16", "flashattention2-unsupported"}


def expected(failure_id: str, versions: dict[str, str]) -> bool:
    """Whether the entry says that these versions of paddlex and paddleocr have the flaw."""
    ranges = load_failure(failure_id).applies.specifiers
    return all(SpecifierSet(ranges[n]).contains(versions[n]) for n in ("paddlex", "paddleocr") if n in ranges)


def test_every_entry_about_a_release_is_held_against_its_source() -> None:
    assert set(FLAWS) == set(sources.VERSION_FAILURES) - _OF_OTHER_PROGRAMS | _OF_DEVICES


@pytest.mark.parametrize("failure_id", FLAWS)
@pytest.mark.parametrize("name", ["current-311", "set-2025-11", "bfloat16-on-a-cpu"])
def test_the_range_of_an_entry_agrees_with_the_installed_source(name: str, failure_id: str) -> None:
    site = python_in(environment(name)).parents[1] / "lib" / "python3.11" / "site-packages"
    versions = {n: version_in(site, n) for n in ("paddlex", "paddleocr")}
    assert FLAWS[failure_id](lambda path: text_of(site / path)) == expected(failure_id, versions)


def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def version_in(site: Path, name: str) -> str:
    return next(site.glob(f"{name}-*.dist-info")).name.split("-")[1].removesuffix(".dist")
