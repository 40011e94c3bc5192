"""What the doctor says about a running server: each fault by its own finding, over real HTTP."""

from __future__ import annotations

from pathlib import Path

import pytest

from doctor import Answer, doctor
from openai_server import MODEL, OpenAIServer, openai_server

KEY = "PADDLEVL_DOCTOR_API_KEY"
ORDER = ["connection", "proxy", "api-key", "missing-v1", "loading", "model-name"]


def asked(url: str, folder: Path, *words: str, env: dict[str, str] | None = None) -> Answer:
    return doctor("serve", "--url", url, "--model", MODEL, "--format", "json", *words, cwd=folder, env=env)


def statuses(answer: Answer) -> dict[str, str]:
    prefix = "vlm-server-"
    return {f["id"].removeprefix(prefix): f["status"] for f in answer.document["findings"]}


def fault(name: str, proxy: str = "skipped") -> dict[str, str]:
    """Everything before the fault is right, everything after it is hidden by it."""
    before = dict.fromkeys(ORDER[: ORDER.index(name)], "ok")
    if "proxy" in before:
        before["proxy"] = proxy
    return {**before, name: "error", **dict.fromkeys(ORDER[ORDER.index(name) + 1 :], "blocked")}


def test_a_server_that_works_has_no_fault_and_was_asked_with_a_picture(tmp_path: Path) -> None:
    with openai_server() as server:
        answer = asked(server.url, tmp_path)
    assert answer.code == 0
    assert statuses(answer) == {**dict.fromkeys(ORDER, "ok"), "proxy": "skipped"}
    assert [(method, path) for method, path, _ in server.asked] == [
        ("GET", "/v1/models"),
        ("POST", "/v1/chat/completions"),
    ]
    assert "data:image/png;base64," in server.asked[1][2]


def test_an_address_where_nothing_listens_is_named(tmp_path: Path) -> None:
    with openai_server() as server:
        url = server.url
    answer = asked(url, tmp_path)
    assert (answer.code, statuses(answer)) == (1, fault("connection"))
    assert answer.document["findings"][0]["evidence"] == [{"source": f"{url}/models", "value": "refused"}]


def test_a_server_that_is_still_loading_is_named(tmp_path: Path) -> None:
    with openai_server(OpenAIServer(loading=True)) as server:
        answer = asked(server.url, tmp_path)
    assert (answer.code, statuses(answer)) == (1, fault("loading"))


def test_a_server_that_wants_a_key_is_named(tmp_path: Path) -> None:
    with openai_server(OpenAIServer(key="secret")) as server:
        answer = asked(server.url, tmp_path)
    assert (answer.code, statuses(answer)) == (1, fault("api-key"))
    assert answer.document["findings"][2]["evidence"] == [
        {"source": f"{server.url}/models", "value": '401 {"error": "Unauthorized"}'},
        {"source": KEY, "value": "not set", "value_message": {"id": "evidence-unset", "params": {}}},
    ]


def test_the_right_key_is_sent_with_every_question_and_shown_nowhere(tmp_path: Path) -> None:
    with openai_server(OpenAIServer(key="secret")) as server:
        answer = asked(server.url, tmp_path, "--verbose", env={KEY: " secret\n"})
    assert answer.code == 0
    assert statuses(answer) == {**dict.fromkeys(ORDER, "ok"), "proxy": "skipped"}
    assert server.keys == ["Bearer secret"] * 2
    assert "secret" not in answer.stdout + answer.stderr


def test_a_wrong_key_is_told_apart_from_a_missing_one_and_not_repeated(tmp_path: Path) -> None:
    with openai_server(OpenAIServer(key="secret", refusal="Incorrect API key: wr0ng")) as server:
        answer = asked(server.url, tmp_path, env={KEY: "wr0ng"})
    finding = answer.document["findings"][2]
    assert (answer.code, statuses(answer)) == (1, fault("api-key"))
    assert finding["title"] == f"The server requires its key: the key in {KEY} is wrong"
    assert finding["evidence"] == [
        {"source": f"{server.url}/models", "value": '401 {"error": "Incorrect API key: ***"}'},
        {
            "source": KEY,
            "value": "sent, refused",
            "value_message": {"id": "evidence-sent-refused", "params": {}},
        },
    ]
    assert "wr0ng" not in answer.stdout + answer.stderr


def test_a_key_that_no_header_can_carry_is_refused_without_being_shown(tmp_path: Path) -> None:
    with openai_server() as server:
        answer = asked(server.url, tmp_path, env={KEY: "two\nlines"})
    assert (answer.code, server.asked) == (2, [])
    assert KEY in answer.document["error"]["message"]
    assert "lines" not in answer.stdout + answer.stderr


