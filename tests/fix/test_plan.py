"""Findings become steps: which, in which order, with which commands, and what is left alone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from checks_machines import CURRENT, SITE, T4, context, hashes, machine, with_gpu
from paddlevl_doctor.checks import ALL
from paddlevl_doctor.checks.runner import run_checks
from paddlevl_doctor.fix.plan import build_plan
from paddlevl_doctor.fix.plan_input import PlanInput, Site
from paddlevl_doctor.packages.request import Request
from paddlevl_doctor.values.facts import Facts, Gpu, Gpus, Host, PipelinesLink
from paddlevl_doctor.values.findings import Finding, Status, as_dict
from paddlevl_doctor.values.plan import Plan, SetEnvironment, SkippedFix
from wording import worded

NEW = Site("/srv/project/.venv", "/srv/project/.venv/bin/python", exists=False)
OLD = replace(NEW, exists=True)
LINK = PipelinesLink("/srv/project/pipelines", "absent", None, f"{SITE}/paddlex/configs/pipelines")


def plan(facts: Facts, request: Request | None = None) -> Plan:
    known = context(facts)
    site = OLD if facts.target else NEW
    return build_plan(
        PlanInput(known, run_checks(known, ALL), site, request or Request(interpreter="/usr/bin/python3.11"))
    )


def words(made: Plan, step: str) -> tuple[str, ...]:
    return next(s.commands[0] for s in made.steps if s.id == step)


def test_a_healthy_machine_needs_nothing() -> None:
    assert plan(machine()) == Plan()


def test_a_c_library_older_than_that_of_the_tests_gets_the_newest_versions_that_fit() -> None:
    old = machine(target=None)
    old = replace(old, host=replace(old.host, glibc="2.27"))
    assert "--requirements" not in words(plan(old, Request(python_version="3.11")), "install-packages")


def test_nothing_there_becomes_environment_packages_patch_and_link() -> None:
    nothing = machine(target=None, pipelines=replace(LINK, wanted=None))
    made = plan(nothing, Request(interpreter="/usr/bin/python3.11", python_version="3.11"))
    assert [step.id for step in made.steps] == [
        "create-environment",
        "install-packages",
        "patch-doc-preprocessor-defaults",
        "patch-queue-threads-end",
        "link-pipelines",
    ]
    assert words(made, "create-environment")[-3:] == ("--python", "/usr/bin/python3.11", "/srv/project/.venv")
    install = words(made, "install-packages")
    assert install[:7] == ("uv", "pip", "install", "--python", NEW.python, "--only-binary", ":all:")
    assert install[install.index("--requirements") + 1].endswith("matrix/resolved/current-3.11.txt")
    assert install[-6:] == (
        "paddlepaddle==3.2.2",
        "paddleocr[doc-parser]==3.7.0",
        "paddlex==3.7.2",
        "numpy<2.4",
        "safetensors>=0.7.0",
        "setuptools",
    )


def test_an_environment_that_exists_is_not_moved_to_the_tested_versions() -> None:
    made = plan(machine({**CURRENT, "safetensors": "0.6.2"}))
    assert words(made, "install-packages")[5:] == ("--only-binary", ":all:", "safetensors>=0.7.0")


def test_a_gpu_wheel_comes_from_the_flat_page_and_replaces_the_cpu_wheel() -> None:
    made = plan(with_gpu(CURRENT, T4), Request(yes=True))
    assert [step.id for step in made.steps] == ["remove-packages", "install-packages", "set-environment"]
    assert words(made, "remove-packages") == (
        "uv",
        "pip",
        "uninstall",
        "--python",
        OLD.python,
        "paddlepaddle",
    )
    install = words(made, "install-packages")
    assert install[install.index("--find-links") + 1].endswith("/cu126/paddlepaddle-gpu/")
    assert install[-1] == "paddlepaddle-gpu==3.2.1"


def test_nothing_is_removed_that_nobody_agreed_to() -> None:
    facts = with_gpu(CURRENT, T4)
    made = plan(facts)
    assert made.steps == ()
    (left,) = made.skipped
    assert left.finding == "cpu-wheel-gpu-requested"
    assert "removes paddlepaddle" in str(left.reason)
    assert "--yes" in str(left.reason)
    named = plan(facts, Request(only=("cpu-wheel-gpu-requested",)))
    assert [step.id for step in named.steps] == ["remove-packages", "install-packages", "set-environment"]


def test_a_set_that_is_asked_for_removes_nothing_without_a_word_either() -> None:
    from paddlevl_doctor.commands.judge_facts import context_of

    known = context_of(with_gpu(CURRENT, T4), "2025-11")
    findings = run_checks(known, ALL)
    marked = build_plan(PlanInput(known, findings, OLD, Request(set_name="2025-11")))
    held = {step.id: step.needs_consent for step in marked.steps if step.needs_consent}
    assert held == dict.fromkeys(("remove-packages", "install-packages"), ("- paddlepaddle 3.2.2",))
    assert not {"remove-packages", "install-packages"} & {step.id for step in marked.allowed().steps}
    agreed = build_plan(PlanInput(known, findings, OLD, Request(set_name="2025-11", yes=True)))
    assert agreed.steps[0].id == "remove-packages"


def test_both_paddles_are_removed_before_one_is_installed() -> None:
    made = plan(machine({**CURRENT, "paddlepaddle-gpu": "3.2.1"}), Request(yes=True))
    assert words(made, "remove-packages")[-2:] == ("paddlepaddle", "paddlepaddle-gpu")
    assert words(made, "install-packages")[-1] == "paddlepaddle==3.2.2"
    assert made.steps[0].resolves == ("both-paddle-dists",)


def test_a_missing_extra_does_not_move_its_package() -> None:
    made = plan(machine({k: v for k, v in CURRENT.items() if k != "openai"}))
    assert words(made, "install-packages")[-1] == "paddleocr[doc-parser]==3.7.0"


def test_paddles_own_safetensors_is_taken_only_where_asked_for() -> None:
    from paddlevl_doctor.commands.judge_facts import context_of
    from paddlevl_doctor.fix.plan import dev_safetensors

    nothing = context_of(machine(target=None), "2025-11")
    asked = Request(set_name="2025-11", interpreter="3.11", python_version="3.11", dev_safetensors=True)
    install = words(build_plan(PlanInput(nothing, run_checks(nothing, ALL), NEW, asked)), "install-packages")
    (wheel,) = [word for word in install if word.startswith("safetensors")]
    assert wheel.endswith("/safetensors-0.6.2.dev0-cp38-abi3-linux_x86_64.whl")
    assert "--requirements" not in install, "the tested list has another safetensors"
    plain = build_plan(
        PlanInput(nothing, run_checks(nothing, ALL), NEW, replace(asked, dev_safetensors=False))
    )
    assert "safetensors>=0.7.0" in words(plain, "install-packages")
    assert dev_safetensors(context_of(machine(target=None), "current")) is None


def test_what_only_people_can_do_is_named_with_the_way_out() -> None:
    facts = machine()
    assert facts.target is not None
    slim = replace(facts, target=replace(facts.target, missing_libraries=("libGL.so.1",)))
    made = plan(slim)
    assert made.steps == ()
    (left,) = made.skipped
    assert left.finding == "libgl-missing"
    assert "apt" in str(left.reason)


@pytest.mark.parametrize("glibc", ["2.17", "2.26"])
def test_nothing_is_installed_where_nothing_could_run(glibc: str) -> None:
    facts = machine(target=None)
    made = plan(replace(facts, host=replace(facts.host, glibc=glibc)))
    assert made.steps == ()
    assert {left.finding for left in made.skipped} == {"target-environment", "glibc-too-old"}


def test_only_and_skip_choose_the_findings() -> None:
    facts = machine(
        {**CURRENT, "safetensors": "0.6.2"}, patched_files=hashes("3.7.2", patched=False), pipelines=LINK
    )
    only = plan(facts, Request(only=("use-doc-preprocessor",)))
    assert [step.id for step in only.steps] == ["patch-doc-preprocessor-defaults"]
    assert [left.finding for left in only.skipped] == ["safetensors-framework-paddle"]
    skip = plan(facts, Request(skip=("use-doc-preprocessor", "pipelines-link")))
    assert [step.id for step in skip.steps] == ["install-packages", "patch-queue-threads-end"]


@pytest.mark.parametrize("state", ["not-a-link", "other-link", "right", "read-only"])
def test_a_file_or_a_foreign_link_called_pipelines_is_not_touched(state: str) -> None:
    assert plan(machine(pipelines=replace(LINK, state=state))).steps == ()


def test_a_set_that_is_asked_for_is_installed_whole() -> None:
    from paddlevl_doctor.commands.judge_facts import context_of

    known = context_of(machine(patched_files=hashes("3.7.2", patched=False)), "2025-11")
    made = build_plan(PlanInput(known, run_checks(known, ALL), OLD, Request(set_name="2025-11")))
    assert [step.id for step in made.steps] == [
        "install-packages",
        "patch-doc-preprocessor-defaults",
        "patch-queue-threads-end",
    ]
    assert {"paddlepaddle==3.2.0", "paddleocr[doc-parser]==3.3.1", "paddlex==3.3.6"} <= set(
        words(made, "install-packages")
    )


def test_a_patch_that_is_only_offered_comes_when_its_finding_is_named_and_never_else() -> None:
    pristine = machine(patched_files=hashes("3.7.2", patched=False))
    unasked = plan(pristine)
    assert [step.id for step in unasked.steps] == [
        "patch-doc-preprocessor-defaults",
        "patch-queue-threads-end",
    ]
    asked = plan(pristine, Request(only=("native-bgr-swap",)))
    assert [(step.id, step.resolves) for step in asked.steps] == [
        ("patch-image-channel-order", ("native-bgr-swap",))
    ]
    both = Request(only=("native-bgr-swap",), skip=("native-bgr-swap",))
    assert plan(pristine, both).steps == ()


def test_an_offered_patch_for_a_warning_is_left_with_the_word_that_brings_it() -> None:
    known = context(machine(patched_files=hashes("3.7.2", patched=False)))
    warning = Finding("native-bgr-swap", Status.WARNING, "red is blue")
    made = build_plan(PlanInput(known, [warning], OLD, Request(interpreter="/usr/bin/python3.11")))
    assert worded(made) == Plan(
        skipped=(
            SkippedFix(
                "native-bgr-swap",
                "its patch is applied only on request: `paddlevl-doctor fix --apply --only native-bgr-swap`",
            ),
        )
    )


def test_a_patch_is_planned_for_a_failure_that_no_quick_check_sees_when_it_is_named() -> None:
    pristine = machine(patched_files=hashes("3.7.2", patched=False))
    asked = plan(pristine, Request(only=("queue-deadlock-on-error", "no-such-finding")))
    assert [step.id for step in asked.steps] == ["patch-queue-threads-end"]


def test_a_patch_that_is_in_place_is_not_planned_again() -> None:
    named = Request(only=("queue-deadlock-on-error", "native-bgr-swap", "use-doc-preprocessor"))
    assert plan(machine(patched_files=hashes("3.7.2", patched=True)), named) == Plan()


def activation(made: Plan) -> tuple[str, str, tuple[str, ...]] | None:
    found = next((s for s in made.steps if isinstance(s, SetEnvironment)), None)
    return found and (found.path, found.content, found.resolves)


def test_a_new_environment_for_a_gpu_gets_a_file_with_the_variables_to_start_with() -> None:
    gpu = with_gpu({}, T4)
    made = plan(replace(gpu, target=None, pipelines=replace(LINK, wanted=None)))
    assert [step.kind for step in made.steps][-2:] == ["set-environment", "link-pipelines"]
    path, content, resolves = activation(made) or ("", "", ())
    assert (path, resolves) == ("/srv/project/.venv/paddlevl-env.sh", ())
    assert "export FLAGS_allocator_strategy=naive_best_fit\n" in content


@pytest.mark.parametrize("reason", ["library-not-on-path", "driver-of-linux-in-wsl"])
def test_under_wsl_the_file_names_the_folder_of_the_driver_and_cures_the_finding(reason: str) -> None:
    hidden = Gpus(reason=reason, detail="/usr/lib/wsl/lib/libcuda.so.1")
    wsl = machine(host=replace(machine().host, wsl="2"), gpus=hidden)
    path, content, resolves = activation(plan(wsl)) or ("", "", ())
    assert (path, resolves) == ("/srv/project/.venv/paddlevl-env.sh", ("wsl-libcuda-not-found",))
    assert "export LD_LIBRARY_PATH=/usr/lib/wsl/lib" in content


def test_on_windows_the_file_is_one_for_powershell() -> None:
    gpu = with_gpu({}, T4, driver="560.76", host=Host("windows", "10.0.22631", "x86_64", cpu_count=8))
    made = plan(replace(gpu, target=None, pipelines=replace(LINK, wanted=None)))
    path, content, _ = activation(made) or ("", "", ())
    assert path == "/srv/project/.venv/paddlevl-env.ps1"
    assert content.startswith("\ufeff# ")
    assert "$env:FLAGS_allocator_strategy = 'naive_best_fit'\n" in content
    step = next(s for s in made.steps if s.kind == "set-environment")
    assert "\ufeff" not in step.diff


def test_an_interpreter_without_an_environment_gets_no_file() -> None:
    hidden = Gpus(reason="library-not-on-path", detail="/usr/lib/wsl/lib/libcuda.so.1")
    wsl = machine(host=replace(machine().host, wsl="2"), gpus=hidden)
    assert wsl.target is not None
    bare = replace(wsl, target=replace(wsl.target, prefix="/usr"))
    assert activation(plan(bare)) is None


RTX_5090 = Gpu(0, "NVIDIA GeForce RTX 5090", "12.0", 32607, 32000)
CUDA = {**{k: v for k, v in CURRENT.items() if k != "paddlepaddle"}, "paddlepaddle-gpu": "3.2.1"}


def test_a_wheel_of_another_cuda_line_is_installed_again_though_its_version_is_the_same() -> None:
    """An installer that is told nothing takes the one that is there for the right one, and changes nothing."""
    made = plan(with_gpu(CUDA, RTX_5090, driver="580.95.05", archs=(75, 80, 86, 90)))
    (step,) = [step for step in made.steps if step.kind == "install-packages"]
    assert step.resolves == ("blackwell-arch-mismatch",)
    assert step.commands[0][-3:] == ("--reinstall-package", "paddlepaddle-gpu", "paddlepaddle-gpu==3.2.1")


def test_a_wheel_of_the_right_cuda_line_is_not_installed_again_with_something_else() -> None:
    made = plan(with_gpu({**CUDA, "safetensors": "0.6.2"}, T4, archs=(75, 80)))
    assert words(made, "install-packages")[-1] == "safetensors>=0.7.0"


def damaged(*, patched: bool, **more: object) -> Facts:
    """A paddlex whose record an interrupted installer left half written."""
    found = machine(patched_files=hashes("3.7.2", patched=patched), pipelines=LINK, **more)
    assert found.target is not None
    changed = tuple(replace(d, has_record=d.name != "paddlex") for d in found.target.distributions)
    return replace(found, target=replace(found.target, distributions=changed))


def test_only_a_reinstallation_brings_no_patch_that_was_not_there() -> None:
    only = Request(only=("half-installed-dist",))
    unpatched = [step.id for step in plan(damaged(patched=False), only).steps]
    assert unpatched == ["clear-leftovers", "install-packages"]
    patched = [step.id for step in plan(damaged(patched=True), only).steps]
    assert patched[:2] == unpatched
    assert {"patch-doc-preprocessor-defaults", "patch-queue-threads-end"} <= set(patched)
    everything = [step.id for step in plan(damaged(patched=False)).steps]
    assert "patch-doc-preprocessor-defaults" in everything


def test_the_link_is_a_convenience_and_no_other_step_is() -> None:
    made = plan(machine(target=None, pipelines=replace(LINK, wanted=None)))
    assert [step["id"] for step in as_dict(made)["steps"] if step["optional"]] == ["link-pipelines"]
