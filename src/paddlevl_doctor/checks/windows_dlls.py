"""Checks of the DLLs that a CUDA wheel loads on Windows, and of the Visual C++ runtime that paddle needs there.

The rules follow paddle's source and Windows' documentation. They were not tested on a Windows machine.
"""

from __future__ import annotations

from paddlevl_doctor.checks.base import Check, Context, Diagnosis, ok, problem, skipped
from paddlevl_doctor.knowledge.wheel_tables import dlls_of
from paddlevl_doctor.messages import Message, message
from paddlevl_doctor.values.facts import DllFolder
from paddlevl_doctor.values.findings import Evidence, Status

RUNTIME = ("vcruntime140.dll", "vcruntime140_1.dll", "msvcp140.dll")
"""The DLLs that paddle/__init__.py loads first; it only logs a missing one."""
_ZLIB = "zlibwapi.dll"


def wanted_dlls(context: Context) -> tuple[str, ...]:
    """Return the DLLs that the CUDA wheel loads, nothing without collected folders or with an unknown CUDA version."""
    build = context.target.paddle
    if context.facts.dlls is None or build is None or build.cuda is None:
        return ()
    return dlls_of(build.cuda)


def _folders_with(context: Context, name: str) -> list[DllFolder]:
    """Return the folders with a DLL, in the order of Windows' search; file names are compared without case."""
    folders = context.facts.dlls or ()
    return [f for f in folders if f.role != "torch" and name.lower() in map(str.lower, f.names)]


def judge_libraries(context: Context, wanted: tuple[str, ...]) -> Diagnosis:
    """Report the DLLs that are missing and those that another folder than the wheel's provides."""
    folders = {name: _folders_with(context, name) for name in wanted}
    missing = [name for name, having in folders.items() if not having]
    foreign = {name: having[0] for name, having in folders.items() if having and having[0].role != "wheel"}
    if not missing and not foreign:
        cudnn = next(name for name in wanted if name.startswith("cudnn"))
        return ok(cudnn, folders[cudnn][0].path)
    if "cudnn64_8.dll" in foreign and not _folders_with(context, _ZLIB):
        missing.append(_ZLIB)
    evidence = [Evidence(name, _other_versions(context, name)) for name in missing]
    evidence += [Evidence(name, folder.path) for name, folder in foreign.items()]
    fatal = any(name != _ZLIB for name in missing)
    status = Status.ERROR if fatal else Status.WARNING
    return Diagnosis(status, tuple(evidence), {"libraries": ", ".join((*missing, *foreign))})


def _other_versions(context: Context, name: str) -> Message:
    """Return the other versions of a missing DLL; paddle does not load them because their names differ."""
    stem = name.partition("64_")[0].lower() + "64_"
    copies = [
        message("evidence-in-folder", name=n, folder=f.path)
        for f in context.facts.dlls or ()
        for n in f.names
        if n.lower().startswith(stem)
    ]
    return message("evidence-dlls-elsewhere", places=copies) if copies else message("evidence-absent")


def _runtime_and_copies(context: Context) -> Diagnosis:
    """Report a warning if the runtime is missing, a note if a DLL has two copies: Windows loads the first one."""
    if context.facts.host.system != "windows":
        return skipped(context.facts.host.system)
    missing = [name for name in context.target.missing_libraries if name in RUNTIME]
    if missing:
        evidence = message("evidence-absent-names", names=missing)
        return problem(Status.WARNING, "LoadLibrary", evidence, names=", ".join(missing))
    copies = {name: [folder.path for folder in _folders_with(context, name)] for name in wanted_dlls(context)}
    duplicates = tuple(Evidence(name, "; ".join(paths)) for name, paths in copies.items() if len(paths) > 1)
    if duplicates:
        return Diagnosis(Status.NOTE, duplicates, {"names": ", ".join(one.source for one in duplicates)})
    return ok("LoadLibrary", ", ".join(RUNTIME))


CHECKS = (Check("windows-libpaddle-dll", _runtime_and_copies, needs=("target-environment",)),)
