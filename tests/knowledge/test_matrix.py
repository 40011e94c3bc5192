"""The data in matrix/: every row is what its class says, has a source, and refers to rows that exist."""

from __future__ import annotations

import dataclasses
import datetime
import re
import types
import typing
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from fake_system import FakeSystem
from paddle_index import nvidia_pins
from paddlevl_doctor.data_files import data_folder
from paddlevl_doctor.facts.model_cache import collect_cache
from paddlevl_doctor.knowledge import (
    catalogue,
    installed_sizes,
    resource_estimates,
    servers,
    tables,
    version_sets,
    wheel_tables,
)
from paddlevl_doctor.knowledge.tables import KnowledgeError
from paddlevl_doctor.values.facts import Distribution, Target

FILES: dict[str, dict[str, type[tables.Fact]]] = {
    "architectures": {"minimum": wheel_tables.Minimum, "compiled": wheel_tables.Compiled},
    "dlls": {"line": wheel_tables.DllLine},
    "downloads": {
        "paddle": resource_estimates.PaddleSize,
        "nvidia": resource_estimates.NvidiaSize,
        "stack": resource_estimates.StackSize,
    },
    "drivers": {"family": wheel_tables.DriverFamily, "line": wheel_tables.CudaLine},
    "gpus": {"model": catalogue.GpuModels},
    "indexes": {"index": wheel_tables.Index, "host": catalogue.WheelHost, "gpu_wheel": wheel_tables.GpuWheel},
    "memory": {
        "vision": resource_estimates.Vision,
        "dtype": resource_estimates.Dtype,
        "fused": resource_estimates.Fused,
        "pixels": resource_estimates.Pixels,
    },
    "mirrors": {"mirror": catalogue.Mirror},
    "models": {
        "kind": catalogue.ModelKind,
        "model": catalogue.Model,
        "hub": catalogue.Hub,
    },
    "platforms": {"platform": catalogue.Platform},
    "pipelines": {"pipeline": catalogue.Pipeline},
    "releases": {"paddleocr": catalogue.PaddleocrRelease, "paddlex": catalogue.PaddlexRelease},
    "servers": {"backend": servers.Backend, "memory": servers.ServerMemory, "pinned": servers.Pinned},
    "sizes": {"group": installed_sizes.SizeGroup},
    "sets": {
        "set": version_sets.VersionSet,
        "gpu": version_sets.GpuVersion,
        "optional_wheel": version_sets.OptionalWheel,
    },
}
TABLES = [(file, table, kind) for file, known in FILES.items() for table, kind in known.items()]
SOURCES = ("wheel:", "docs:", "issue:", "local probe", "third-party evidence", "astral-sh/uv")
TAGS = {"cu118", "cu126", "cu129"}
SYSTEMS = {"linux", "windows"}


def test_every_file_and_every_table_in_it_is_known() -> None:
    on_disk = {path.stem: path for path in data_folder("matrix").glob("*.toml")}
    assert {file: set(tables.read_tables(file)) for file in on_disk} == {f: set(t) for f, t in FILES.items()}


@pytest.mark.parametrize(("file", "table", "kind"), TABLES)
def test_every_row_has_the_types_of_its_class_a_source_and_a_mark(
    file: str, table: str, kind: type[tables.Fact]
) -> None:
    hints = typing.get_type_hints(kind)
    rows = tables.load_rows(file, table, kind)
    assert rows
    for row in rows:
        for field in dataclasses.fields(row):
            assert _is(getattr(row, field.name), hints[field.name]), f"{file}.{table}.{field.name}: {row}"
        assert row.verified in ("wheel", "docs", "unverified")
        assert row.source.startswith(SOURCES), row.source
        assert row.verified != "wheel" or re.search(r"wheel:|local probe", row.source), row.source


def _is(value: object, kind: typing.Any) -> bool:
    """Say whether a value is of an annotated type; tuples are looked into."""
    origin = typing.get_origin(kind) or kind
    if origin is tuple:
        return isinstance(value, tuple) and all(isinstance(v, typing.get_args(kind)[0]) for v in value)
    return isinstance(value, typing.get_args(kind) if origin is types.UnionType else origin)


def test_addresses_are_https_and_nothing_else_looks_like_one() -> None:
    for file, table, kind in TABLES:
        for row in tables.load_rows(file, table, kind):
            for name, value in dataclasses.asdict(row).items():
                if name in ("url", "simple") or (name == "flat" and value):
                    assert re.fullmatch(r"https://[a-z0-9.-]+(/[\w./{}-]*)?", value), value
                elif name != "source" and isinstance(value, str):
                    assert "://" not in value or name == "default", value


