"""Finds the login of a URL: the user and the password between `://` and the host. Every command imports it.

A password may contain `/` or `@`, also where these should be percent-encoded: uv refuses such a URL, and quotes it.
"""

from __future__ import annotations

import re

_WORD = r"[^\s'\"<>]*"
_AUTHORITY = r"[^/?#]*"
_PORT = r"\d{0,5}"
_HOST = r"(?:\[[0-9A-Fa-f:.]+\]|localhost|[\w-]+(?:\.[\w-]+)+)(?::\d+)?(?=[/?#,;)\]}]|$)"
_SCHEME_CHARS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+.-"


def login_of(rest: str) -> str:
    """Return the login with its `@`, given what follows `://` in a URL; "" if there is none.

    It ends at the first `@` that a host follows, else at the last one.
    """
    authority = rest[: _end(_AUTHORITY, rest)]
    if "@" not in authority:
        _, colon, port = authority.partition(":")
        if not colon or re.fullmatch(_PORT, port):  # the @ is in the path, not in a password with a slash
            return ""
    ends = [at + 1 for at, character in enumerate(rest) if character == "@"]
    return rest[: next((end for end in ends if re.match(_HOST, rest[end:])), ends[-1])] if ends else ""


def replace_logins(text: str, replacement: str) -> str:
    """Replace the login of every URL in a text. A user of SSH without a password is no secret, and stays."""
    if "@" not in text or "://" not in text:
        return text
    before, *parts = text.split("://")
    shown = [before]
    for number, part in enumerate(parts, 1):
        end = _end(_WORD, part)
        if end == len(part) and number < len(parts):  # the scheme of the next URL
            end = len(part.rstrip(_SCHEME_CHARS))
        login = login_of(part[:end])
        if not login or (":" not in login and (login == "git@" or before.endswith("ssh"))):
            shown.append(part)
        else:
            shown.append(replacement + part[len(login) :])
        before = part
    return "://".join(shown)


def public_url(url: str) -> str:
    """Return a URL without its login and its query, which may have a key in it."""
    return replace_logins(url, "").partition("?")[0]


def _end(pattern: str, text: str) -> int:
    found = re.match(pattern, text)
    return found.end() if found else 0
