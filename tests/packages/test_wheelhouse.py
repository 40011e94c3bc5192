"""A wheelhouse: what is collected for which machine, and every way in which a folder is not what its list says."""

from __future__ import annotations

import hashlib
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from broken_server import Manners, broken_server
from doctor import doctor
from paddlevl_doctor.facts.host import collect_host
from paddlevl_doctor.packages.collect_wheels import (
    CollectedWheelhouse,
    WheelhouseSpec,
    export_wheelhouse,
    fetch_all,
)
from paddlevl_doctor.packages.download import DownloadError, Limits
from paddlevl_doctor.packages.http_range import DownloadRequest
from paddlevl_doctor.packages.resolve import LockedWheel, TargetPlatform, least_glibc, read_pylock
from paddlevl_doctor.packages.uv import UvError
from paddlevl_doctor.packages.wheelhouse import Wheelhouse
from paddlevl_doctor.system.machine import RealSystem
from paddlevl_doctor.values.errors import DoctorError, UsageError
from paddlevl_doctor.values.findings import Advance
from wheels import index, wheel
from wording import worded

LINUX = TargetPlatform("linux", "x86_64", "3.12")
ABOVE = wheel("above", "1.0", ["below>=2", 'only-windows; sys_platform == "win32"'])
BELOW = wheel("below", "2.1", padding=50_000)
OLD_GLIBC = wheel("below", "2.2", tag="cp312-cp312-manylinux_2_17_x86_64")
NEW_GLIBC = wheel("below", "2.2", tag="cp312-cp312-manylinux_2_28_x86_64")
FOR_WINDOWS = wheel("below", "2.2", tag="cp312-cp312-win_amd64")
ONLY_WINDOWS = wheel("only-windows", "1")
EVERYTHING = (ABOVE, BELOW, OLD_GLIBC, NEW_GLIBC, FOR_WINDOWS, ONLY_WINDOWS)
QUICK = Limits(stall=5, attempts=2, pause=0.01)


def collect(folder: Path, machine: TargetPlatform, *wheels: tuple[str, bytes], **more: object) -> Wheelhouse:
    with broken_server(index(*(wheels or EVERYTHING))) as server:
        spec = WheelhouseSpec("test", ("above",), machine, index=server.url("simple"))
        made = export_wheelhouse(RealSystem(), replace(spec, **more), folder, limits=QUICK)  # type: ignore[arg-type]
        return made.wheelhouse


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


LISTS = ["README.md", "requirements.txt", "wheelhouse.toml"]


def test_a_house_for_linux_holds_what_linux_needs_in_its_widest_form(tmp_path: Path) -> None:
    house = collect(tmp_path / "house", LINUX)
    assert [(w.name, w.version, w.file) for w in house.wheels] == [
        ("above", "1.0", ABOVE[0]),
        ("below", "2.2", OLD_GLIBC[0]),
    ]
    assert files(house.folder) == sorted([*LISTS, ABOVE[0], OLD_GLIBC[0]])
    assert Wheelhouse.check(house.folder) == house


def test_a_house_for_windows_is_made_on_any_machine(tmp_path: Path) -> None:
    house = collect(tmp_path / "house", TargetPlatform("windows", "x86_64", "3.12"))
    assert [w.file for w in house.wheels] == [ABOVE[0], FOR_WINDOWS[0], ONLY_WINDOWS[0]]


def _of_glibc(version: str, glibc: str) -> tuple[str, bytes]:
    return wheel("below", version, tag=f"cp312-cp312-manylinux_{glibc}_x86_64")


