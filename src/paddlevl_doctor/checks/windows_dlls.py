"""Checks of the DLLs that a CUDA wheel loads on Windows, and of the runtime that all of paddle needs there; pure.

What is said here follows paddle's source and Windows' documentation; nobody could watch it on a Windows machine.
"""

from __future__ import annotations

from paddlevl_doctor.checks.base import Check, Context, Diagnosis, ok, problem, skipped
from paddlevl_doctor.knowledge.wheel_tables import dlls_of
from paddlevl_doctor.messages import Message, message
from paddlevl_doctor.values.facts import DllFolder
from paddlevl_doctor.values.findings import Evidence, Status

RUNTIME = ("vcruntime140.dll", "vcruntime140_1.dll", "msvcp140.dll")
"""What paddle/__init__.py tries to load before everything else; it only logs that one is missing."""
_ZLIB = "zlibwapi.dll"


def wanted_dlls(context: Context) -> tuple[str, ...]:
    """Return what the CUDA wheel loads, nothing where no folder was looked at or its CUDA version is unknown."""
    build = context.target.paddle
    if context.facts.dlls is None or build is None or build.cuda is None:
        return ()
    return dlls_of(build.cuda)


def _holders(context: Context, name: str) -> list[DllFolder]:
    """Return the folders with a DLL, in the order in which they are asked; Windows does not tell upper case."""
    folders = context.facts.dlls or ()
    return [f for f in folders if f.role != "torch" and name.lower() in map(str.lower, f.names)]


def judge_libraries(context: Context, wanted: tuple[str, ...]) -> Diagnosis:
    """Say which DLLs no folder has, which come from elsewhere than from the wheel's own, and else where cuDNN is."""
    places = {name: _holders(context, name) for name in wanted}
    missing = [name for name, folders in places.items() if not folders]
    foreign = {name: folders[0] for name, folders in places.items() if folders and folders[0].role != "wheel"}
    if not missing and not foreign:
        cudnn = next(name for name in wanted if name.startswith("cudnn"))
        return ok(cudnn, places[cudnn][0].path)
    if "cudnn64_8.dll" in foreign and not _holders(context, _ZLIB):
        missing.append(_ZLIB)
    evidence = [Evidence(name, _others(context, name)) for name in missing]
    evidence += [Evidence(name, folder.path) for name, folder in foreign.items()]
    fatal = any(name != _ZLIB for name in missing)
    status = Status.ERROR if fatal else Status.WARNING
    return Diagnosis(status, tuple(evidence), {"libraries": ", ".join((*missing, *foreign))})


def _others(context: Context, name: str) -> Message:
    """Name the copies of other versions, which paddle does not load: their names have another number."""
    stem = name.partition("64_")[0].lower() + "64_"
    found = [
        message("evidence-in-folder", name=n, folder=f.path)
        for f in context.facts.dlls or ()
        for n in f.names
        if n.lower().startswith(stem)
    ]
    return message("evidence-dlls-elsewhere", places=found) if found else message("evidence-absent")


def _core(context: Context) -> Diagnosis:
    """A missing runtime is a warning, a second copy of a library a note: which one is taken depends on who is first."""
    if context.facts.host.system != "windows":
        return skipped(context.facts.host.system)
    missing = [name for name in context.target.missing_libraries if name in RUNTIME]
    if missing:
        return problem(
            Status.WARNING,
            "LoadLibrary",
            message("evidence-absent-names", names=missing),
            names=", ".join(missing),
        )
    copies = {name: [folder.path for folder in _holders(context, name)] for name in wanted_dlls(context)}
    twice = tuple(Evidence(name, "; ".join(paths)) for name, paths in copies.items() if len(paths) > 1)
    if twice:
        return Diagnosis(Status.NOTE, twice, {"names": ", ".join(e.source for e in twice)})
    return ok("LoadLibrary", ", ".join(RUNTIME))


CHECKS = (Check("windows-libpaddle-dll", _core, needs=("target-environment",)),)
