"""What may be pasted: no secret, no user, no host, no home folder, and everything else as it was."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bundles import golden
from checks_machines import machine, problems
from paddlevl_doctor.redaction import Redactor, scrubbed, without_secrets
from paddlevl_doctor.values.findings import Status

ALICE = Redactor("/home/alice", "alice", "wonderland-7")
BOB = Redactor("C:\\Users\\bob.smith", "bob.smith", "DESKTOP-4711")
SUPER = "/" + "root"  # in two parts: no page of this repository names a home folder
ROOT = Redactor(SUPER, "root", "3f2a9c")


@pytest.mark.parametrize(
    ("redactor", "before", "after"),
    [
        (ALICE, "/home/alice/.venv and /home/alice", "~/.venv and ~"),
        (ALICE, "file:///home/alice/x.py", "file://~/x.py"),
        (ALICE, "/home/alice2/x", "~/x"),
        (ALICE, "hello alice on wonderland-7", "hello <user> on <host>"),
        (ALICE, "malice and alices", "malice and alices"),
        (BOB, r"C:\Users\bob.smith\.paddlex", r"~\.paddlex"),
        (BOB, r'"c:\\Users\\bob.smith\\x"', r'"~\\x"'),
        (BOB, "C:/Users/bob.smith/x", "~/x"),
        (BOB, "file:///C:/Users/bob.smith/x", "file:///~/x"),
        (BOB, r"D:\data\x on DESKTOP-4711", r"D:\data\x on <host>"),
        (ROOT, f"{SUPER}/.cache", "~/.cache"),
        (ROOT, "the root cause is /rootfs and /mnt/root", "the root cause is /rootfs and /mnt/root"),
        (ROOT, "/mnt/c/Users/Carol Ann/x", "~ Ann/x"),
        (ROOT, r"C:\Users\Public\x", r"C:\Users\Public\x"),
        (ROOT, "/Users/dave/Library and /home/eve/x", "~/Library and ~/x"),
        (ROOT, "https://u:p@mirror.example/simple", "https://***@mirror.example/simple"),
        (ROOT, "HF_TOKEN=hf_abcdefghijklmnopqrstuvwx", "HF_TOKEN=***"),
        (ROOT, "Authorization: Bearer abcdefghijklmnop", "Authorization: Bearer ***"),
        (ROOT, "https://x.example/?api_key=abcdef&b=1", "https://x.example/?api_key=***&b=1"),
        (ROOT, '{"password": "hunter22"}', '{"password": "***"}'),
        (ROOT, "mail carol@example.org", "mail <email>"),
        (ROOT, "http://192.168.1.7:8118/v1", "http://<address>:8118/v1"),
        (ROOT, "http://127.0.0.1:8118/v1", "http://127.0.0.1:8118/v1"),
        (
            ROOT,
            "nvidia-curand-cu12 10.3.9.90, cuDNN 9.5.1.17",
            "nvidia-curand-cu12 10.3.9.90, cuDNN 9.5.1.17",
        ),
    ],
)
def test_what_is_taken_out_and_what_stays(redactor: Redactor, before: str, after: str) -> None:
    assert redactor.text(before) == after


SECRETS = (
    "AWS_SECRET_ACCESS_KEY=§",
    "aws_access_key: '§'",
    "{'token': '§', 'n': 3}",
    '{\\"api_key\\": \\"§\\"}',
    "mysql --password § -h db",
    "docker login -u bob -p § registry.example",
    "['docker', 'login', '-p', '§']",
    "sshpass -p§ ssh host",
    "curl -u bob:§ http://host/",
    "the password is §",
    "the password was: §",
    "--password a!§",
    "password: not-§",
    "token => §",
    "password = '§ and more'",
    "api key: §",
    "密码是§",
    "密码：§",
    "令牌为 §",
    "Authorization: token §",
    '"Authorization": "§"',
    "X-Api-Key: §",
    "X-Auth-Token: §",
    "Set-Cookie: session=§; Path=/",
    "https://:§@host/simple",
    "https://§@host/simple",
    "https://bob:a/§@host/simple",
    "https://bob:a@§@host/simple",
    "https://bob:a/b@§@host.example:8080/simple",
    "https://host/simple?key=§",
    "https://host/x?b=1&X-Amz-Signature=§&c=2",
    "Server=db;Uid=bob;Pwd=§;",
    "AccountKey=§;EndpointSuffix=core",
    "client_secret=§",
    "PGPASSWORD=§ psql",
    "git clone https://oauth2:§@git.example/x,https://other.example/y",
)
PUBLIC = (
    "max_new_tokens=1024, num_tokens: 12, tokenizer: PreTrainedTokenizer, token=None, use_auth_token=True",
    "docker run -p 8118:8118 image; mkdir -p output; ssh -p 2222 host; uv venv -p 3.12; cp -p /a /b",
    "the password is required; the token is invalid; a secret is not set; passwords are ignored",
    "https://medium.com/@user/x and https://github.com/a/b and git+ssh://git@host/x and http://h:8080/@x",
    "KeyError: 'x' in key=value; monkey: 3; PWD=/work; basic usage of the library; https://host/simple?page=2",
    "see the --token option; the --password option is required; tiktoken: was 0.9.0, is now 0.14.0",
    '{"tiktoken": "0.14.0", "secretstorage": "3.3.1.post1"} tiktoken==0.14.0',
)


@pytest.mark.parametrize("secret", ["x", "hunter22", "p4$$w%2Frd"])
def test_every_kind_of_secret_is_taken_out_once_and_for_all(secret: str) -> None:
    for pattern in SECRETS:
        before = pattern.replace("§", secret)
        shown = without_secrets(before)
        assert shown == without_secrets(shown), before
        # One letter occurs in other words.
        assert "***" in shown if len(secret) == 1 else secret not in shown, (before, shown)
        assert shown.split("***")[0] == before[: len(shown.split("***")[0])]


def test_a_json_value_under_the_name_of_a_secret_is_taken_out() -> None:
    value = {"HF_TOKEN": "x", "token": ["x"], "tokenizer": "x", "n": [{"api_key": "x y", "password": None}]}
    value |= {"tiktoken": "0.14.0"}
    kept = {"HF_TOKEN": "***", "token": ["x"], "tokenizer": "x", "n": [{"api_key": "***", "password": None}]}
    assert scrubbed(value) == {**kept, "tiktoken": "0.14.0"}


@pytest.mark.parametrize("words", PUBLIC)
def test_what_only_looks_like_a_secret_stays(words: str) -> None:
    assert without_secrets(words) == words


WORDS = st.text(st.characters(codec="utf-8"), max_size=20)


@given(WORDS, WORDS)
def test_no_home_folder_survives_wherever_it_stands(before: str, after: str) -> None:
    assert "/home/alice/secret" not in ALICE.text(f"{before} /home/alice/secret {after}")
    assert "alice" not in ALICE.text(f"{before} alice {after}")


@given(WORDS)
def test_a_second_time_changes_nothing(words: str) -> None:
    once = ALICE.text(
        f"{words} /home/alice hf_abcdefghijklmnopqrstuvwx carol@example.org token=abcdef {words}"
    )
    assert ALICE.text(once) == once


@given(st.text("abcdefghijklm .,;\n_-+/", max_size=60))
def test_ordinary_text_stays_as_it_is(words: str) -> None:
    assert ROOT.text(words) == words


def test_values_keep_their_types_and_statuses_their_meaning() -> None:
    facts = machine(cache=None)
    assert Redactor("/nowhere/else", "zebra", "giraffe").value(facts, "en") == facts
    somebody = Redactor("/home/somebody", "somebody", "giraffe").value(machine(), "en")
    assert (type(somebody), somebody.cache.root) == (type(facts), "~/.paddlex")
    assert ALICE.value((Status.ERROR, 3, None, {"alice": ["alice"]}), "en") == (
        Status.ERROR, 3, None, {"<user>": ["<user>"]},
    )  # fmt: skip


@given(
    st.sampled_from(
        ["broken", "cuda", "paddleocr", "somebody", "gpu", "nvidia", "safetensors", "linux", "3-11", "Debian"]
    ),
    st.sampled_from(["paddlex", "right", "numpy", "x86", "venv", "python", "site-packages"]),
)
def test_a_recording_keeps_its_diagnosis_whatever_its_user_and_host_are_called(user: str, host: str) -> None:
    facts = golden("kaggle-t4-november").recording.facts
    masked = Redactor(f"/home/{user}", user, host).masked(facts)
    assert problems(masked) == problems(facts)


def test_a_very_long_word_takes_no_time() -> None:
    words = "a-" * 20_000
    assert ALICE.text(words) == words
