"""The commands that the doctor prints, as a user copies them, and a terminal of a chosen width to print them in."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import pty
import re
import shlex
import struct
import subprocess
import termios
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from doctor import Answer, doctor, environment

PASTED = "ImportError: cannot import name 'docstore'"
"""The standard input of a printed command, for those that read a log from it."""
_ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b\][^\x07]*\x07")
_VERB = r"(?:-h|(?:check|explain|fix|undo|parse|matrix|serve|env|pipelines|patches)\b)"


def printed_commands(output: str, program: str = "paddlevl-doctor") -> list[str]:
    """Return the commands of a program that a text names, each once, in their order.

    A command begins with the program and a verb, and ends at the quote or backtick that closes it, else with its line.
    What is before the program in a pipeline is left out.
    """
    own = rf"{re.escape(program)} {_VERB}"
    quoted = rf"`(?:[^`\n]*\| )?(?P<code>{own}[^`\n]*)`|(?<=Try )'(?P<usage>{own}[^'\n]*)'"
    found = re.finditer(rf"{quoted}|(?<![\w/.`'-])(?<!Usage: )(?P<rest>{own}[^\n]*)", output)
    return list(dict.fromkeys(next(filter(None, match.groups())).rstrip() for match in found))


def run_printed(line: str, cwd: Path, env: Mapping[str, str] | None = None, timeout: float = 600) -> Answer:
    """Run a printed command as a user does who pastes it into a shell in this folder."""
    done = subprocess.run(
        ["sh", "-c", line],
        cwd=cwd,
        env=environment(cwd, env),
        input=PASTED,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    return Answer(done.returncode, done.stdout, done.stderr)


def in_terminal(
    program: Sequence[str | Path], cwd: Path, width: int, env: Mapping[str, str] | None = None
) -> Answer:
    """Run a command whose stdout is a terminal of this width; return what a user can copy from it."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, width, 0, 0))
    variables = {**environment(cwd, env), "TERM": "xterm"}
    variables.pop("COLUMNS", None)
    with subprocess.Popen(
        [str(word) for word in program],
        cwd=cwd,
        env=variables,
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        os.close(theirs)
        shown = _read(ours)
        assert process.stderr is not None
        errors = process.stderr.read()
    return Answer(process.returncode, _ESCAPE.sub("", shown).replace("\r\n", "\n"), errors)


def _read(terminal: int) -> str:
    """Return everything that a terminal shows until its last writer has ended."""
    parts = []
    with contextlib.closing(os.fdopen(terminal, "rb", buffering=0)) as stream:
        try:
            while part := stream.read(1 << 16):
                parts.append(part)
        except OSError as error:
            if error.errno != errno.EIO:  # Linux reports the end so
                raise
    return b"".join(parts).decode("utf-8", errors="replace")


def program_line(program: Sequence[str | Path]) -> str:
    """Return the words of a program as a POSIX shell needs them."""
    return shlex.join(map(str, program))


_ONLY = re.compile(r" --apply --only (\S+)")


@dataclass(frozen=True)
class Tried:
    """A printed command that was run, and what is wrong with it, if anything.

    Kinds: cured; explained: the finding is still there, and the answer says why; planned: nothing was to be cured.
    """

    line: str
    kind: str
    failure: str = ""


def try_commands(
    program: Sequence[str | Path], target: Sequence[str], folder: Path, skip: Collection[str] = ()
) -> Iterator[Tried]:
    """Run every command that `check` prints for a target; each cure alone, on the environment as it was.

    Alternatives that the texts name are only planned. Without `skip`, notes are shown and cured, too; with it, commands
    that name one of these findings are left out.
    """
    own = program_line(program)
    shown = run_printed(f"{own} check {'' if skip else '-v '}{shlex.join(target)}", folder)
    lines = [one for one in printed_commands(shown.stdout, own) if not set(one.split()) & set(skip)]
    if not lines:
        yield Tried("check", "planned", shown.stderr or "it prints no command")
    for line in lines:
        wanted = _ONLY.search(line)
        if wanted is None:
            done = run_printed(_ready(line.replace(" --apply", "")), folder)
            failure = done.stderr if done.code not in (0, 1, 3) else _undo(done, own, folder)
            yield Tried(line, "planned", failure)
        else:
            yield _try_cure(line, wanted[1], own, target, folder)


def _try_cure(line: str, finding: str, own: str, target: Sequence[str], folder: Path) -> Tried:
    done = run_printed(line, folder)
    checked = doctor("check", *target, "--format", "json", cwd=folder)
    status = next(f["status"] for f in checked.document["findings"] if f["id"] == finding)
    if status in ("ok", "skipped"):
        said = _undo(done, own, folder)
        return Tried(line, "cured", said if f"{own} undo" in done.stdout else "no undo is printed")
    explained = done.stderr if done.stderr else finding in done.stdout and "applied" not in done.stdout
    return Tried(line, "explained", "" if explained else f"{finding} is still {status}, exit {done.code}")


def _undo(done: Answer, own: str, folder: Path) -> str:
    """Run the printed command that undoes a change, if there is one; return what it says if it fails."""
    undo = [one for one in printed_commands(done.stdout, own) if one.startswith(f"{own} undo")]
    answers = [run_printed(one, folder) for one in undo]
    return "; ".join(answer.stderr for answer in answers if answer.code)


def _ready(line: str) -> str:
    """Return a command with values for the words in capitals that stand for one."""
    return line.replace(" FILE", " demo.png")