VERSIONS = {
    *("version", "paddleocr", "paddlex", "paddle_cpu", "since", "cuda", "compute_capability"),
    *("linux", "windows", "toolkit_linux", "toolkit_windows", "toolkit_driver_from"),
}
OTHERWISE = {
    *{("pipelines", "version"), ("pipelines", "paddleocr"), ("pipelines", "paddlex")},  # names
    ("releases", "paddlex"),  # a range
}


def test_versions_dates_and_hashes_can_be_read() -> None:
    for file, table, kind in TABLES:
        for row in tables.load_rows(file, table, kind):
            values = {name: value for name, value in dataclasses.asdict(row).items() if value is not None}
            for name in VERSIONS & set(values):
                assert (file, name) in OTHERWISE or Version(values[name])
            assert re.fullmatch(r"[0-9a-f]{64}", values.get("sha256", "0" * 64))
            assert datetime.date.fromisoformat(values.get("date", "2025-01-01"))


# --- wheels


def test_every_line_has_an_index_a_family_and_architectures_for_both_systems() -> None:
    lines = wheel_tables.load_lines()
    assert [line.tag for line in lines] == ["cu126", "cu129", "cu118"]  # the order of preference
    for line in lines:
        assert line.tag == "cu" + line.cuda.replace(".", "")
        assert wheel_tables.family_of(line.cuda) is not None
        assert {system for tag, system in wheel_tables.load_compiled() if tag == line.tag} == SYSTEMS
    assert set(wheel_tables.load_indexes()) == TAGS | {"cpu"}


def test_the_toolkits_driver_is_never_older_than_the_familys() -> None:
    for line in wheel_tables.load_lines():
        family = wheel_tables.family_of(line.cuda)
        assert family is not None
        for system in SYSTEMS:
            minimum = line.needed_driver(system, "8.0")
            assert minimum == getattr(family, system)
            assert tables.numbers(line.toolkit_driver(system)) >= tables.numbers(minimum)


def test_blackwell_asks_for_the_toolkits_own_driver_and_nothing_older_does() -> None:
    cu129 = next(line for line in wheel_tables.load_lines() if line.tag == "cu129")
    asked = {cc: cu129.needed_driver("linux", cc) for cc in ("9.0", "10.0", "12.0")}
    assert asked == {"9.0": "525.60.13", "10.0": "575.51.03", "12.0": "575.51.03"}
    assert cu129.needed_driver("windows", "12.0") == "576.02"


def test_flat_pages_lie_on_their_index() -> None:
    for tag, index in wheel_tables.load_indexes().items():
        assert index.simple.endswith(f"/stable/{tag}/")
        assert index.flat == f"{index.simple}{index.package}/"
    assert [host.name for host in catalogue.load_wheel_hosts()] == ["cdn", "origin"]
    assert all("{tag}" in host.url and "{wheel}" in host.url for host in catalogue.load_wheel_hosts())


def test_seen_wheels_are_of_a_set_and_of_a_python_it_supports() -> None:
    offered = {(tag, version) for one in version_sets.load_sets() for tag, version in one.paddle_gpu.items()}
    for wheel in wheel_tables.load_gpu_wheels():
        assert (wheel.tag, wheel.version) in offered
        assert wheel.system in SYSTEMS
        assert all(version_sets.default_set().supports_python(python) for python in wheel.pythons)


def test_architectures_are_sorted_and_the_minimum_is_a_capability() -> None:
    for row in wheel_tables.load_compiled().values():
        assert list(row.sm) == sorted(set(row.sm))
    assert wheel_tables.minimum_compute_capability() == "7.0"


# --- sets


def test_the_sets_are_these() -> None:
    versions = {
        s.name: (
            s.paddle_cpu,
            s.paddleocr,
            s.paddlex,
            dict(s.paddle_gpu),
            s.python,
            s.requirements,
            s.constraints,
        )
        for s in version_sets.load_sets()
    }
    extra = ("numpy<2.4", "safetensors>=0.7.0", "setuptools")
    gpu = {"cu118": "3.2.0", "cu126": "3.2.1", "cu129": "3.2.1"}
    old_gpu = dict.fromkeys(gpu, "3.2.0")
    assert versions == {
        "current": ("3.2.2", "3.7.0", "3.7.2", gpu, ">=3.9,<3.14", extra, ()),
        "2025-11": ("3.2.0", "3.3.1", "3.3.6", old_gpu, ">=3.9,<3.14", extra, ("langchain<1",)),
    }
    assert [s.default for s in version_sets.load_sets()] == [True, False]
    assert version_sets.default_set().name == "current"


def test_every_set_agrees_with_the_releases_and_speaks_both_languages() -> None:
    ranges = {row.version: row.paddlex for row in catalogue.load_paddleocr_releases()}
    known = {row.version for row in catalogue.load_paddlex_releases()}
    for one in version_sets.load_sets():
        assert one.paddlex in known
        assert one.paddlex in SpecifierSet(ranges[one.paddleocr])
        assert set(one.paddle_gpu) == TAGS
        assert [str(Requirement(line)) for line in (*one.stack(), *one.constraints)]
        assert one.why("en") == one.why_en != one.why_zh == one.why("zh")


