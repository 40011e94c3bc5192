"""Which environment variables become facts, and which values stay where they are."""

from __future__ import annotations

import pytest

from fake_system import FakeSystem
from paddlevl_doctor.facts.host import collect_settings

WSL = "5.15.153.1-microsoft-standard-WSL2"


def test_only_the_variables_of_the_stack_become_facts() -> None:
    env = {
        "PATH": "/usr/bin",
        "AWS_SECRET_ACCESS_KEY": "x",
        "LD_LIBRARY_PATH": "/usr/lib/wsl/lib",
        "FLAGS_use_mkldnn": "0",
        "PADDLE_PDX_MODEL_SOURCE": "bos",
        "DISABLE_MODEL_SOURCE_CHECK": "True",
        "CUDA_VISIBLE_DEVICES": "",
        "HF_HUB_OFFLINE": "1",
        "TMPDIR": "/big",
    }
    assert collect_settings(FakeSystem(env=env)) == {
        "CUDA_VISIBLE_DEVICES": "",
        "DISABLE_MODEL_SOURCE_CHECK": "True",
        "FLAGS_use_mkldnn": "0",
        "HF_HUB_OFFLINE": "1",
        "PADDLE_PDX_MODEL_SOURCE": "bos",
        "TMPDIR": "/big",
    }


@pytest.mark.parametrize(
    ("env", "expected"),
    [
        ({"HTTP_PROXY": "http://me:pw@proxy:3128"}, {"HTTP_PROXY": "set"}),
        ({"https_proxy": "http://proxy:3128"}, {"HTTPS_PROXY": "set"}),
        ({"NO_PROXY": "example.org"}, {"NO_PROXY": "set"}),
        ({"no_proxy": "example.org, 127.0.0.1"}, {"NO_PROXY": "set, covers loopback"}),
        ({"NO_PROXY": ""}, {}),
        ({"HF_ENDPOINT": "https://me:pw@hub.example/x@y"}, {"HF_ENDPOINT": "https://***@hub.example/x@y"}),
        ({"HF_ENDPOINT": "https://hub.example"}, {"HF_ENDPOINT": "https://hub.example"}),
        ({"PADDLE_PDX_ACCESS_TOKEN": "abc"}, {"PADDLE_PDX_ACCESS_TOKEN": "set"}),
    ],
)
def test_no_credential_and_no_proxy_is_shown(env: dict[str, str], expected: dict[str, str]) -> None:
    assert collect_settings(FakeSystem(env=env)) == expected


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("/usr/lib/wsl/lib:/opt/lib", "yes"),
        ("/opt/lib:/usr/lib/wsl/lib/", "yes"),
        ("/opt/lib", "no"),
        (None, "no"),
    ],
)
def test_wsl_says_whether_the_loader_was_told_the_folder(path: str | None, shown: str) -> None:
    env = {} if path is None else {"LD_LIBRARY_PATH": path}
    assert collect_settings(FakeSystem(env=env, release=WSL)) == {"LD_LIBRARY_PATH": shown}
