"""How this run of the doctor was called: what every printed command repeats of it.

Rooms pass a command as an argument list that begins with `paddlevl-doctor`, and a text of the catalogue has it as
`{doctor:fix --apply}`. Here it gets the program as it was called, the target, and the other given options that decide
what it does. The invocation belongs to the process, as the language does; without a command line it adds nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath

from paddlevl_doctor import shells
from paddlevl_doctor.frozen import dataclass
from paddlevl_doctor.url_logins import replace_logins

NAME = "paddlevl-doctor"
"""The first word of a command of the doctor, until the command is completed."""
TARGET = ("--python", "--venv", "--system")
"""The options that choose the target; a command needs only one of them."""
TARGETED = ("check", "explain", "fix", "undo", "parse", "serve", "env", "pipelines", "patches")
"""The commands with all options that choose the target. `matrix` has them too, but its --python is a version."""


@dataclass(frozen=True)
class Option:
    """An option that the user gave and that decides what a command does.

    `verbs` are the commands that have it; `secret` says that a password was removed from its value.
    """

    words: tuple[str, ...]
    verbs: tuple[str, ...]
    secret: bool = False

    @property
    def name(self) -> str:
        """The option itself, such as `--venv`."""
        return self.words[0]

    def belongs_to(self, command: Sequence[str]) -> bool:
        """Return whether a command has this option, and names neither it nor another target."""
        rivals = TARGET if self.name in TARGET else (self.name,)
        return command[0] in self.verbs and not set(rivals) & set(command) and "--help" not in command


@dataclass(frozen=True)
class Invocation:
    """The program as it was called, the options that later commands need too, and the user's shell and home folder."""

    program: tuple[str, ...] = (NAME,)
    options: tuple[Option, ...] = ()
    python: str = "python"
    """The doctor's own Python."""
    uv: tuple[str, ...] = ("uv",)
    """The words that start uv: its name on PATH, else the module that is installed with the doctor."""
    shell: str = shells.SH
    home: str = ""

    def complete(self, command: Sequence[str]) -> tuple[str, ...]:
        """Return a command of the doctor with its program and the options, and one of uv as the user can start it.

        Any other command is returned unchanged.
        """
        if tuple(command[:1]) == ("uv",):
            return (*self.uv, *command[1:])
        if tuple(command[:1]) != (NAME,):
            return tuple(command)
        rest = command[1:]
        given = (word for option in self.options if rest and option.belongs_to(rest) for word in option.words)
        return (*self.program, *rest, *given)

    def line(self, command: Sequence[str]) -> str:
        """Return a completed command as one line for the user's shell."""
        return shells.command_line(self.complete(command), self.shell, self.home)

    def install_line(self, extra: str) -> str:
        """Return the command that installs an extra of the doctor beside it.

        Through uv it is a new call with the extra, which reads the sample page.
        """
        wanted = f"{NAME}[{extra}]"
        if PurePath(self.program[0]).stem in ("uv", "uvx"):
            at = next((n for n, word in enumerate(self.program[:3]) if word in ("run", "uvx")), 0) + 1
            command = (*self.program[:at], "--with", wanted, *self.program[at:], "parse", "demo.png")
        else:
            command = (*self.uv, "pip", "install", "--python", self.python, wanted)
        return shells.command_line(command, self.shell, self.home)

    def hidden(self) -> tuple[str, ...]:
        """Return the options whose password is not printed."""
        return tuple(option.name for option in self.options if option.secret)


def without_password(value: str) -> str:
    """Return a URL without its user and password."""
    return replace_logins(value, "")


_current = {"invocation": Invocation()}


def set_invocation(invocation: Invocation) -> None:
    """Set the invocation of this process."""
    _current["invocation"] = invocation


def invocation() -> Invocation:
    """Return the invocation of this process."""
    return _current["invocation"]
