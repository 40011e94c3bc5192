"""How words are written for a shell so that they arrive as they are: POSIX shells and PowerShell. Pure."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence

SH, POWERSHELL = "sh", "powershell"
_PLAIN = re.compile(r"[A-Za-z0-9_./:\\+=%-][A-Za-z0-9_./:\\+=%@-]*")
"""What PowerShell takes as it stands as an argument; a comma would make a list, and @ at the beginning a splat."""
_QUOTES = re.compile("(['\u2018\u2019\u201a\u201b])")
"""PowerShell ends a string at any of these (about_Quoting_Rules); a doubled one stands for itself."""


def shell_of(system: str) -> str:
    """Return which shell people have on a system, named as `sys.platform` or as a host's `system` is."""
    return POWERSHELL if system in ("win32", "windows") else SH


def quoted(word: str, shell: str) -> str:
    """Return a word in quotes, or bare where it needs none; nothing in it is expanded."""
    if shell == SH:
        return shlex.quote(word)
    return word if _PLAIN.fullmatch(word) else literal(word)


def literal(word: str) -> str:
    """Return a PowerShell string in which $, ` and apostrophes are themselves."""
    return "'" + _QUOTES.sub(r"\1\1", word) + "'"


def command_line(command: Sequence[str], shell: str) -> str:
    """Show an argument list as one line that can be pasted; PowerShell runs a quoted program only after `&`."""
    words = [quoted(word, shell) for word in command]
    call = "& " if shell == POWERSHELL and words and words[0].startswith("'") else ""
    return call + " ".join(words)


def read_in(path: str, shell: str) -> str:
    """Return the command that runs a file of settings in the shell itself; both write it with a dot."""
    return f". {quoted(path, shell)}"
