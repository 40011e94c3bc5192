"""What is raised when the shipped data is not what it should be."""

from __future__ import annotations

from pathlib import Path


class KnowledgeError(ValueError):
    """A data file is missing, malformed or contradicts itself: a defect of the doctor, not of the machine.

    `file` and `field` say where (`field` as a dotted path, empty for the file as a whole).
    """

    def __init__(self, file: Path | str, field: str, problem: str) -> None:
        super().__init__(f"{file}: {field}: {problem}" if field else f"{file}: {problem}")
        self.file = str(file)
        self.field = field
        self.problem = problem