# What uv can resolve for jumps from 2.17 to 2.28 and ends with 2.40.
@pytest.mark.parametrize(
    ("glibc", "chosen"),
    [
        ("2.17", "2.1-py3-none-any"),
        ("2.26", "2.1-py3-none-any"),
        ("2.27", "2.2-cp312-cp312-manylinux_2_27_x86_64"),
        ("2.28", "2.3-cp312-cp312-manylinux_2_28_x86_64"),
        ("2.36", "2.4-cp312-cp312-manylinux_2_36_x86_64"),
        ("2.41", "2.5-cp312-cp312-manylinux_2_39_x86_64"),
    ],
)
def test_a_machine_gets_the_newest_wheels_that_its_c_library_runs(
    glibc: str, chosen: str, tmp_path: Path
) -> None:
    rows = {"2.2": "2_27", "2.3": "2_28", "2.4": "2_36", "2.5": "2_39"}
    wheels = (ABOVE, BELOW, *(_of_glibc(*row) for row in rows.items()))
    house = collect(tmp_path / "house", replace(LINUX, glibc=glibc), *wheels)
    assert [w.file for w in house.wheels] == [ABOVE[0], f"below-{chosen}.whl"]


def test_a_c_library_that_no_wheel_runs_with_is_refused_with_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(DoctorError) as caught:
        collect(tmp_path / "house", replace(LINUX, glibc="2.27"), ABOVE, NEW_GLIBC)
    assert str(caught.value) == (
        "No version was found that has a wheel for glibc 2.27: below. Use a newer release of the "
        "system, or a container with one (debian:12, ubuntu:22.04)."
    )


def test_a_python_without_a_compiled_wheel_gets_the_pure_one(tmp_path: Path) -> None:
    house = collect(tmp_path / "house", replace(LINUX, python="3.11"))
    assert [w.file for w in house.wheels] == [ABOVE[0], BELOW[0]]


def test_nothing_is_published_for_an_intel_mac(tmp_path: Path) -> None:
    with pytest.raises(DoctorError, match="No wheels are published for macos on x86_64"):
        collect(tmp_path / "house", TargetPlatform("macos", "x86_64", "3.12"))
    assert files(tmp_path) == []


def test_a_large_wheel_is_fetched_before_uv_asks_for_it(tmp_path: Path) -> None:
    large = wheel("large", "1", ["below"], padding=200_000)
    with broken_server({large[0]: large[1]}, Manners(cut_after=80_000)) as server:
        wanted = DownloadRequest(large[0], (server.url(large[0]),), least=100_000)
        house = collect(tmp_path / "house", LINUX, requirements=("large",), large=(wanted,))
        assert server.sent == len(large[1])
    assert [w.file for w in house.wheels] == [OLD_GLIBC[0], large[0]]


def test_versions_that_the_index_has_no_more_give_way_to_newer_ones(tmp_path: Path) -> None:
    tested = tmp_path / "tested.txt"
    tested.write_text("below==2.1\n", encoding="utf-8")
    assert [w.version for w in collect(tmp_path / "a", LINUX, tested=tested).wheels] == ["1.0", "2.1"]
    tested.write_text("below==2.0\n", encoding="utf-8")
    assert [w.version for w in collect(tmp_path / "b", LINUX, tested=tested).wheels] == ["1.0", "2.2"]


def test_the_fallback_to_newer_versions_is_said_with_its_reason(tmp_path: Path) -> None:
    tested = tmp_path / "tested.txt"
    tested.write_text("below==2.1\n", encoding="utf-8")
    picky = wheel("below", "2.1", python=">=3.12.5")
    with broken_server(index(ABOVE, BELOW)) as fine, broken_server(index(ABOVE, picky, OLD_GLIBC)) as other:
        made = [
            export_wheelhouse(
                RealSystem(),
                WheelhouseSpec("test", ("above",), LINUX, tested, index=server.url("simple")),
                tmp_path / name,
                limits=QUICK,
            )
            for name, server in (("fine", fine), ("other", other))
        ]
    assert [made[0].untested, *(w.version for w in made[0].wheelhouse.wheels)] == [None, "1.0", "2.1"]
    assert [w.version for w in made[1].wheelhouse.wheels] == ["1.0", "2.2"]
    assert ">=3.12.5" in str(made[1].untested)
    pages = [(one.wheelhouse.folder / "README.md").read_text(encoding="utf-8") for one in made]
    assert ["these are the newest compatible versions" in page for page in pages] == [False, True]


