"""Writes docs/findings from matrix/failures: a page per failure, and a table of all of them.

To change a page, change the data and run
`python -m paddlevl_doctor.report.finding_docs docs/findings`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

from paddlevl_doctor.knowledge.failures import Failure, Kind, Proof, load_all

COMMAND = "python -m paddlevl_doctor.report.finding_docs docs/findings"

_NOTICE = f"<!-- Generated from matrix/failures by `{COMMAND}`. -->"
_PROOFS: dict[Proof, str] = {
    "reproduced": "a test of this repository reproduces it",
    "source": "found in, or seen with, the released packages",
    "threads": "reported by users, not checked here",
}
_KINDS: dict[Kind, str] = {
    "packages": "installs",
    "requirements": "installs versions of these packages that the stack allows",
    "separate": "removes the distributions that the stack does not require and installs the others again",
    "patch": "applies the patch",
    "paddle": "installs the paddle wheel that fits this machine",
    "set": "installs the version set chosen for the machine",
    "recreate": "creates the environment again and installs the version set",
    "roll-back": "restores the state before the interrupted repair",
    "link": "creates the link",
    "reinstall-paddle": "removes both distributions and installs one",
    "reinstall": "installs the damaged distributions again, freshly downloaded",
    "set-aside": "moves the incomplete model out of the cache, so that it is downloaded again (asks first)",
    "share": "replaces the two copies by hard links, on request",
    "edit-config": "writes `generation_config.json` with the end token of `config.json`",
    "environment": "writes the variables to a file to source",
    "manual": "nothing: this must be done by hand",
}
_SYSTEMS = {"linux": "Linux", "windows": "Windows", "macos": "macOS"}


def render(failures: Iterable[Failure]) -> dict[str, str]:
    """Return the text of every page by file name; README.md has the table."""
    ordered = sorted(failures, key=lambda failure: failure.id)
    pages = {f"{failure.id}.md": _page(failure) for failure in ordered}
    return {"README.md": _index(ordered), **pages}


def _index(failures: list[Failure]) -> str:
    rows = [f"| [`{f.id}`]({f.id}.md) | {f.general('title.short', 'en')} | {_fix(f)} |" for f in failures]
    return "\n".join(
        [
            _NOTICE,
            "# Findings",
            "",
            "Every failure that `paddlevl-doctor` knows, by the id that `check` and `explain` print.",
            "",
            "| id | problem | what `fix` does |",
            "| --- | --- | --- |",
            *rows,
            "",
        ]
    )


def _page(failure: Failure) -> str:
    sections = [
        f"{_NOTICE}\n# {failure.general('title.short', 'en')}",
        "\n".join(["| | |", "| --- | --- |", *(f"| {name} | {value} |" for name, value in _facts(failure))]),
        f"If there is a problem, `check` reports:\n\n> {failure.general('title.bad', 'en')}",
        f"## Cause\n\n{failure.general('cause', 'en')}",
        f"## What to do\n\n{failure.general('remedy', 'en')}",
    ]
    if failure.signatures:
        patterns = "\n".join(failure.signatures)
        sections.append(
            f"## In a log\n\n`explain` recognizes it by these regular expressions:\n\n```text\n{patterns}\n```"
        )
    if failure.links:
        sections.append("## Links\n\n" + "\n".join(f"- <{link}>" for link in failure.links))
    return "\n\n".join(sections) + "\n"


def _facts(failure: Failure) -> list[tuple[str, str]]:
    """Return the rows of the table of a page, without empty ones."""
    proof = _PROOFS[failure.evidence]
    test = f" (`{failure.reproduced_by}`)" if failure.reproduced_by else ""
    systems = [" and ".join(_SYSTEMS[system] for system in failure.applies.systems)]
    packages = [f"{name} `{specifier}`" for name, specifier in failure.applies.specifiers.items()]
    rows = [
        ("id", f"`{failure.id}`"),
        ("what `check` tests", failure.general("looks_at", "en")),
        ("can occur", "; ".join(part for part in (*systems, " with ".join(packages)) if part)),
        ("corrected in", failure.fixed_in or ""),
        ("`fix`", _fix(failure)),
        ("evidence", proof + test),
    ]
    return [(name, value) for name, value in rows if value]


def _fix(failure: Failure) -> str:
    items = failure.cure.requirements or filter(None, (failure.cure.patch,))
    return " ".join((_KINDS[failure.cure.kind], ", ".join(f"`{item}`" for item in items))).strip()


def write(folder: Path, pages: dict[str, str]) -> None:
    """Write the pages to a folder, which is created if needed; other files stay."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in pages.items():
        (folder / name).write_text(text, encoding="utf-8", newline="\n")


def main(arguments: list[str]) -> int:
    """Write the pages of all known failures to the folder in the only argument; return the exit code."""
    if len(arguments) != 1:
        sys.stderr.write(f"usage: {COMMAND}\n")
        return 2
    pages = render(load_all())
    write(Path(arguments[0]), pages)
    sys.stdout.write(f"{len(pages)} pages written to {arguments[0]}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
