"""The rules about the model cache, the paths on Windows and the room for a download."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from checks_machines import CURRENT, context, machine, model, problems, target
from paddlevl_doctor.checks import ALL
from paddlevl_doctor.checks.runner import run_checks
from paddlevl_doctor.values.facts import CachedModel, DamagedFile, Facts, Host, ModelCache
from paddlevl_doctor.values.findings import Evidence, Finding, Status
from wording import worded

WINDOWS = Host("windows", "10.0.22631", "x86_64", cpu_count=8)
VL = "PaddleOCR-VL-1.6"
FONT = "PingFang-SC-Regular.ttf"
DEEP = "C:\\" + "x" * 130 + "\\Lib\\site-packages"


def damaged(name: str, *files: DamagedFile, missing: tuple[str, ...] = ()) -> CachedModel:
    return replace(model(name, *missing), damaged=files)


def cached(*models: CachedModel, root: str = "/c", fonts: tuple[str, ...] = (), **changes: object) -> Facts:
    return machine(cache=ModelCache(root, models, fonts), **changes)


def finding(facts: Facts, name: str, lang: str = "en") -> Finding:
    return worded(next(f for f in run_checks(context(facts), ALL) if f.id == name), lang)


CUT = DamagedFile("model.safetensors", "truncated", "100000 of 1917255968 bytes")
OTHER_END = DamagedFile("generation_config.json", "other-end-mark", "eos_token_id 3, config.json says 2")
NOT_JSON = DamagedFile("generation_config.json", "not-json")
DEEP_TARGET = target(CURRENT, purelib=DEEP)
EMPTY_DEEP_TARGET = target({}, purelib=DEEP)

HEALTHY = {
    "whole models": cached(model(VL), model("PP-DocLayoutV3")),
    "ASCII path on Windows": cached(root="C:\\pdx", host=WINDOWS),
    "other letters on Linux": cached(root="/home/名/.paddlex"),
    "offline with the font": cached(fonts=(FONT,), settings={"HF_HUB_OFFLINE": "1"}),
    "offline with a font of one's own": cached(
        fonts=("/f.ttf",), settings={"HF_HUB_OFFLINE": "1", "PADDLE_PDX_LOCAL_FONT_FILE_PATH": "/f.ttf"}
    ),
    "online without a font": cached(settings={"HF_HUB_OFFLINE": "0"}),
    "small folder for temporary files, nothing to download": cached(
        model(VL), model("PP-DocLayoutV3"), free_disk_mb={"temp": 100}
    ),
    "enough room for each missing model": machine(free_disk_mb={"temp": 1900}),
    "deep folder with long paths on": machine(host=WINDOWS, target=DEEP_TARGET, long_paths=True),
    "deep folder and a registry that does not answer": machine(host=WINDOWS, target=DEEP_TARGET),
    "short folder with long paths off": machine(host=WINDOWS, long_paths=False),
}


@pytest.mark.parametrize("name", HEALTHY)
def test_a_healthy_machine_gives_no_finding(name: str) -> None:
    assert problems(HEALTHY[name]) == {}


BROKEN: dict[str, tuple[Facts, dict[str, str]]] = {
    "weights cut short": (cached(damaged(VL, CUT)), {"partial-model-cache": "error"}),
    "weights cut short and no end mark": (
        cached(damaged(VL, CUT, missing=("generation_config.json",))),
        {"partial-model-cache": "error"},
    ),
    "another end mark": (cached(damaged(VL, OTHER_END)), {"generation-config-missing": "error"}),
    "an end mark that cannot be read": (
        cached(damaged(VL, NOT_JSON)),
        {"generation-config-missing": "error"},
    ),
    "other letters in the path on Windows": (
        cached(root="C:\\Users\\名\\.paddlex", host=WINDOWS),
        {"windows-nonascii-model-path": "warning"},
    ),
    "offline without a font": (cached(settings={"HF_HUB_OFFLINE": "1"}), {"font-download-offline": "note"}),
    "offline with another font": (
        cached(fonts=("simfang.ttf",), settings={"HF_HUB_OFFLINE": "true"}),
        {"font-download-offline": "note"},
    ),
    "small folder for temporary files": (
        machine(free_disk_mb={"temp": 1000}),
        {"tmp-disk-full-on-download": "warning"},
    ),
    "deep folder with long paths off": (
        machine(host=WINDOWS, target=DEEP_TARGET, long_paths=False),
        {"windows-long-path": "note"},
    ),
    "deep folder, nothing installed yet": (
        machine(host=WINDOWS, target=EMPTY_DEEP_TARGET, long_paths=False, free_disk_mb={}, pipelines=None),
        {
            "windows-long-path": "warning",
            "no-paddle-installed": "error",
            "no-paddleocr-installed": "error",
        },
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_machine_gives_exactly_its_findings(name: str) -> None:
    facts, expected = BROKEN[name]
    assert problems(facts) == expected


def test_no_text_of_these_findings_leaves_a_value_open() -> None:
    wrong = []
    for lang, (name, (facts, expected)) in itertools.product(("en", "zh"), BROKEN.items()):
        for rule in expected:
            shown = finding(facts, rule, lang)
            words = (shown.title, shown.cause, shown.remedy and shown.remedy.text)
            wrong += [(name, lang, words)] if None in words or "…" in " ".join(map(str, words)) else []
    assert wrong == []


def test_weights_cut_short_are_told_with_their_sizes() -> None:
    shown = finding(cached(damaged(VL, CUT, missing=("tokenizer.model",))), "partial-model-cache")
    flaws = "tokenizer.model, model.safetensors (100000 of 1917255968 bytes)"
    assert shown.title == f"The model {VL} is incomplete, missing or damaged: {flaws}"


def test_the_end_mark_that_was_read_is_the_evidence() -> None:
    shown = finding(cached(damaged(VL, OTHER_END)), "generation-config-missing")
    path = f"/home/somebody/.paddlex/official_models/{VL}"
    assert shown.evidence == (Evidence(path, "other-end-mark: eos_token_id 3, config.json says 2"),)


@pytest.mark.parametrize(
    ("purelib", "allowed", "status"),
    [
        (DEEP, True, Status.OK),
        (DEEP, None, Status.SKIPPED),
        (DEEP, False, Status.NOTE),
        ("C:\\v", False, Status.OK),
        ("C:\\" + "x" * 121, False, Status.OK),
        ("C:\\" + "x" * 122, False, Status.NOTE),
    ],
)
def test_a_path_of_260_characters_with_its_end_is_still_allowed(
    purelib: str, allowed: bool | None, status: Status
) -> None:
    facts = machine(host=WINDOWS, target=target(CURRENT, purelib=purelib), long_paths=allowed)
    assert finding(facts, "windows-long-path").status is status


def test_only_the_models_that_are_missing_have_to_fit() -> None:
    shown = finding(cached(model(VL), free_disk_mb={"temp": 100}), "tmp-disk-full-on-download")
    assert shown.title == "Only 100 MB are free for temporary files; a model download needs 124 MB"
    assert shown.cause.endswith("PP-DocLayoutV3")


def test_the_first_release_keeps_its_model_in_a_folder_of_its_own() -> None:
    old = {**CURRENT, "paddleocr": "3.3.1", "paddlex": "3.3.6"}
    facts = machine(old, cache=ModelCache("/c", (model("PP-DocLayoutV2"),)), free_disk_mb={"temp": 100})
    shown = finding(facts, "tmp-disk-full-on-download")
    assert (shown.status, shown.cause.rpartition(" ")[2]) == (Status.WARNING, "PaddleOCR-VL-0.9B")
    nested = replace(
        facts, cache=ModelCache("/c", (model("PaddleOCR-VL/PaddleOCR-VL-0.9B"), model("PP-DocLayoutV2")))
    )
    assert finding(nested, "tmp-disk-full-on-download").status is Status.OK


@pytest.mark.parametrize(
    ("names", "status", "wasted"),
    [
        (("PP-DocLayoutV2", "PaddleOCR-VL/PP-DocLayoutV2"), Status.NOTE, "100 MB"),
        (("PP-DocLayoutV2", "A/PP-DocLayoutV2", "B/PP-DocLayoutV2"), Status.NOTE, "200 MB"),
        (("PP-DocLayoutV2",), Status.SKIPPED, ""),
        (("PaddleOCR-VL/PP-DocLayoutV2",), Status.SKIPPED, ""),
        (("A/PP-DocLayoutV2", "B/PP-DocLayoutV2"), Status.SKIPPED, ""),
    ],
)
def test_a_copy_is_wasted_only_beside_the_one_that_is_loaded(
    names: tuple[str, ...], status: Status, wasted: str
) -> None:
    shown = finding(cached(*map(model, names)), "duplicate-doclayoutv2")
    assert (shown.status, wasted in shown.title) == (status, True)
