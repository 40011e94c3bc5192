"""Quotes arguments and command lines for POSIX shells and PowerShell."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence

SH, POWERSHELL = "sh", "powershell"
ELLIPSIS = "…"
"""Stands for an unknown value in the documentation of a command."""
_PLAIN = re.compile(r"[A-Za-z0-9_./:\\+=%-][A-Za-z0-9_./:\\+=%@-]*")
"""An argument that PowerShell needs no quotes for; a comma would make a list, and @ at the beginning a splat."""
_SPECIAL = re.compile('([`$"\u201c\u201d\u201e])')
"""A character that PowerShell expands, or that ends a string, between double quotes (about_Quoting_Rules)."""
_QUOTES = re.compile("(['\u2018\u2019\u201a\u201b])")
"""Each of these ends a PowerShell string (about_Quoting_Rules); a doubled one is the character itself."""


def shell_of(system: str) -> str:
    """Return the usual shell of a system; `system` is a value of `sys.platform` or `Host.system`."""
    return POWERSHELL if system in ("win32", "windows") else SH


def quoted(argument: str, shell: str, home: str = "") -> str:
    """Return an argument with quotes if the shell needs them, so that the shell expands nothing in it.

    With `home`, the shell expands that folder where the argument has it, so that the line does not show it.
    """
    parts = re.split(rf"(?<![\w.-]){re.escape(home)}(?=[/\\]|$)", argument) if len(home) > 1 else [argument]
    if len(parts) == 1:
        if argument == ELLIPSIS:
            return argument
        if shell == SH:
            return shlex.quote(argument)
        return argument if _PLAIN.fullmatch(argument) else literal(argument)
    if shell == POWERSHELL:
        return '"' + "$HOME".join(_SPECIAL.sub(r"`\1", part) for part in parts) + '"'
    if parts[0] == "" and len(parts) == 2:  # noqa: PLR2004 - nothing before the only home folder
        return "~" + (f"/{shlex.quote(parts[1][1:])}" if parts[1][1:] else parts[1])
    return '"$HOME"'.join(shlex.quote(part) if part else "" for part in parts)


def literal(value: str) -> str:
    """Return a PowerShell string literal in which $, ` and apostrophes have no special meaning."""
    return "'" + _QUOTES.sub(r"\1\1", value) + "'"


def command_line(command: Sequence[str], shell: str, home: str = "") -> str:
    """Return a command as one line for a shell, with `home` as in `quoted`.

    PowerShell needs `&` before a quoted program.
    """
    arguments = [quoted(argument, shell, home) for argument in command]
    call = "& " if shell == POWERSHELL and arguments and arguments[0].startswith(("'", '"')) else ""
    return call + " ".join(arguments)


def source_command(path: str, shell: str, home: str = "") -> str:
    """Return the command that runs a script in the current shell; both shells use a dot. `home` is as in `quoted`."""
    return f". {quoted(path, shell, home)}"