def test_every_row_about_a_set_names_one() -> None:
    names = {one.name for one in version_sets.load_sets()}
    assert {row.set for row in tables.load_rows("sets", "gpu", version_sets.GpuVersion)} == names
    assert {
        row.set for row in tables.load_rows("sets", "optional_wheel", version_sets.OptionalWheel)
    } <= names


def test_optional_wheels_are_named_after_what_they_are() -> None:
    old = version_sets.find_set("2025-11")
    assert old is not None
    tags = {"linux": "linux_x86_64", "windows": "win_amd64"}
    assert {wheel.system for wheel in old.optional_wheels} == set(tags)
    for wheel in old.optional_wheels:
        name = f"{wheel.name}-{wheel.version}-cp38-abi3-{tags[wheel.system]}.whl"
        assert wheel.url.endswith(f"/{name}")
    assert version_sets.default_set().optional_wheels == ()


@pytest.mark.parametrize(
    ("python", "supported"),
    [("3.8.18", False), ("3.9", True), ("3.9.18", True), ("3.13.0", True), ("3.14.0", False), ("2.7", False)],
)
def test_a_set_knows_its_pythons(python: str, supported: bool) -> None:
    assert version_sets.default_set().supports_python(python) is supported


def test_a_set_lists_what_to_install_and_which_paddles_follow_it() -> None:
    current = version_sets.default_set()
    assert current.stack() == (
        "paddleocr[doc-parser]==3.7.0",
        "paddlex==3.7.2",
        "numpy<2.4",
        "safetensors>=0.7.0",
        "setuptools",
    )
    assert current.paddle_versions("paddlepaddle") == ("3.2.2",)
    assert current.paddle_versions("paddlepaddle-gpu") == ("3.2.0", "3.2.1")


def _target(**versions: str) -> Target:
    found = tuple(Distribution(name, version, "", True) for name, version in versions.items())
    return Target("python", "3.11.7", "cpython", 64, False, "/v", "/b", "/v/l", "/v/l", False, found)


@pytest.mark.parametrize(
    ("paddleocr", "paddlex", "name"),
    [
        ("3.7.0", "3.7.2", "current"),
        ("3.3.1", "3.3.6", "2025-11"),
        ("3.3.1", "3.3.6+paddlevl.1", "2025-11"),
        ("3.3.1", "3.3.13", None),
        ("3.7.0", "3.3.6", None),
    ],
)
def test_an_environment_follows_the_set_of_its_exact_pair(
    paddleocr: str, paddlex: str, name: str | None
) -> None:
    found = version_sets.set_of(_target(paddleocr=paddleocr, paddlex=paddlex))
    assert (found.name if found else None) == name


def test_an_environment_without_the_stack_follows_no_set() -> None:
    assert version_sets.set_of(_target(numpy="2.3.5")) is None
    assert version_sets.set_of(_target(paddleocr="3.7.0")) is None
    assert version_sets.find_set("1999-12") is None


# --- the catalogue


def test_the_pipelines_are_paddleocrs_ten_and_the_two_newer_versions() -> None:
    rows = [
        (p.paddlex, p.file, p.paddleocr, p.command, p.since, p.version) for p in catalogue.load_pipelines()
    ]
    plain = [
        ("OCR", "PaddleOCR", "ocr"),
        ("PP-StructureV3", "PPStructureV3", "pp_structurev3"),
        ("PP-ChatOCRv4-doc", "PPChatOCRv4Doc", "pp_chatocrv4_doc"),
        ("table_recognition_v2", "TableRecognitionPipelineV2", "table_recognition_v2"),
        ("formula_recognition", "FormulaRecognitionPipeline", "formula_recognition_pipeline"),
        ("seal_recognition", "SealRecognition", "seal_recognition"),
        ("doc_preprocessor", "DocPreprocessor", "doc_preprocessor"),
        ("doc_understanding", "DocUnderstanding", "doc_understanding"),
        ("PP-DocTranslation", "PPDocTranslation", "pp_doctranslation"),
    ]
    vl = [
        ("PaddleOCR-VL", "3.3.0", "v1"),
        ("PaddleOCR-VL-1.5", "3.4.0", "v1.5"),
        ("PaddleOCR-VL-1.6", "3.6.0", "v1.6"),
    ]
    assert rows == [
        *((name, f"{name}.yaml", kind, command, "3.3.0", None) for name, kind, command in plain),
        *((name, f"{name}.yaml", "PaddleOCRVL", "doc_parser", since, v) for name, since, v in vl),
    ]


