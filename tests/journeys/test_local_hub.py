"""Downloads by paddlex's and huggingface_hub's own code, from a hub on this machine that can fail in many ways."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import paddlevl_doctor
from doctor import Answer, doctor
from doctor import environment as clean_environment
from environments import environment, fresh_copy, python_in, variables
from local_hub import Fault, LocalHub

pytestmark = pytest.mark.xdist_group("current-311")
PROBES = Path(paddlevl_doctor.__file__).parent / "probes"
WEIGHTS = "PaddleOCR-VL-1.6/model.safetensors"
LAYOUT = {f"PP-DocLayoutV3/inference.{end}" for end in ("json", "pdiparams", "yml")}
# Written by the target's Python under the official names; PaddleOCR-VL has a layout model inside, as published.
WRITE = """
import os, shutil, sys
sys.path.insert(0, sys.argv[1])
from selftest import checkpoint, layout, pages, settings
os.mkdir("repositories")
for folder in ("PaddleOCR-VL", "PaddleOCR-VL-1.5", "PaddleOCR-VL-1.6"):
    settings.MODEL_NAME = folder + "-0.9B"
    checkpoint.write_colour("repositories/" + folder)
for folder in ("PP-DocLayoutV2", "PP-DocLayoutV3"):
    layout.MODEL_NAME = folder
    layout.export("repositories/" + folder)
shutil.copytree("repositories/PP-DocLayoutV2", "repositories/PaddleOCR-VL/PP-DocLayoutV2")
pages.paint_page("page.png", [("red", "green", "blue", "yellow")] * 4)
"""
# Runs commands on a disk of 1 MB that has ninety from the second one on; between them an hour passes for the files.
PROGRAM = """
import json, os, pathlib, subprocess, sys, time
place, commands = sys.argv[1], json.loads(sys.argv[2])
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", place], check=True)
said = []
for words in commands:
    done = subprocess.run([sys.executable, "-m", "paddlevl_doctor", *words], capture_output=True, text=True)
    said.append([done.returncode, done.stderr])
    subprocess.run(["mount", "-o", "remount,size=90m", place], check=True)
    for path in pathlib.Path(place).rglob("*"):
        os.utime(path, (time.time() - 3600, time.time() - 3600))
