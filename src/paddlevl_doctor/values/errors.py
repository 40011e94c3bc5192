"""Failures that end a command with one clear sentence and an exit code of the contract."""

from __future__ import annotations

from paddlevl_doctor.messages import Text
from paddlevl_doctor.values.findings import ExitCode


class DoctorError(Exception):
    """A failure that was foreseen: `message` says what was wrong, where, and what to do. `str` is English."""

    exit_code = ExitCode.PROBLEMS

    def __init__(self, message: Text) -> None:
        super().__init__(message)
        self.message = message


class UsageError(DoctorError):
    """Wrong options or unusable input (exit code 2)."""

    exit_code = ExitCode.USAGE


class RolledBackError(DoctorError):
    """Applying failed and everything was put back (exit code 4)."""

    exit_code = ExitCode.ROLLED_BACK


class UndoNeededError(DoctorError):
    """Applying failed and putting things back failed too (exit code 5)."""

    exit_code = ExitCode.UNDO_NEEDED