def test_an_index_that_does_not_answer_is_no_reason_for_other_versions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tested = tmp_path / "tested.txt"
    tested.write_text("below==2.1\n", encoding="utf-8")
    asked = []

    def silent(*words: object) -> None:
        asked.append(words)
        raise UvError("cannot reach the package index: dns error")

    monkeypatch.setattr("paddlevl_doctor.packages.collect_wheels.lock", silent)
    spec = WheelhouseSpec("test", ("above",), LINUX, tested)
    with pytest.raises(UvError, match="dns error"):
        export_wheelhouse(RealSystem(), spec, tmp_path / "house", limits=QUICK)
    assert len(asked) == 1


def test_a_stopped_collection_is_no_house_and_is_continued(tmp_path: Path) -> None:
    folder = tmp_path / "house"
    served = index(ABOVE, OLD_GLIBC)
    with broken_server(served) as server:
        spec = WheelhouseSpec("test", ("above",), LINUX, index=server.url("simple"))
        wheel_file = served.pop(f"files/{OLD_GLIBC[0]}")
        server.files[f"files/{OLD_GLIBC[0]}"] = wheel_file[:-10] + bytes(
            10
        )  # the bytes are not those promised
        with pytest.raises(DoctorError):
            export_wheelhouse(RealSystem(), spec, folder, limits=QUICK)
        with pytest.raises(DoctorError, match="is not a complete wheelhouse"):
            Wheelhouse.check(folder)
        server.files[f"files/{OLD_GLIBC[0]}"] = wheel_file
        assert len(export_wheelhouse(RealSystem(), spec, folder, limits=QUICK).wheelhouse.wheels) == 2
        asked = [path for path, _ in server.asked if path == f"/files/{ABOVE[0]}"]
    assert files(folder) == sorted([*LISTS, ABOVE[0], OLD_GLIBC[0]])
    assert asked != []


def test_a_house_that_is_made_again_loses_what_it_needs_no_more(tmp_path: Path) -> None:
    folder = tmp_path / "house"
    collect(folder, LINUX, ABOVE, BELOW)
    house = collect(folder, LINUX)
    assert [w.file for w in house.wheels] == [ABOVE[0], OLD_GLIBC[0]]
    assert files(folder) == sorted([*LISTS, ABOVE[0], OLD_GLIBC[0]])


def test_a_folder_with_other_things_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(UsageError, match="is not empty and is not a wheelhouse"):
        collect(tmp_path, LINUX)
    assert files(tmp_path) == ["thesis.txt"]


def test_a_wheel_that_nobody_gives_is_named(tmp_path: Path) -> None:
    served = index(*EVERYTHING)
    del served[f"files/{OLD_GLIBC[0]}"]
    with broken_server(served) as server, pytest.raises(DoctorError, match="404"):
        spec = WheelhouseSpec("test", ("above",), LINUX, index=server.url("simple"))
        export_wheelhouse(RealSystem(), spec, tmp_path / "house", limits=QUICK)


# --- wheels of one name for several CUDA lines


def gpu_house(
    folder: Path, tag: str, gpu: tuple[str, bytes]
) -> tuple[CollectedWheelhouse, list[tuple[str, str | None]]]:
    """Collect a house with this wheel, and return what the server of the wheel was asked for, too."""
    with broken_server({gpu[0]: gpu[1]}) as large, broken_server(index(*EVERYTHING)) as server:
        wanted = DownloadRequest(gpu[0], (large.url(gpu[0]),), least=1_000, tag=tag)
        spec = WheelhouseSpec(
            "test", ("paddlepaddle-gpu",), LINUX, large=(wanted,), index=server.url("simple")
        )
        return export_wheelhouse(RealSystem(), spec, folder, limits=QUICK), [
            asked for asked in large.asked if asked[0].endswith(".whl")
        ]


def gpu_wheel(cuda: str | None, padding: int = 50_000) -> tuple[str, bytes]:
    return wheel(
        "paddlepaddle-gpu", "3.2.1", ["below"], tag="cp312-cp312-linux_x86_64", padding=padding, cuda=cuda
    )


