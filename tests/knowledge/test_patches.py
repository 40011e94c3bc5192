"""The patches as data: they validate, and every hash in them belongs to a published file."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from paddlevl_doctor.knowledge.catalogue import load_paddlex_releases
from paddlevl_doctor.knowledge.failures import load_all
from paddlevl_doctor.knowledge.patches import (
    Original,
    Patch,
    PatchFile,
    PatchState,
    Replacement,
    Variant,
    find_patch,
    load_patches,
    read_patch,
    state_of,
)
from paddlevl_doctor.knowledge.tables import KnowledgeError
from paddlevl_doctor.messages import LANGUAGES

PATCHES = load_patches()


def test_the_patches_are_these() -> None:
    assert [(p.id, p.default, p.distribution) for p in PATCHES] == [
        ("doc-preprocessor-defaults", "automatic", "paddlex"),
        ("fuse-rms-norm", "automatic", "paddlex"),
        ("image-channel-order", "offered", "paddlex"),
        ("modelscope-without-torch", "automatic", "paddlex"),
        ("queue-threads-end", "automatic", "paddlex"),
        ("vision-attention-chunks", "automatic", "paddlex"),
    ]


@pytest.mark.parametrize("patch", PATCHES, ids=lambda p: p.id)
def test_a_patch_fits_every_released_paddlex_and_says_why_in_both_languages(patch) -> None:  # type: ignore[no-untyped-def]
    assert all(patch.fits(release.version) for release in load_paddlex_releases())
    for texts in (patch.titles, patch.whys, patch.drop_when):
        assert set(texts) == set(LANGUAGES)
        assert all(texts.values())


def test_no_two_patches_change_the_same_file() -> None:
    """Each is applied to the published bytes, so the second one would find a file that nobody published."""
    paths = [file.path for patch in PATCHES for file in patch.files]
    assert sorted(set(paths)) == sorted(paths)


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


def test_a_patch_that_does_not_exist_is_a_key_error() -> None:
    with pytest.raises(KeyError, match="no-such-patch"):
        find_patch("no-such-patch")


def test_a_replacement_fits_only_where_its_old_text_occurs_exactly_once() -> None:
    variant = Variant((Replacement("a", "bb"),), ())
    assert [variant.applied_to(content) for content in (b"-a-", b"--", b"aa")] == [b"-bb-", None, None]


SAMPLE = """
id = "sample"
distribution = "paddlex"
default = "offered"
links = ["https://example.org/1"]
evidence = "reproduced"
title = { en = "one", zh = "一" }
why = { en = "one", zh = "一" }
drop_when = { en = "one", zh = "一" }
[[file]]
path = "pkg/m.py"
[[file.variant]]
replace = [{ old = "True", new = "False" }]
[[file.variant.original]]
versions = ["1.0", "1.1"]
sha256 = "AAAA"
patched_sha256 = "BBBB"
""".replace("AAAA", "a" * 64).replace("BBBB", "b" * 64)


def sample(folder: Path, document: str) -> Path:
    path = folder / "sample" / "patch.toml"
    path.parent.mkdir()
    path.write_text(document, encoding="utf-8")
    return path


def test_a_patch_is_read_as_it_is_written(tmp_path: Path) -> None:
    original = Original("a" * 64, "b" * 64, ("1.0", "1.1"))
    file = PatchFile("pkg/m.py", (Variant((Replacement("True", "False"),), (original,)),))
    both = {"en": "one", "zh": "一"}
    assert read_patch(sample(tmp_path, SAMPLE)) == Patch(
        "sample", "paddlex", "offered", both, both, both, ("https://example.org/1",), "reproduced", (file,)
    )


@pytest.mark.parametrize(
    ("correct", "broken", "field", "problem"),
    [
        ('id = "sample"', 'id = "other"', "id", "one of sample is expected, not other"),
        ("evidence", "evidense", "evidense", "unknown field"),
        ('"offered"', '"always"', "default", "one of automatic, offered is expected, not always"),
        ('why = { en = "one", zh = "一" }', 'why = { en = "one" }', "why.zh", "a text is expected"),
        ('title = { en = "one"', 'title = { fr = "un"', "title.fr", "unknown field"),
        ("links = [", "links = [1, ", "links", "a list of texts is expected"),
        ('"pkg/m.py"', '"../m.py"', "file[0].path", "leaves site-packages: ../m.py"),
        ('"pkg/m.py"', '"/etc/m.py"', "file[0].path", "leaves site-packages: /etc/m.py"),
        ('"pkg/m.py"', '"C:/m.py"', "file[0].path", "leaves site-packages: C:/m.py"),
        ('"pkg/m.py"', "'pkg\\m.py'", "file[0].path", "leaves site-packages: pkg\\m.py"),
        ('"pkg/m.py"', "5", "file[0].path", "a text is expected"),
        ("[[file]]", '[[file]]\nmode = "x"', "file[0].mode", "unknown field"),
        (
            '[{ old = "True", new = "False" }]',
            "[]",
            "file[0].variant[0].replace",
            "at least one table is expected",
        ),
        (
            'new = "False"',
            'new = "True"',
            "file[0].variant[0].replace[0].new",
            "a text other than `old` is expected",
        ),
        (
            f'"{"a" * 64}"',
            '"abc"',
            "file[0].variant[0].original[0].sha256",
            "no SHA-256 in lower case: abc",
        ),
        ('"1.1"', '"1.0"', "file[0].variant", "occurs more than once: 1.0"),
        ('"1.1"', '"new"', "file[0].variant[0].original[0].versions", "no version: new"),
        ("b" * 64, "a" * 64, "file[0].variant", f"occurs more than once: {'a' * 64}"),
    ],
)
def test_a_malformed_patch_is_refused_with_the_file_and_the_field(
    tmp_path: Path, correct: str, broken: str, field: str, problem: str
) -> None:
    assert correct in SAMPLE
    path = sample(tmp_path, SAMPLE.replace(correct, broken, 1))
    with pytest.raises(KnowledgeError) as refusal:
        read_patch(path)
    assert (refusal.value.file, refusal.value.field, refusal.value.problem) == (str(path), field, problem)


def test_a_file_that_is_no_toml_is_refused(tmp_path: Path) -> None:
    path = sample(tmp_path, "id = ")
    with pytest.raises(KnowledgeError) as refusal:
        read_patch(path)
    assert refusal.value.file == str(path)
