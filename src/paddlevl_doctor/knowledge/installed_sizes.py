"""The installed sizes of distributions (matrix/sizes.toml). Only an applied plan loads this module."""

from __future__ import annotations

import functools
from collections.abc import Iterable

from paddlevl_doctor.frozen import dataclass
from paddlevl_doctor.knowledge.tables import Fact, load_rows


@dataclass(frozen=True)
class SizeGroup(Fact):
    """Sizes from one source, each as "NAME KIB FILES"."""

    sizes: tuple[str, ...]


@dataclass(frozen=True)
class InstalledSize:
    """The space and the number of files and folders that a distribution takes."""

    kib: int
    files: int


_UNKNOWN = InstalledSize(8 << 10, 200)
_UNKNOWN_CUDA = InstalledSize(300 << 10, 100)
"""A distribution whose name begins with nvidia- and that is in no table."""


@functools.cache
def _table() -> dict[str, InstalledSize]:
    rows = (size.split() for group in load_rows("sizes", "group", SizeGroup) for size in group.sizes)
    return {name: InstalledSize(int(kib), int(files)) for name, kib, files in rows}


def size_of(name: str) -> InstalledSize:
    """Return the size of a distribution; `name` is normalised."""
    return _table().get(name) or (_UNKNOWN_CUDA if name.startswith("nvidia-") else _UNKNOWN)


def total_of(names: Iterable[str]) -> InstalledSize:
    """Return the size of some distributions together."""
    sizes = [size_of(name) for name in names]
    return InstalledSize(sum(size.kib for size in sizes), sum(size.files for size in sizes))


def cuda_libraries(tag: str) -> frozenset[str]:
    """Return the NVIDIA packages that paddlepaddle-gpu of a CUDA variant (cu126) requires on Linux."""
    return frozenset(name for name in _table() if name.startswith("nvidia-") and name.endswith(f"-{tag[:4]}"))