@pytest.mark.parametrize("says", [True, False], ids=["the-wheel-says-so", "only-the-list-says-so"])
def test_a_house_that_is_made_again_for_another_cuda_line_gets_its_wheel(says: bool, tmp_path: Path) -> None:
    old, new = gpu_wheel("12.6" if says else None), gpu_wheel("12.9" if says else None, 60_000)
    name = old[0]
    assert name == new[0]
    first, _ = gpu_house(tmp_path / "house", "cu126", old)
    again, asked = gpu_house(tmp_path / "house", "cu126", old)
    assert (first.dropped, again.dropped, first.wheelhouse, asked) == ((), (), again.wheelhouse, [])
    other, _ = gpu_house(tmp_path / "house", "cu129", new)
    assert (tmp_path / "house" / name).read_bytes() == new[1]
    dropped = f"{name} in the folder was for cu126; it was deleted, and the wheel for cu129 was downloaded."
    assert (other.wheelhouse.tag, worded(other.dropped)) == ("cu129", (dropped,))
    assert Wheelhouse.check(tmp_path / "house") == other.wheelhouse


def test_a_part_for_another_cuda_line_is_not_continued(tmp_path: Path) -> None:
    folder, (name, data) = tmp_path / "house", gpu_wheel("12.6")
    with broken_server({name: data}, Manners(cut_after=20_000)) as server, pytest.raises(DownloadError):
        wanted = DownloadRequest(name, (server.url(name),), least=1_000, tag="cu126")
        spec = WheelhouseSpec("test", ("paddlepaddle-gpu",), LINUX, large=(wanted,))
        export_wheelhouse(RealSystem(), spec, folder, limits=replace(QUICK, attempts=1))
    same, other = tmp_path / "same", tmp_path / "other"
    shutil.copytree(folder, same)
    shutil.copytree(folder, other)
    made, asked = gpu_house(same, "cu126", (name, data))
    assert (made.dropped, asked) == ((), [(f"/{name}", "bytes=20000-")])
    made, asked = gpu_house(other, "cu129", gpu_wheel("12.9"))
    dropped = (
        f".{name}.part in the folder was for cu126; it was deleted, and the wheel for cu129 was downloaded."
    )
    assert (worded(made.dropped), asked) == ((dropped,), [(f"/{name}", None)])


def test_a_house_for_another_cuda_line_is_refused(tmp_path: Path) -> None:
    house = gpu_house(tmp_path / "house", "cu126", gpu_wheel("12.6"))[0].wheelhouse
    house.refuse_other_variant("cu126")
    with pytest.raises(DoctorError) as caught:
        house.refuse_other_variant("cu129")
    assert str(caught.value) == (
        f"The wheelhouse {house.folder} has paddlepaddle-gpu for cu126, but the GPU and driver of "
        "this machine need cu129. Nothing was changed; create one with the --gpu and --driver of "
        "this machine."
    )


@pytest.mark.parametrize(("cuda", "said"), [("12.6", "cu126"), (None, "an unnamed CUDA version")])
def test_a_list_without_a_cuda_line_gives_way_to_what_the_wheel_says(
    cuda: str | None, said: str, tmp_path: Path
) -> None:
    house = replace(gpu_house(tmp_path / "house", "cu126", gpu_wheel(cuda))[0].wheelhouse, tag=None)
    with pytest.raises(DoctorError, match=f"has paddlepaddle-gpu for {said}, but"):
        house.refuse_other_variant("cu129")
    if cuda is not None:
        house.refuse_other_variant("cu126")


# --- what an index does not say, and what a disk does not take


def test_wheels_of_an_index_without_hashes_are_hashed_here(tmp_path: Path) -> None:
    with broken_server(index(ABOVE, BELOW, hashes=False)) as server:
        spec = WheelhouseSpec("test", ("above",), LINUX, index=server.url("simple"))
        house = export_wheelhouse(RealSystem(), spec, tmp_path / "house", limits=QUICK).wheelhouse
    assert [w.sha256 for w in house.wheels] == [
        hashlib.sha256(data).hexdigest() for _, data in (ABOVE, BELOW)
    ]


def test_a_package_without_a_wheel_is_named() -> None:
    words = '[[packages]]\nname = "a"\nversion = "1"\n'
    with pytest.raises(DoctorError) as caught:
        read_pylock(words, LINUX)
    assert str(caught.value) == (
        "The index has no wheel of a for linux x86_64, Python 3.12. Choose another index with "
        "--mirror, or another --set or --python."
    )