@pytest.mark.parametrize("words", [(), ("--format", "console", "--verbose")], ids=["json", "console"])
def test_a_password_in_the_address_is_sent_and_shown_nowhere(words: tuple[str, ...], tmp_path: Path) -> None:
    with openai_server() as server:
        url = server.url.replace("//", "//u:secret@")
        fine = asked(url, tmp_path, *words)
        check = ("check", "--server-url", url, "--only", "vlm-server-connection")
        checked = doctor(*check, *(words or ("--format", "json")), cwd=tmp_path)
    refused = asked("http://u:secret@127.0.0.1:9/v1", tmp_path, *words)
    wrong = asked("http://u:sec/ret@127.0.0.1:9/v1", tmp_path, *words)

    assert (fine.code, checked.code, refused.code, wrong.code) == (0, 0, 1, 2), checked.stderr
    assert set(server.keys) == {"Basic dTpzZWNyZXQ="}
    said = "".join(one.stdout + one.stderr for one in (fine, checked, refused, wrong))
    assert ("secret" in said, "sec/ret" in said, "refused" in said) == (False, False, True)


def test_a_redirect_does_not_take_the_key_elsewhere(tmp_path: Path) -> None:
    with openai_server() as other, openai_server(OpenAIServer(key="secret")) as server:
        server.moved_to = other.url.removesuffix("/v1")
        asked(server.url, tmp_path, env={KEY: "secret"})
    assert (server.keys[0], set(other.keys)) == ("Bearer secret", {None})


@pytest.mark.parametrize("end", ["", "/v1/chat/completions", "/v1/models", "/health"])
@pytest.mark.parametrize("key", [None, "secret"], ids=["open", "keyed"])
def test_an_address_that_is_not_the_interface_is_corrected_and_the_key_asked_for(
    key: str | None, end: str, tmp_path: Path
) -> None:
    """vLLM guards /v1 alone: without its key it says 404 to one wrong address, and 401 to another."""
    with openai_server(OpenAIServer(key=key)) as server:
        url = server.url.removesuffix("/v1") + end
        answer = asked(url, tmp_path)
    wanted = {**fault("missing-v1"), **({"api-key": "error"} if key else {})}
    assert (answer.code, statuses(answer)) == (1, wanted)
    finding = answer.document["findings"][3]
    assert finding["title"] == f"The server's interface is not at {url} but at {server.url}"
    assert finding["remedy"]["text"].endswith(server.url)


def test_another_model_than_the_clients_is_named_and_both_are_shown(tmp_path: Path) -> None:
    with openai_server(OpenAIServer(models=("PaddleOCR-VL-0.9B",))) as server:
        answer = asked(server.url, tmp_path)
    assert (answer.code, statuses(answer)) == (1, fault("model-name"))
    assert [e["value"] for e in answer.document["findings"][-1]["evidence"]] == [MODEL, "PaddleOCR-VL-0.9B"]
    assert [method for method, _, _ in server.asked] == ["GET"], "no page is sent in vain"


def test_a_dead_engine_behind_a_list_of_models_is_named(tmp_path: Path) -> None:
    with openai_server(OpenAIServer(chat_status=500)) as server:
        answer = asked(server.url, tmp_path)
    assert (answer.code, statuses(answer)) == (1, fault("connection"))
    assert "EngineCore" in answer.document["findings"][0]["evidence"][0]["value"]


def test_a_server_that_sees_nothing_in_the_picture_is_named(tmp_path: Path) -> None:
    """The picture has a word in it, so that a model that works has an answer."""
    with openai_server(OpenAIServer(text=" ")) as server:
        answer = asked(server.url, tmp_path)
    assert (answer.code, statuses(answer)) == (1, fault("connection"))
    assert answer.document["findings"][0]["evidence"][0]["value"] == "the answer has no text"


def test_a_proxy_on_the_way_to_loopback_is_named(tmp_path: Path) -> None:
    with openai_server(OpenAIServer(prefix="/not-a-proxy")) as proxy, openai_server() as server:
        address = proxy.url.removesuffix("/not-a-proxy")
        env = {"http_proxy": address, "HTTP_PROXY": address, "no_proxy": "", "NO_PROXY": ""}
        through = asked(server.url, tmp_path, env=env)
        exempt = asked(server.url, tmp_path, env={**env, "no_proxy": "127.0.0.1,localhost"})
    assert (through.code, statuses(through)) == (1, fault("proxy"))
    assert address in through.document["findings"][1]["title"]
    assert (exempt.code, statuses(exempt)["proxy"]) == (0, "skipped")
    assert proxy.asked, "the first question really went through the proxy"


def test_check_asks_the_server_as_well(tmp_path: Path) -> None:
    with openai_server(OpenAIServer(loading=True)) as server:
        answer = doctor(
            *("check", "--server-url", server.url, "--only", "vlm-server-loading", "--format", "json"),
            cwd=tmp_path,
        )
    assert (answer.code, answer.problems()) == (1, {"vlm-server-loading": "error"})


@pytest.mark.parametrize(
    "url", ["127.0.0.1:8118", "ftp://host/v1", "http://", "http://host:port/v1", "http://[::1"]
)
def test_what_is_no_address_is_refused_with_one_sentence(url: str, tmp_path: Path) -> None:
    answer = asked(url, tmp_path)
    assert (answer.code, answer.document["error"]["exit_code"]) == (2, 2)
    assert url in answer.document["error"]["message"]