print(json.dumps(said))
"""


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a page of charts, and with the repositories that a hub serves."""
    folder = tmp_path_factory.mktemp("desk")
    venv = environment("current-311")
    argv = [str(python_in(venv)), "-c", WRITE, str(PROBES)]
    subprocess.run(argv, cwd=folder, env=variables(venv), check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def changeable(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment in which `fix` may keep its journal; the packages in it are not touched."""
    return fresh_copy("current-311", tmp_path_factory.mktemp("changeable") / ".venv")


@dataclass(frozen=True)
class Place:
    """A hub, and a fresh folder with a model cache that only it can fill."""

    hub: LocalHub
    desk: Path
    folder: Path
    extra: dict[str, str] = field(default_factory=dict)

    @property
    def models(self) -> Path:
        return self.folder / "model-cache" / "official_models"

    @property
    def env(self) -> dict[str, str]:
        return {**self.hub.environment, "HF_HOME": str(self.folder / "hf"), **self.extra}

    def words(self) -> list[str]:
        """The words that read the page with PaddleOCR-VL itself; a second engine would take as long again."""
        venv = str(environment("current-311"))
        output = str(self.folder / "out")
        page = str(self.desk / "page.png")
        return ["parse", page, "--engine", "native", "--venv", venv, "--output", output, "--witness", "none"]

    def parse(self, *words: str, env: Mapping[str, str] | None = None) -> Answer:
        answer = doctor(
            *self.words(), *words, "--format", "json", cwd=self.folder, env={**self.env, **(env or {})}
        )
        assert "Traceback" not in answer.stderr
        return answer

    def age(self) -> None:
        """Let an hour pass for the files: what was just written may belong to a download that goes on."""
        for path in self.models.rglob("*"):
            os.utime(path, (time.time() - 3600,) * 2)

    def on_a_small_disk(self, place: Path, commands: Sequence[Sequence[str]]) -> list[tuple[int, str]]:
        """Run commands while `place` is a file system of its own; return what each came to, and what it said."""
        place.mkdir()
        argv = ["unshare", "--mount", "--map-root-user", sys.executable, "-c", PROGRAM]
        done = subprocess.run(
            [*argv, str(place), json.dumps(commands)],
            env=clean_environment(self.folder, self.env),
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=True,
        )
        return [(code, said) for code, said in json.loads(done.stdout)]


@pytest.fixture
def place(desk: Path, tmp_path: Path) -> Iterator[Place]:
    repositories = {folder.name: folder for folder in (desk / "repositories").iterdir()}
    with LocalHub(repositories).open() as hub:
        yield Place(hub, desk, tmp_path)


def read(answer: Answer) -> list[str]:
    """Return the kinds of the blocks that were read, having looked that the charts were."""
    assert answer.code == 0, answer.stderr
    (page,) = answer.document["pages"]
    # Red and blue come exchanged: that is what the native backend does to every page (native-bgr-swap).
    assert page["blocks"][0]["text"] == "TL:blue TR:green BL:red BR:cyan [OCR]"
    return [block["kind"] for block in page["blocks"]]


WHOLE = ["doc_title", "text", "table", "display_formula"]


def error(answer: Answer) -> str:
    assert answer.code == 1
    message: str = answer.document["error"]["message"]
    return message


def test_the_weights_are_downloaded_once_and_the_page_is_read(place: Place) -> None:
    answer = place.parse("--witness", "auto")
    assert read(answer) == WHOLE
    ends = ("md", "json", "tables.xlsx", "layout.pdf", "order.pdf")
    names = [Path(path).name for path in answer.document["outputs"]]
    assert names == [*(f"page.{end}" for end in ends), "report.html"]
    repository = place.desk / "repositories" / "PaddleOCR-VL-1.6"
    model = {f"PaddleOCR-VL-1.6/{path.name}" for path in repository.iterdir()}
    assert dict(place.hub.fetched) == dict.fromkeys(model | LAYOUT, 1)
    place.hub.forget()
    assert read(place.parse()) == WHOLE
    assert dict(place.hub.asked) == {}, "what is in the cache is not asked for, nor is the hub"


def test_the_hub_of_another_variable_is_not_used_by_paddlex_and_not_promised(place: Place) -> None:
    """HF_ENDPOINT alone is no hub for paddlex 3.4.0 and later, which names its own endpoint in every call."""
    answer = place.parse(env={"PADDLE_PDX_HUGGING_FACE_ENDPOINT": ""})
    assert "no model hub answers" in error(answer)
    assert dict(place.hub.asked) == {}


def test_the_layout_model_that_lies_inside_the_first_model_is_used_and_not_fetched_again(
    place: Place,
) -> None:
    """Paddlex looks for PP-DocLayoutV2 beside PaddleOCR-VL only; it is told where the one inside is."""
    shutil.copytree(place.desk / "repositories" / "PaddleOCR-VL", place.models / "PaddleOCR-VL")
    assert read(place.parse()) == WHOLE
    assert dict(place.hub.fetched) == {}
    assert [folder.name for folder in place.models.iterdir()] == ["PaddleOCR-VL"]


def test_another_version_is_read_where_it_is_asked_for_and_its_pages_are_its_own(place: Place) -> None:
    assert read(place.parse()) == WHOLE
    older = place.parse("--pipeline-version", "v1.5", "--resume")
    assert read(older) == WHOLE
    assert older.document["documents"][0]["resumed"] == 0, "v1.6 read another text"
    assert "PaddleOCR-VL-1.5/model.safetensors" in place.hub.fetched
    again = place.parse("--pipeline-version", "v1.5", "--resume", "--device", "cpu,cpu")
    assert again.document["documents"][0]["resumed"] == 1, "the devices do not count"


def test_a_download_that_is_cut_twice_goes_on_where_it_was(place: Place, tmp_path: Path) -> None:
    # huggingface_hub keeps whole blocks of 10 MB: only a file above that can go on in its middle.
    repositories = {"PP-DocLayoutV3": place.desk / "repositories/PP-DocLayoutV3"}
    shutil.copytree(place.desk / "repositories/PaddleOCR-VL-1.6", tmp_path / "large")
    (tmp_path / "large" / "picture.bin").write_bytes(bytes(range(256)) * (12 << 12))
    large = LocalHub({**repositories, "PaddleOCR-VL-1.6": tmp_path / "large"})
    with (
        large.open(),
        large.failing("*/picture.bin", Fault("cut", 11 << 20, times=1)),
        large.failing(WEIGHTS, Fault("cut", 700_000, times=2)),
    ):
        assert read(Place(large, place.desk, tmp_path).parse()) == WHOLE
    assert large.ranges == [("PaddleOCR-VL-1.6/picture.bin", f"bytes={10 << 20}-")]
    assert (large.fetched["PaddleOCR-VL-1.6/picture.bin"], large.fetched[WEIGHTS]) == (2, 3)
    written = (place.models / "PaddleOCR-VL-1.6/picture.bin").read_bytes()
    assert written == bytes(range(256)) * (12 << 12)


def test_a_download_that_is_always_cut_is_one_sentence_and_the_next_run_recovers(place: Place) -> None:
    with place.hub.failing(WEIGHTS, Fault("cut", 700_000, times=99)):
        said = error(place.parse())
    assert "received 700000 bytes, expected " in said
    assert place.hub.fetched[WEIGHTS] == 6
    assert [folder.name for folder in place.models.iterdir()] == ["PP-DocLayoutV3"]
    place.hub.forget()
    assert read(place.parse()) == WHOLE
    assert not LAYOUT & set(place.hub.fetched), "what was whole is not fetched again"


@pytest.mark.parametrize(
    ("fault", "cause"),
    [
        (Fault("short", 1000, times=99), "but has size 1000"),
        (Fault("status", 403, times=99), "403 Forbidden"),
    ],
    ids=["short", "403"],
)
def test_what_a_hub_refuses_or_makes_up_leaves_no_model_behind(
    fault: Fault, cause: str, place: Place
) -> None:
    with place.hub.failing("PP-DocLayoutV3/*", fault):
        assert cause in error(place.parse())
    assert list(place.models.glob("*")) == []


def test_a_hub_that_stalls_ends_within_the_limits_of_huggingface_hub(place: Place) -> None:
    with place.hub.failing(WEIGHTS, Fault("stall", 1000, times=99)):
        said = error(place.parse(env={"HF_HUB_DOWNLOAD_TIMEOUT": "1"}))
    assert "timed out" in said
    assert place.hub.stalled.is_set()
    assert place.hub.fetched[WEIGHTS] >= 2, "it was tried again"


@pytest.mark.parametrize(
    ("name", "place_of_bit"), [(WEIGHTS, 20), ("PP-DocLayoutV3/inference.json", 3)], ids=["weights", "layout"]
)
def test_a_file_that_came_corrupt_is_named_set_aside_and_fetched_again(
    name: str, place_of_bit: int, place: Place, changeable: Path
) -> None:
    with place.hub.failing(name, Fault("corrupt", place_of_bit)):
        error(place.parse())
    named = error(place.parse())
    model, _, file = name.partition("/")
    assert f"partial-model-cache: The model {model} is incomplete" in named
    assert file in named
    place.age()
    words = ("fix", "--venv", changeable, "--apply", "--only", "partial-model-cache", "--format", "json")
    cure = doctor(*words, cwd=place.folder, env=place.env)
    assert (cure.code, [one["status"] for one in cure.document["outcome"]]) == (0, ["applied"]), cure.stderr
    place.hub.forget()
    assert read(place.parse()) == WHOLE
    assert place.hub.fetched[name] == 1


def test_one_wrong_bit_in_the_weights_is_seen_by_a_deep_look_and_cured(
    place: Place, changeable: Path
) -> None:
    """The size is right, and so is the header: only the hash that the hub sent tells."""
    last = (place.desk / "repositories" / WEIGHTS).stat().st_size - 2
    with place.hub.failing(WEIGHTS, Fault("corrupt", last)):
        place.parse()
    look = ("check", "--venv", changeable, "--format", "json", "--only", "partial-model-cache")
    quick = doctor(*look, cwd=place.folder, env=place.env)
    assert [one["status"] for one in quick.document["findings"]] == ["ok"]
    deep = doctor(*look, "--deep", cwd=place.folder, env=place.env)
    (finding,) = deep.document["findings"]
    seen = [one["value"] for one in finding["evidence"]]
    assert (finding["status"], seen) == ("error", ["altered: model.safetensors"])
    place.age()
    words = ("fix", "--venv", changeable, "--apply", "--only", "partial-model-cache", "--format", "json")
    cure = doctor(*words, cwd=place.folder, env=place.env)
    assert (cure.code, [one["status"] for one in cure.document["outcome"]]) == (0, ["applied"]), cure.stderr
    assert not (place.models / "PaddleOCR-VL-1.6").exists(), "what is not there is fetched: see above"


def test_a_full_disk_for_temporary_files_is_named_and_the_next_run_recovers(place: Place) -> None:
    small = place.folder / "small"
    limited = Place(place.hub, place.desk, place.folder, {"TMPDIR": str(small)})
    (first, said), (second, also) = limited.on_a_small_disk(small, [limited.words()] * 2)
    assert (first, second) == (1, 0), also
    assert "No space left on device" in said
    assert "Traceback" not in said


def test_a_full_disk_of_the_cache_is_named_and_what_it_left_can_be_cured(
    place: Place, changeable: Path
) -> None:
    small = place.folder / "small"
    limited = Place(place.hub, place.desk, place.folder, {"PADDLE_PDX_CACHE_HOME": str(small)})
    cure = ["fix", "--venv", str(changeable), "--apply", "--only", "partial-model-cache"]
    answers = limited.on_a_small_disk(small, [limited.words(), limited.words(), cure, limited.words()])
    assert [code for code, _ in answers] == [1, 1, 0, 0], answers
    assert "No space left on device" in answers[0][1]
    assert "Invalid cross-device link" not in answers[0][1]
    assert "partial-model-cache: The model PaddleOCR-VL-1.6 is incomplete" in answers[1][1]


def test_models_that_are_whole_and_cannot_be_loaded_are_fetched_anew_beside_them(place: Place) -> None:
    for model in ("PaddleOCR-VL-1.6", "PP-DocLayoutV3"):
        shutil.copytree(place.desk / "repositories" / model, place.models / model)
    config = place.models / "PaddleOCR-VL-1.6" / "config.json"
    wrong = {**json.loads(config.read_text()), "hidden_size": 7}
    config.write_text(json.dumps(wrong))
    answer = place.parse(env={"XDG_CACHE_HOME": str(place.folder / "cache")})

    assert read(answer) == WHOLE
    assert json.loads(config.read_text()) == wrong, "the user's models are left as they are"
    (incident,) = [said for said in answer.document["incidents"] if "downloaded again" in said]
    assert str(place.folder / "cache" / "paddlevl-doctor" / "models") in incident
    assert place.hub.fetched[WEIGHTS] == 1


def test_a_hub_whose_list_of_files_never_comes_ends_the_run_in_one_sentence(place: Place) -> None:
    with place.hub.failing("PaddleOCR-VL-1.6/api", Fault("stall", times=99)):
        said = error(place.parse("--stall", "3"))
    assert "loading the models" in said