def test_a_full_disk_is_one_sentence_and_the_folder_is_continued(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as full:
        full.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=10))
        with pytest.raises(DoctorError) as caught:
            collect(tmp_path / "house", LINUX)
    assert str(caught.value) == (
        f"{tmp_path / 'house'} cannot be written: No space left on device. Free some space, or choose "
        "another folder. Downloaded files are kept; run the same command again to resume."
    )
    assert len(collect(tmp_path / "house", LINUX).wheels) == 2


def test_where_one_wheel_cannot_be_had_the_others_are_not_waited_for(tmp_path: Path) -> None:
    large = wheel("large", "1", padding=1_000_000)
    with broken_server({large[0]: large[1]}, Manners(rate=100_000)) as slow, broken_server({}) as lacking:
        spec = [
            LockedWheel("large", "1", large[0], slow.url(large[0]), None, None),
            LockedWheel("above", "1.0", ABOVE[0], lacking.url(ABOVE[0]), None, None),
        ]
        with pytest.raises(DownloadError, match=ABOVE[0]):
            fetch_all(spec, tmp_path, Advance(), QUICK)
        assert slow.sent < len(large[1])


# --- what is not as it was made


def truncate(house: Wheelhouse) -> None:
    path = house.folder / OLD_GLIBC[0]
    path.write_bytes(path.read_bytes()[:-1])


def tamper(house: Wheelhouse) -> None:
    path = house.folder / OLD_GLIBC[0]
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


def lose(house: Wheelhouse) -> None:
    (house.folder / OLD_GLIBC[0]).unlink()


def smuggle(house: Wheelhouse) -> None:
    (house.folder / "below-99-py3-none-any.whl").write_bytes(BELOW[1])


def rewrite(house: Wheelhouse) -> None:
    house.requirements_file.write_text("below==99\n", encoding="utf-8")


def unlist(house: Wheelhouse) -> None:
    (house.folder / "wheelhouse.toml").unlink()


def garble(house: Wheelhouse) -> None:
    (house.folder / "wheelhouse.toml").write_bytes(b"[[wheel]\xff")


def lead_out(house: Wheelhouse) -> None:
    path = house.folder / "wheelhouse.toml"
    words = path.read_text(encoding="utf-8")
    path.write_text(words.replace(f'"{OLD_GLIBC[0]}"', '"../other.whl"'), encoding="utf-8")


