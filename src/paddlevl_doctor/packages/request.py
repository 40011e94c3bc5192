"""The options of `fix` that decide about packages."""

from __future__ import annotations

from paddlevl_doctor.frozen import dataclass
from paddlevl_doctor.knowledge.version_sets import PLANNED_PYTHON


@dataclass(frozen=True)
class Request:
    """The options of `fix` that decide about packages."""

    only: tuple[str, ...] = ()
    skip: tuple[str, ...] = ()
    set_name: str | None = None
    index: str | None = None
    """URL of an index to use instead of the default one."""
    extra_indexes: tuple[str, ...] = ()
    """URLs of additional indexes, as in pip: the newest version that fits is taken, from any of them."""
    interpreter: str | None = None
    """Path or version of the Python for a new environment; None: the doctor chooses."""
    python_version: str = PLANNED_PYTHON
    """The version of that Python."""
    yes: bool = False
    """Allow to remove packages, and to downgrade packages that no remedy names."""
    dev_safetensors: bool = False
    """Install the wheel that Paddle published before safetensors 0.7.0, if the set and the machine have one."""
    wheelhouse: str | None = None
    """Folder with every wheel, used instead of an index."""
