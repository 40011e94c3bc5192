"""The patches as data: they validate, and every hash in them belongs to a published file."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from paddlevl_doctor.knowledge.errors import KnowledgeError
from paddlevl_doctor.knowledge.failures import load_all
from paddlevl_doctor.knowledge.matrix import load_paddlex_releases
from paddlevl_doctor.knowledge.patches import PatchState, find_patch, load_patches, read_patch, state_of
from paddlevl_doctor.messages import LANGUAGES

PATCHES = load_patches()


def test_the_patches_are_these() -> None:
    assert [(p.id, p.default, p.distribution) for p in PATCHES] == [
        ("doc-preprocessor-defaults", "automatic", "paddlex"),
        ("fuse-rms-norm", "automatic", "paddlex"),
    ]


@pytest.mark.parametrize("patch", PATCHES, ids=lambda p: p.id)
def test_a_patch_fits_every_released_paddlex_and_says_why_in_both_languages(patch) -> None:  # type: ignore[no-untyped-def]
    assert all(patch.fits(release.version) for release in load_paddlex_releases())
    for texts in (patch.titles, patch.whys, patch.drop_when):
        assert set(texts) == set(LANGUAGES)
        assert all(texts.values())


@pytest.mark.parametrize("patch", PATCHES, ids=lambda p: p.id)
def test_no_version_has_two_contents_and_no_result_is_an_original(patch) -> None:  # type: ignore[no-untyped-def]
    for file in patch.files:
        originals = [o for v in file.variants for o in v.originals]
        versions = [version for o in originals for version in o.versions]
        assert len(versions) == len(set(versions))
        assert not {o.sha256 for o in originals} & {o.patched_sha256 for o in originals}


def test_every_cure_by_patch_names_a_patch() -> None:
    named = {failure.cure.patch for failure in load_all() if failure.cure.patch}
    assert named == {patch.id for patch in PATCHES}


def test_the_state_of_a_file_is_decided_by_its_hash() -> None:
    file = find_patch("fuse-rms-norm").files[0]
    original = file.variants[0].originals[0]
    unknown = hashlib.sha256(b"edited").hexdigest()
    assert [
        state_of(file, original.sha256, "3.3.0"),
        state_of(file, original.patched_sha256, "3.3.0"),
        state_of(file, unknown, "3.3.0"),
        state_of(file, unknown, "9.9.9"),
        state_of(file, None, "3.3.0"),
    ] == [
        PatchState.PRISTINE,
        PatchState.PATCHED,
        PatchState.ALTERED,
        PatchState.OTHER_VERSION,
        PatchState.MISSING,
    ]


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ('path = "../../etc/passwd"', "leaves site-packages"),
        ('path = "/etc/passwd"', "leaves site-packages"),
        ('sha256 = "abc"', "no SHA-256"),
        ('default = "always"', "is none of automatic, offered"),
    ],
)
def test_a_malformed_patch_is_refused_with_the_field(tmp_path: Path, broken: str, said: str) -> None:
    key = broken.partition(" = ")[0]
    folder = tmp_path / "fuse-rms-norm"
    folder.mkdir()
    source = Path(__file__).parents[2] / "patches" / "fuse-rms-norm" / "patch.toml"
    lines = source.read_text(encoding="utf-8").splitlines()
    path = folder / "patch.toml"
    path.write_text(
        "\n".join(broken if line.startswith(f"{key} = ") else line for line in lines), encoding="utf-8"
    )
    with pytest.raises(KnowledgeError, match=said):
        read_patch(path)
