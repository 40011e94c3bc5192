"""What the deep checks make of what probes saw: every outcome of a probe, on machines that are not here."""

from __future__ import annotations

from typing import Any

from checks_machines import CURRENT, T4, context, machine, with_gpu
from paddlevl_doctor.checks.base import Context
from paddlevl_doctor.checks.deep import DEEP, blocked_findings, blocker, judge, merge
from paddlevl_doctor.values.facts import DeepFacts, HubAnswer, ProbeResult
from paddlevl_doctor.values.findings import Finding, Status

GPU_STACK = {**{k: v for k, v in CURRENT.items() if k != "paddlepaddle"}, "paddlepaddle-gpu": "3.2.1"}
READ: dict[str, Any] = {
    "ok": True,
    "seconds": {"import": 2.5},
    "parts": [{"name": "colour", "ok": True, "expected": "A", "got": "A"}],
    "queue_drill": {"blocked": [], "error": None},
    "error": None,
}
NO_IMAGE = "OSError: (External) CUDA error(209), no kernel image is available for execution on the device."


def answered(data: dict[str, Any]) -> ProbeResult:
    return ProbeResult("answered", {"error": None, **data}, "", 2.0)


def silent(status: Any, detail: str) -> ProbeResult:
    return ProbeResult(status, None, detail, 300.0)


def kernels(*failed: tuple[str, str, str]) -> ProbeResult:
    results = [{"name": "matmul", "device": "cpu", "ok": True, "value": 512.0, "error": None}]
    results += [{"name": n, "device": d, "ok": False, "value": None, "error": e} for n, d, e in failed]
    return answered({"results": results})


def error(words: str) -> dict[str, Any]:
    kind, _, message = words.partition(": ")
    return {"type": kind, "message": message, "root": words, "traceback": [words], "module": "paddlex"}


def files(**one: Any) -> ProbeResult:
    row = {"name": "paddlex", "version": "3.7.2", "record": True, "files": 9, "missing": [], "altered": []}
    return answered({"distributions": [{**row, **one}]})


def look(deep: DeepFacts, where: Context | None = None) -> dict[str, str]:
    """Return what the deep checks say, without what is right or does not apply."""
    silent = (Status.OK, Status.SKIPPED)
    found = judge(deep, where or context(machine()))
    assert [f.id for f in found][-len(DEEP) :] == list(DEEP), "every deep finding appears, in its order"
    return {f.id: f.blocked_by or f.status.value for f in found if f.status not in silent}


def healthy(**probes: ProbeResult) -> DeepFacts:
    keys = {key.replace("__", " ").replace("_first", "-first"): value for key, value in probes.items()}
    return DeepFacts(
        {"selftest cpu": answered(READ), "kernels": kernels(), "installed_files": files(), **keys}
    )


def test_a_machine_on_which_everything_answers_well_gives_nothing_to_read() -> None:
    assert look(healthy()) == {}


def test_the_devices_are_those_that_the_probes_say_they_ran_on() -> None:
    two = {"selftest gpu:0": answered({**READ, "device": "cpu"}), "selftest gpu:1": silent("crashed", "")}
    assert DeepFacts(two).selftest_devices() == ("cpu", "gpu:1")


def test_an_import_that_fails_is_one_cause_and_what_needs_it_waits() -> None:
    broken = answered({"error": error("ImportError: libGL.so.1: cannot open shared object file")})
    probes = {
        "selftest cpu": broken,
        "kernels": kernels(),
        "import paddle": answered({}),
        "import paddlex": broken,
        "import paddleocr": broken,
    }
    assert look(DeepFacts(probes)) == {
        "libgl-missing": "error",
        "import-stack": "libgl-missing",
        "self-test": "libgl-missing",
        "queue-deadlock-on-error": "libgl-missing",
    }


def test_an_import_that_fails_for_an_unknown_reason_is_shown_in_its_own_words() -> None:
    broken = answered({"error": error("ImportError: something new")})
    found = judge(DeepFacts({"selftest cpu": broken, "import paddlex": broken}), context(machine()))
    wrong = [f for f in found if f.status is Status.ERROR]
    assert [f.id for f in wrong] == ["import-stack"]
    assert "something new" in f"{wrong[0].title} {wrong[0].evidence[0].value}"


def test_a_probe_that_never_answers_is_unknown_and_not_called_broken() -> None:
    late = silent("timed-out", "no answer in 300 s")
    assert look(DeepFacts({"selftest cpu": late, "import paddle": late, "kernels": late})) == {
        "import-stack": "unknown",
        "self-test": "import-stack",
        "paddle-kernels": "unknown",
        "queue-deadlock-on-error": "import-stack",
    }


def test_a_process_that_is_killed_while_importing_is_an_error() -> None:
    dead = silent("crashed", "SIGSEGV: Segmentation fault")
    found = look(DeepFacts({"selftest cpu": dead, "import paddle": dead, "kernels": dead}))
    assert found["import-stack"] == "error"


def test_a_gpu_without_a_kernel_image_is_named_once_however_many_probes_met_it() -> None:
    gpu = context(with_gpu(GPU_STACK, T4, archs=(80, 86, 90)))
    probes = {
        "selftest gpu:0": answered({**READ, "ok": False, "error": error(NO_IMAGE)}),
        "kernels": kernels(("matmul", "gpu:0", NO_IMAGE)),
    }
    found = look(DeepFacts(probes), gpu)
    causes = [name for name, status in found.items() if status == "error"]
    assert len(causes) == 1
    assert found["self-test"] == found["paddle-kernels"] == causes[0]