FAULTS: dict[str, tuple[Callable[[Wheelhouse], None], str]] = {
    "truncated": (truncate, f"{OLD_GLIBC[0]}: {len(OLD_GLIBC[1]) - 1} bytes instead of {len(OLD_GLIBC[1])}"),
    "tampered": (tamper, f"{OLD_GLIBC[0]}: its SHA-256 differs from the recorded one"),
    "missing": (lose, f"{OLD_GLIBC[0]}: missing"),
    "smuggled": (smuggle, "below-99-py3-none-any.whl: not in the list"),
    "other-requirements": (rewrite, "requirements.txt: does not match the list"),
    "no-list": (unlist, "is not a complete wheelhouse: it has no wheelhouse.toml"),
    "garbled-list": (garble, "is not a complete wheelhouse"),
    "leads-out": (lead_out, "a wheel outside the folder"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_damaged_house_is_one_sentence_and_nothing_is_changed(fault: str, tmp_path: Path) -> None:
    damage, reason = FAULTS[fault]
    house = collect(tmp_path / "house", LINUX)
    damage(house)
    project = tmp_path / "project"
    project.mkdir()
    answer = doctor("fix", "--apply", "--wheelhouse", house.folder, cwd=project)
    assert (answer.code, answer.stdout, answer.stderr.count("\n")) == (1, "", 1)
    assert reason in answer.stderr
    assert files(project) == []


def here() -> TargetPlatform:
    host = collect_host(RealSystem())
    return TargetPlatform(host.system, host.machine, f"{sys.version_info.major}.{sys.version_info.minor}")


def test_a_house_without_what_this_machine_needs_says_what_it_lacks(tmp_path: Path) -> None:
    house = collect(tmp_path / "house", here(), ABOVE, BELOW)
    answer = doctor("fix", "--apply", "--wheelhouse", house.folder, cwd=tmp_path)
    assert (answer.code, answer.stderr.count("\n")) == (1, 1)
    assert "lacks paddlepaddle==3.2.2, paddleocr[doc-parser]==3.7.0, paddlex==3.7.2" in answer.stderr


def test_a_house_for_another_system_is_refused(tmp_path: Path) -> None:
    house = collect(tmp_path / "house", replace(here(), system="windows"))
    answer = doctor("fix", "--wheelhouse", house.folder, cwd=tmp_path)
    assert (answer.code, answer.stderr.count("\n")) == (1, 1)
    assert "is for windows x86_64" in answer.stderr


@pytest.mark.parametrize("other", [("--mirror", "http://127.0.0.1:9/simple"), ("--dev-safetensors",)])
def test_a_house_goes_with_no_option_that_needs_a_network(other: tuple[str, ...], tmp_path: Path) -> None:
    answer = doctor("fix", "--wheelhouse", tmp_path, *other, cwd=tmp_path)
    assert (answer.code, answer.stdout) == (2, "")


def test_the_lists_hold_no_address_and_no_credentials(tmp_path: Path) -> None:
    house = collect(tmp_path / "house", LINUX)
    for name in LISTS:
        assert "127.0.0.1" not in (house.folder / name).read_text(encoding="utf-8")


def test_a_wheel_named_by_its_address_is_read_from_the_lock() -> None:
    words = (
        '[[packages]]\nname = "a"\nversion = "1"\n'
        'archive = { url = "http://h/a-1-py3-none-any.whl", hashes = { sha256 = "00" } }\n'
    )
    (wheel_row,) = read_pylock(words, LINUX)
    assert (wheel_row.file, wheel_row.url) == ("a-1-py3-none-any.whl", "http://h/a-1-py3-none-any.whl")


@pytest.mark.parametrize(
    ("file", "least"),
    [
        ("a-1-py3-none-any.whl", (0,)),
        ("a-1-cp312-cp312-linux_x86_64.whl", (0,)),
        ("a-1-cp312-cp312-manylinux_2_28_x86_64.whl", (2, 28)),
        ("a-1-cp312-cp312-manylinux_2_17_x86_64.manylinux2014_x86_64.whl", (2, 17)),
        ("a-1-cp312-cp312-manylinux_2_27_x86_64.manylinux_2_28_x86_64.whl", (2, 27)),
        ("a-1-cp312-cp312-manylinux1_x86_64.whl", (2, 5)),
        ("a-1-cp312-cp312-manylinux2010_x86_64.whl", (2, 12)),
    ],
)
def test_a_wheels_name_says_which_glibc_it_needs(file: str, least: tuple[int, ...]) -> None:
    assert least_glibc(file) == least


def test_a_house_with_wheels_for_a_newer_glibc_is_refused(tmp_path: Path) -> None:
    """By what its wheels need, not by where it was made: one made on a newer system may well fit."""
    house = collect(tmp_path / "house", replace(LINUX, glibc="2.36"), ABOVE, NEW_GLIBC)
    house.refuse_other(replace(LINUX, glibc="2.28"))
    house.refuse_other(LINUX)
    with pytest.raises(
        DoctorError, match=rf"needs glibc 2\.28 \({NEW_GLIBC[0]}\), but this machine has 2\.17"
    ):
        house.refuse_other(replace(LINUX, glibc="2.17"))


def test_a_server_that_lies_about_a_small_wheel_is_not_believed(tmp_path: Path) -> None:
    with broken_server(index(ABOVE, BELOW)) as server, pytest.raises(DownloadError, match="bytes instead of"):
        spec = WheelhouseSpec("test", ("above",), LINUX, index=server.url("simple"))
        wanted = DownloadRequest("x-1-py3-none-any.whl", (server.url(f"files/{BELOW[0]}"),), size=3)
        export_wheelhouse(RealSystem(), replace(spec, large=(wanted,)), tmp_path / "house", limits=QUICK)
