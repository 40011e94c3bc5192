"""request."""

from __future__ import annotations

from dataclasses import dataclass

from paddlevl_doctor.knowledge.version_sets import PLANNED_PYTHON


@dataclass(frozen=True)
class Request:
    """What the user asked `fix` for."""

    only: tuple[str, ...] = ()
    skip: tuple[str, ...] = ()
    set_name: str | None = None
    index: str | None = None
    """URL of an index to use instead of the default one."""
    extra_indexes: tuple[str, ...] = ()
    """URLs of indexes to look into besides, as pip does: whichever has the newest that fits."""
    interpreter: str | None = None
    """Path or version of the Python that a new environment is made from; None: the doctor chooses."""
    python_version: str = PLANNED_PYTHON
    """The version of that Python."""
    yes: bool = False
    """Packages may be removed, and packages that no cure names downgraded."""
    dev_safetensors: bool = False
    """Take the wheel that Paddle published itself before safetensors 0.7.0, where the set and the machine have one."""
    wheelhouse: str | None = None
    """Folder with every wheel, instead of any index."""
