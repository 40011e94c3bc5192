"""Quotes arguments and command lines for POSIX shells and PowerShell."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence

SH, POWERSHELL = "sh", "powershell"
_PLAIN = re.compile(r"[A-Za-z0-9_./:\\+=%-][A-Za-z0-9_./:\\+=%@-]*")
"""An argument that PowerShell needs no quotes for; a comma would make a list, and @ at the beginning a splat."""
_QUOTES = re.compile("(['\u2018\u2019\u201a\u201b])")
"""Each of these ends a PowerShell string (about_Quoting_Rules); a doubled one is the character itself."""


def shell_of(system: str) -> str:
    """Return the usual shell of a system; `system` is a value of `sys.platform` or `Host.system`."""
    return POWERSHELL if system in ("win32", "windows") else SH


def quoted(argument: str, shell: str) -> str:
    """Return an argument with quotes if the shell needs them, so that the shell expands nothing in it."""
    if shell == SH:
        return shlex.quote(argument)
    return argument if _PLAIN.fullmatch(argument) else literal(argument)


def literal(value: str) -> str:
    """Return a PowerShell string literal in which $, ` and apostrophes have no special meaning."""
    return "'" + _QUOTES.sub(r"\1\1", value) + "'"


def command_line(command: Sequence[str], shell: str) -> str:
    """Return a command as one line for a shell; PowerShell needs `&` before a quoted program."""
    arguments = [quoted(argument, shell) for argument in command]
    call = "& " if shell == POWERSHELL and arguments and arguments[0].startswith("'") else ""
    return call + " ".join(arguments)


def source_command(path: str, shell: str) -> str:
    """Return the command that runs a script in the current shell; both shells use a dot."""
    return f". {quoted(path, shell)}"