def test_the_models_of_a_pipeline_are_known() -> None:
    models = {model.name for model in catalogue.load_models()}
    asked = {name for p in catalogue.load_pipelines() for name in (p.layout_model, p.language_model)}
    assert asked - {None} <= models
    assert {model.kind for model in catalogue.load_models()} == set(catalogue.load_model_kinds())
    assert {p.since for p in catalogue.load_pipelines()} <= {
        r.version for r in catalogue.load_paddlex_releases()
    }


def test_releases_are_in_order_and_paddleocr_asks_for_the_paddlex_of_its_minor_version() -> None:
    for rows in (catalogue.load_paddleocr_releases(), catalogue.load_paddlex_releases()):
        assert [row.version for row in rows] == sorted((row.version for row in rows), key=Version)
        assert [row.date for row in rows] == sorted(row.date for row in rows)
    for row in catalogue.load_paddleocr_releases():
        major, minor, _ = Version(row.version).release
        assert row.paddlex == f">={major}.{minor}.0,<{major}.{minor + 1}.0"


def test_the_hubs_are_called_as_paddlex_calls_them_and_come_in_its_order() -> None:
    """The values of PADDLE_PDX_MODEL_SOURCE, paddlex/utils/flags.py."""
    assert [hub.name for hub in catalogue.load_hubs()] == ["huggingface", "aistudio", "modelscope", "bos"]


def test_the_cache_is_judged_by_the_files_listed_here() -> None:
    models = catalogue.load_models()
    root = "/home/somebody/.paddlex/official_models"
    files = {f"{root}/{model.folder}/README.md": b"" for model in models}
    missing = {model.name: model.missing for model in collect_cache(FakeSystem(files=files)).models}
    kinds = catalogue.load_model_kinds()
    wanted = {m.folder: (*kinds[m.kind].files, *kinds[m.kind].one_of[:1]) for m in models}
    assert missing == wanted


def test_mirrors_have_names_of_their_own() -> None:
    assert [mirror.name for mirror in catalogue.load_mirrors()] == ["tuna", "aliyun", "ustc", "tencent"]


# --- reading


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "No such file"),
        ("[[mirror]", "Expected ']]'"),
        ("[[other]]", "mirror: no such table"),
        ('[[mirror]]\nname = "a"\nurl = "b"\nverified = "docs"\nsource = "c"\nsize = 1', "'size'"),
        ('[[mirror]]\nname = "a"\nverified = "docs"\nsource = "c"', "'url'"),
        ('[[mirror]]\nname = "a"\nurl = "b"\nverified = "docs"', "'source'"),
    ],
)
def test_a_file_that_is_not_as_it_should_be_is_named_with_the_fault(
    content: str | None, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("paddlevl_doctor.knowledge.tables.data_folder", lambda _: tmp_path)
    tables.clear_cache()
    if content is not None:
        (tmp_path / "mirrors.toml").write_text(content, encoding="utf-8")
    try:
        with pytest.raises(KnowledgeError, match=r"mirrors\.toml") as caught:
            tables.load_rows("mirrors", "mirror", catalogue.Mirror)
    finally:
        tables.clear_cache()
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("version", "parts"),
    [
        ("550.54.14", (550, 54, 14)),
        ("580", (580,)),
        ("3.12.0rc1", (3, 12, 0)),
        ("550.54.14-grid", (550, 54, 14)),
        ("unknown", ()),
        ("", ()),
    ],
)
def test_plain_versions_compare_as_numbers(version: str, parts: tuple[int, ...]) -> None:
    assert tables.numbers(version) == parts


# --- installed sizes


def test_every_tested_version_and_every_cuda_library_has_a_size() -> None:
    known = {
        size.split()[0]
        for group in tables.load_rows("sizes", "group", installed_sizes.SizeGroup)
        for size in group.sizes
    }
    lists = (data_folder("matrix") / "resolved").glob("*.txt")
    listed = {
        name for path in lists for name in re.findall(r"^([\w.-]+)==", path.read_text("utf-8"), re.MULTILINE)
    }
    assert listed - known == set()
    assert {name for pin in nvidia_pins("cu126", "linux") for name in [pin.split("==")[0]]} - known == set()


def test_sizes_are_those_of_installed_files_and_not_of_archives() -> None:
    """scipy's wheel has 35 MB; the CUDA libraries of cu126 take 3 GB."""
    assert installed_sizes.size_of("scipy").kib >> 10 in range(105, 125)
    assert installed_sizes.size_of("paddlepaddle").kib >> 10 in range(600, 750)
    libraries = installed_sizes.cuda_libraries("cu126")
    assert {"nvidia-cudnn-cu12", "nvidia-cublas-cu12"} <= libraries
    assert installed_sizes.total_of(libraries).kib >> 10 > 3_000
