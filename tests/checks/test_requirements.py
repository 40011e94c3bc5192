"""Markers, and which unmet requirements are whose, on described machines."""

from __future__ import annotations

from dataclasses import replace

import pytest
from packaging.markers import Marker
from test_package_rules import described

from checks_machines import CURRENT, machine, problems
from paddlevl_doctor.checks.requirements import holds, marker_environment, parse
from paddlevl_doctor.values.facts import Facts, Host

MARKERS = (
    "",
    'extra == "ocr"',
    "extra == 'other'",
    'python_version == "3.8"',
    'python_version >= "3.9" and extra == "genai_client"',
    "python_full_version < '3.11.8'",
    'platform_machine == "amd64" or (platform_machine == "x86_64" and (sys_platform != "win32" or os_name == "nt"))',
    '(python_version < "3.9" or platform_system == "Darwin") and extra == "ocr"',
    "implementation_name != 'PyPy'",
    'sys_platform in "linux darwin"',
    '"linux" == sys_platform',
    'python_version ~= "3.10"',
    'platform_python_implementation == "CPython" and python_version not in "3.8 3.9"',
)


@pytest.mark.parametrize("marker", MARKERS)
def test_a_marker_means_what_packaging_says(marker: str) -> None:
    facts = machine()
    assert facts.target is not None
    environment = marker_environment(facts.host, facts.target)
    extras = ("ocr", "genai-client")
    wanted = not marker or any(Marker(marker).evaluate({**environment, "extra": e}) for e in (*extras, ""))
    assert holds(marker, environment, extras) is wanted


def test_a_line_is_read_in_every_form_that_metadata_has() -> None:
    lines = (
        "Foo_Bar[A, b-c] (<2,>=1.0) ; python_version > '3'",
        "foo @ https://a/b.whl ; extra == 'x'",
        "a.b~=1.0",
        "c[d]>=1,!=1.2.*",
        "e",
    )
    found = [(one.name, one.extras, one.specifier, one.marker) for one in map(parse, lines)]
    assert found == [
        ("foo-bar", ("a", "b-c"), "<2,>=1.0", "python_version > '3'"),
        ("foo", (), "", "extra == 'x'"),
        ("a-b", (), "~=1.0", ""),
        ("c", ("d",), ">=1,!=1.2.*", ""),
        ("e", (), "", ""),
    ]


def requiring(*lines: str, **versions: str) -> Facts:
    installed = {name.replace("_", "-"): version for name, version in versions.items()}
    return described(machine({**CURRENT, **installed}), paddlepaddle=lines)


@pytest.mark.parametrize(
    ("facts", "status"),
    [
        (requiring("networkx"), "error"),
        (requiring("networkx", networkx="3.4"), None),
        (requiring('networkx; sys_platform == "win32"'), None),
        (requiring("protobuf>=3.20.2", protobuf="3.19.6"), "error"),
        (requiring("opt_einsum==3.3.0", opt_einsum="3.4.0"), "warning"),
        (requiring("opt_einsum==3.3.0", "networkx", opt_einsum="3.4.0"), "error"),
        (requiring("odd>1", odd="1.1.of.git"), None),
        (requiring("numpy<2.3"), None),
        (requiring("numpy>=2.4"), "error"),
        (requiring("nvidia-cudnn-cu12==9.5.1.17"), None),
        (
            replace(requiring("uvloop; platform_system != 'Windows'"), host=Host("windows", "10", "x86_64")),
            None,
        ),
    ],
)
def test_a_requirement_is_a_finding_only_where_it_applies_and_no_other_finding_names_it(
    facts: Facts, status: str | None
) -> None:
    assert problems(facts).get("requirements-unmet") == status
