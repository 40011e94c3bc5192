"""The command line: options in, exit code out.

`group` lists the commands; `common` has their common options, output and error handling. Every other module declares
the options of a command or of a group of commands, and calls `paddlevl_doctor.commands` and `paddlevl_doctor.report`.
"""

from __future__ import annotations

import gc
import sys

from paddlevl_doctor.cli.group import app
from paddlevl_doctor.invocation import NAME, set_invocation
from paddlevl_doctor.report.streams import accept_every_character
from paddlevl_doctor.system.processes import hangup_is_interrupt
from paddlevl_doctor.system.program import ensure_home, own_invocation

_COMPLETE = "_PADDLEVL_DOCTOR_COMPLETE"
"""The variable with which a shell asks for completions; typer derives it from the name of the program."""


def main() -> None:
    """Run the command line. SIGTERM and a closed terminal have the same effect as Ctrl-C in every command."""
    gc.disable()  # a short process that mostly imports: garbage collection would take a tenth of its time
    accept_every_character()
    ensure_home()
    with hangup_is_interrupt():
        try:
            called = own_invocation()
            set_invocation(called)
            # A script with completions is for the name of the program, however it was called.
            asks_for_script = any(word.endswith("-completion") for word in sys.argv[1:2])
            app(prog_name=NAME if asks_for_script else called.line((NAME,)), complete_var=_COMPLETE)
        except Exception as error:
            # The import of a command failed. The errors of a running command are handled in `common.run`.
            from paddlevl_doctor.cli.common import fail  # noqa: PLC0415 - keeps it off the path of `--help`

            fail(error)