def test_one_gpu_of_two_that_cannot_read_is_enough() -> None:
    two = {
        "selftest gpu:0": answered(READ),
        "selftest gpu:1": answered({**READ, "ok": False, "parts": [], "error": error("OSError: odd")}),
    }
    assert look(DeepFacts(two)) == {"self-test": "error"}


def test_a_wrong_reading_is_an_error_that_shows_what_was_expected() -> None:
    part = {"name": "colour", "ok": False, "expected": "red", "got": "blue"}
    wrong = DeepFacts({"selftest cpu": answered({**READ, "ok": False, "parts": [part]})})
    found = {f.id: f for f in judge(wrong, context(machine()))}
    assert found["self-test"].status is Status.ERROR
    assert found["self-test"].evidence[0].value == "colour: expected red, got blue"


def test_a_fused_kernel_that_is_missing_does_no_harm_by_itself() -> None:
    missing = kernels(("fused-kernel", "cpu", "RuntimeError: (NotFound) The kernel `x` is not registered."))
    assert look(healthy(kernels=missing)) == {}


def test_paddle_that_cannot_multiply_is_an_error_in_its_own_words() -> None:
    assert look(healthy(kernels=kernels(("matmul", "cpu", "ValueError: odd")))) == {"paddle-kernels": "error"}


def test_onednn_that_fails_is_a_warning() -> None:
    words = "ConvertPirAttribute2RuntimeAttribute not support [pir::ArrayAttribute<pir::DoubleAttribute>]"
    failing = healthy(kernels=kernels(("onednn-interpolate", "cpu", words)))
    assert look(failing, context(machine({**CURRENT, "paddlepaddle": "3.3.1"}))) == {
        "onednn-pir-doubleattribute": "warning",
        "paddle-kernels": "onednn-pir-doubleattribute",
    }
    assert look(failing) == {"paddle-kernels": "warning"}, "3.2.2 does not have that failure: no guessing"


def test_torch_that_only_loads_first_is_a_warning() -> None:
    crash = silent("crashed", "SIGSEGV")
    assert look(healthy(torch_first=answered({}), paddle_first=crash)) == {"torch-beside": "warning"}


def test_threads_that_stay_after_an_error_are_a_note() -> None:
    stuck = answered({**READ, "queue_drill": {"blocked": ["_worker_cv"], "error": None}})
    assert look(healthy(selftest__cpu=stuck)) == {"queue-deadlock-on-error": "note"}


def test_missing_code_is_an_error_and_removed_tests_are_nothing() -> None:
    assert look(healthy(installed_files=files(missing=["paddlex/a.py"]))) == {"half-installed-dist": "error"}
    spare = ["paddle/include/a.h", "paddlex/tests/test_a.py", "paddlex/README.md"]
    assert look(healthy(installed_files=files(missing=spare))) == {}


def test_only_files_that_others_share_warn_of_the_cache() -> None:
    edited = {"path": "paddlex/a.py", "sha256": "00", "links": 1, "error": None}
    assert look(healthy(installed_files=files(altered=[edited]))) == {"altered-files": "note"}
    shared = look(healthy(installed_files=files(altered=[{**edited, "links": 2}])))
    assert shared == {"uv-cache-contamination": "warning", "altered-files": "note"}


def test_the_certificate_that_a_company_adds_to_certifi_is_noted_and_never_reinstalled_away() -> None:
    edited = {"path": "certifi/cacert.pem", "sha256": "00", "links": 9, "error": None}
    assert look(healthy(installed_files=files(name="certifi", altered=[edited]))) == {"altered-files": "note"}


def test_no_hub_that_answers_is_a_note_and_one_is_enough() -> None:
    hubs = (HubAnswer("bos", "https://a", False, 3.0), HubAnswer("modelscope", "https://b", True, 0.2))
    probes = healthy().probes
    assert look(DeepFacts(probes, hubs[:1])) == {"model-hoster-unreachable": "note"}
    assert look(DeepFacts(probes, hubs)) == {}


def test_what_cannot_be_looked_at_yet_waits_for_what_comes_first() -> None:
    quick = (
        Finding("no-paddle-installed", Status.ERROR, ""),
        Finding("no-paddleocr-installed", Status.BLOCKED, "", blocked_by="target-environment"),
    )
    assert blocker(quick) == "no-paddle-installed"
    assert blocker(quick[1:]) == "target-environment"
    assert blocker(()) is None
    waiting = blocked_findings("no-paddle-installed")
    assert {(f.id, f.blocked_by) for f in waiting} == {(name, "no-paddle-installed") for name in DEEP}


def test_where_the_quick_and_the_deep_look_speak_of_one_thing_the_worse_counts() -> None:
    def finding(status: Status) -> Finding:
        return Finding("half-installed-dist", status, "")

    right, wrong = finding(Status.OK), finding(Status.ERROR)
    assert merge((right,), (wrong,)) == merge((wrong,), (right,)) == (wrong,)
    assert merge((), (right,)) == (right,)
