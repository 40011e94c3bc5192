"""The maintainer's tool that records the hashes of published files notices a release that a patch does not fit."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from environments import environment
from paddlevl_doctor.knowledge.patches import find_patch

TOOL = Path(__file__).with_name("record_patch_hashes.py")
PATCH = find_patch("doc-preprocessor-defaults")
(FILE,) = PATCH.files


def wheel(folder: Path, version: str, content: bytes | None) -> None:
    """Write a wheel of paddlex with nothing but the file that the patch changes, or not even that."""
    with zipfile.ZipFile(folder / f"paddlex-{version}-py3-none-any.whl", "w") as archive:
        archive.writestr("paddlex/__init__.py", b"")
        if content is not None:
            archive.writestr(FILE.path, content)


def record(*arguments: str | Path) -> tuple[int, str, str]:
    argv = [sys.executable, str(TOOL), *map(str, arguments), PATCH.id]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


@pytest.fixture(scope="module")
def published() -> bytes:
    """The file as paddlex 3.7.2 was published with it."""
    (path,) = environment("current-311").glob(f"[Ll]ib/**/site-packages/{FILE.path}")
    return path.read_bytes()


@pytest.mark.xdist_group("current-311")
def test_the_table_of_a_published_file_is_the_recorded_one(tmp_path: Path, published: bytes) -> None:
    (original,) = (o for v in FILE.variants for o in v.originals if "3.7.2" in o.versions)
    for version in original.versions:
        wheel(tmp_path, version, published)
    code, printed, said = record(tmp_path)
    assert (code, said) == (0, "1 patches fit every wheel\n")
    assert printed == (
        f"# {PATCH.id}: {FILE.path}\n# variant 1\n[[file.variant.original]]\n"
        f"versions = [{', '.join(f'{chr(34)}{v}{chr(34)}' for v in original.versions)}]\n"
        f'sha256 = "{original.sha256}"\npatched_sha256 = "{original.patched_sha256}"\n\n'
    )


@pytest.mark.xdist_group("current-311")
def test_the_check_fails_where_the_data_says_something_else(tmp_path: Path, published: bytes) -> None:
    wheel(tmp_path, "3.7.2", published)  # and none of the others that patch.toml records
    said = f"{PATCH.id}: {FILE.path}: patch.toml records other hashes or versions\n"
    assert record("--check", tmp_path) == (1, "", said)


@pytest.mark.parametrize("arguments", [(), ("--check",)])
def test_a_release_that_no_variant_fits_is_named(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    wheel(tmp_path, "9.0.0", b"rewritten = True\n")
    wheel(tmp_path, "9.1.0", None)
    code, _, said = record(*arguments, tmp_path)
    assert code == 1
    assert said.splitlines()[:2] == [
        f"{PATCH.id}: 9.0.0: the variants that fit are none",
        f"{PATCH.id}: 9.1.0: no such file",
    ]
