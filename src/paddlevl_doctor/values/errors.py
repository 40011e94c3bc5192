"""Exceptions that end a command with a message and an exit code."""

from __future__ import annotations

from paddlevl_doctor.messages import Text
from paddlevl_doctor.values.findings import ExitCode


class DoctorError(Exception):
    """An expected failure. `message` says what is wrong, where, and what to do; `str` is the message in English."""

    exit_code = ExitCode.PROBLEMS

    def __init__(self, message: Text) -> None:
        super().__init__(message)
        self.message = message


class UsageError(DoctorError):
    """Wrong options or unusable input (exit code 2)."""

    exit_code = ExitCode.USAGE


class RolledBackError(DoctorError):
    """A step failed and all changes were rolled back (exit code 4)."""

    exit_code = ExitCode.ROLLED_BACK


class UndoNeededError(DoctorError):
    """A step failed and the rollback failed, too (exit code 5)."""

    exit_code = ExitCode.UNDO_NEEDED
