"""Keeps the credentials of package indexes out of commands.

The commands of plans, journals and reports have masked URLs. When uv runs, the real ones are in its environment, which
other users of the machine cannot see, and not among its arguments.
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

from paddlevl_doctor.redaction import mask_url, remember_url
from paddlevl_doctor.url_logins import login_of

_VARIABLES = {"--default-index": "UV_DEFAULT_INDEX", "--index": "UV_INDEX"}
"""The variables that uv reads in place of these options; UV_INDEX has URLs separated by spaces."""
_UNQUOTED = "%!$&'()*+,;=:~-._"
_real: dict[str, str] = {}
"""The real URLs of this process by the masked ones."""


def mask(url: str) -> str:
    """Return the URL of an index as commands have it, without credentials; `reveal` finds the real one."""
    shown = mask_url(url)
    if shown == url:
        return url
    remember_url(url)
    scheme, mark, rest = url.partition("://")
    login = login_of(rest)
    user, colon, password = login[:-1].partition(":")
    quoted = f"{quote(user, _UNQUOTED)}{colon}{quote(password, _UNQUOTED)}{login[-1:]}"
    real = f"{scheme}{mark}{quoted}{rest[len(login) :]}".replace(" ", "%20")
    while _real.setdefault(shown, real) != real:  # the same index with other credentials
        shown = shown.replace("***", "****", 1)
    return shown


def reveal(arguments: Sequence[str]) -> tuple[tuple[str, ...], dict[str, str]]:
    """Return a command of uv without the options whose URLs are masked, and the variables that replace them.

    A variable counts only without its option, so all values of such an option become values of the variable.
    """
    options = [(at, word) for at, word in enumerate(arguments[:-1]) if word in _VARIABLES]
    hidden = {option for at, option in options if arguments[at + 1] in _real}
    taken = [at for at, option in options if option in hidden]
    variables: dict[str, str] = {}
    for at in taken:
        name, url = _VARIABLES[arguments[at]], arguments[at + 1]
        variables[name] = " ".join(filter(None, (variables.get(name), _real.get(url, url))))
    left = tuple(word for at, word in enumerate(arguments) if at not in taken and at - 1 not in taken)
    return left, variables
