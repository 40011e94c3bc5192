"""The doctor's own wheel, for machines that cannot fetch it: built from its sources, or put together as installed."""

from __future__ import annotations

import json
from importlib import metadata
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from paddlevl_doctor.errors import DoctorError
from paddlevl_doctor.facts.model import Distribution
from paddlevl_doctor.messages import text
from paddlevl_doctor.repair.patched_wheel import published, repack
from paddlevl_doctor.repair.uv import RESOLVE_TIMEOUT, run_uv
from paddlevl_doctor.system import System

NAME = "paddlevl-doctor"
EXTRA = "reader"
"""What brings the embedded reader along; a machine without a network has no other."""


def own_wheel(system: System, folder: Path) -> Path:
    """Put the doctor's wheel into an empty folder and return its path.

    Raises DoctorError where neither the sources of a development installation nor the installed files are whole,
    UvError where the wheel cannot be built.
    """
    try:
        found = metadata.distribution(NAME)
    except metadata.PackageNotFoundError as error:
        raise DoctorError(text("own-wheel-none")) from error
    sources = _sources(found)
    if sources is None:
        return repack(published(system, _installed(found)), folder)
    if not (sources / "pyproject.toml").is_file():
        raise DoctorError(text("own-wheel-sources", path=sources))
    words = ("uv", "build", "--quiet", "--wheel", "--out-dir", str(folder), str(sources))
    run_uv(system, words, timeout=RESOLVE_TIMEOUT)
    return next(folder.glob("*.whl"))


def _sources(found: metadata.Distribution) -> Path | None:
    """Return the folder of an editable installation (PEP 610), None for one that has its files in its environment."""
    said = json.loads(found.read_text("direct_url.json") or "{}")
    if not said.get("dir_info", {}).get("editable"):
        return None
    return Path(url2pathname(urlsplit(said["url"]).path))


def _installed(found: metadata.Distribution) -> Distribution:
    info = Path(str(found.locate_file(""))) / f"{NAME.replace('-', '_')}-{found.version}.dist-info"
    if not (info / "RECORD").is_file():
        raise DoctorError(text("own-wheel-none"))
    return Distribution(NAME, found.version, str(info), has_record=True)
