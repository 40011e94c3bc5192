"""The command line: options in, exit code out.

`group` knows the commands by name, `common` has what they share, and every other module declares the options of one
command or of one family of commands and calls `paddlevl_doctor.commands` and `paddlevl_doctor.report`.
"""

from __future__ import annotations

import gc

from paddlevl_doctor.cli.group import app
from paddlevl_doctor.report.streams import accept_every_character


def main() -> None:
    """Run the command line."""
    gc.disable()  # a short process full of imports: collecting garbage would take a tenth of its time
    accept_every_character()
    try:
        app()
    except (
        Exception
    ) as error:  # the import of a command failed; a command that runs answers for its own errors
        from paddlevl_doctor.cli.common import fail  # noqa: PLC0415 - `--help` and `--version` do without it

        fail(error)
