"""The result of `matrix` for the console and as JSON: the wheels, their requirements, and the rules with sources."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from paddlevl_doctor.invocation import invocation
from paddlevl_doctor.messages import Text as Words
from paddlevl_doctor.messages import message, tr
from paddlevl_doctor.report.json_documents import document
from paddlevl_doctor.shells import command_line, shell_of

if TYPE_CHECKING:
    from pathlib import Path

    from paddlevl_doctor.knowledge.install_options import GpuNeed, InstallOption, Machine
    from paddlevl_doctor.knowledge.resource_estimates import Download
    from paddlevl_doctor.knowledge.selection_rules import RuleText
    from paddlevl_doctor.report.console import Screen
    from paddlevl_doctor.report.json_documents import Document
    from paddlevl_doctor.values.findings import Command

_PARTS = ("paddle", "nvidia", "stack", "models")


def show(
    screen: Screen, answer: InstallOption, files: Sequence[Path] = (), notes: Sequence[Words] = ()
) -> None:
    """Print an answer with its notes and written files; with --quiet, only the refusals and the commands or files.

    The refusals come first if no GPU can be used.
    """
    refused_first = answer.possible and not answer.used
    if refused_first:
        _refusals(screen, answer)
    if not screen.quiet:
        _table(screen, _rows(answer, screen.lang))
        _rules(screen, screen.tr("matrix-why"), answer.reasons, "")
    if answer.index is not None:
        style = "green" if answer.index.state == "confirmed" else "yellow"
        _rules(screen, screen.tr("matrix-page", url=answer.index.url), answer.index.texts, style)
    if not refused_first:
        _refusals(screen, answer)
    if not answer.possible:
        screen.line(screen.tr("matrix-impossible"), "bold red")
        return
    for note in notes:
        screen.line(note, "yellow")
    if files:
        screen.line(screen.tr("written", paths=", ".join(map(str, files))))
    else:
        _commands(screen, answer)


def _refusals(screen: Screen, answer: InstallOption) -> None:
    _rules(screen, screen.tr("matrix-refused"), answer.refusals, "yellow" if answer.possible else "red")


def _table(screen: Screen, rows: Sequence[tuple[str, str]]) -> None:
    """Print rows in columns on a terminal, else each as one unbroken line, because a URL may be long."""
    if screen.console.is_terminal:
        grid = Table.grid(padding=(0, 2))
        for name, value in rows:
            grid.add_row(Text(name, style="bold"), Text(screen.clean(value), overflow="fold"))
        screen.console.print(grid)
    else:
        for name, value in rows:
            screen.line(f"{name}{screen.tr('label-colon')}{value}")
    screen.console.print()


def _rows(answer: InstallOption, lang: str) -> list[tuple[str, str]]:
    chosen = answer.version_set
    rows = [
        (tr("matrix-machine", lang), _machine(answer.machine, lang)),
        (tr("matrix-set", lang), f"{chosen.name}: paddleocr {chosen.paddleocr}, paddlex {chosen.paddlex}"),
    ]
    if not answer.possible:
        return rows
    wheel = answer.wheel
    shown = {"requirement": wheel.requirement, "tag": wheel.tag, "device": wheel.device}
    rows += [
        (tr("matrix-wheel", lang), tr("matrix-wheel-line", lang, **shown)),
        (tr("matrix-index", lang), _places(answer, lang)),
    ]
    if answer.driver is not None:
        need = answer.driver
        words = tr("matrix-driver-line", lang, minimum=need.minimum, cuda=need.cuda, toolkit=need.toolkit)
        rows.append((tr("matrix-driver", lang), words))
    if answer.download is not None:
        rows.append((tr("matrix-download", lang), _download(answer.download, lang)))
    return rows + [(tr("matrix-vram", lang), _memory(need, lang)) for need in answer.memory]


def _places(answer: InstallOption, lang: str) -> str:
    """Return the page of the CUDA wheel and the index of the other packages."""
    default = answer.mirror or tr("matrix-default-index", lang)
    page = answer.wheel.find_links
    return default if page is None else f"{page}, {answer.mirror}" if answer.mirror else page


def _machine(machine: Machine, lang: str) -> str:
    host, gpus = machine.host, machine.gpus
    place = f"WSL {host.wsl}" if host.wsl else host.notebook
    names = [f"{gpu.name} ({gpu.compute_capability})" for gpu in gpus.devices]
    counted = [f"{names.count(name)}× {name}" if names.count(name) > 1 else name for name in names]
    driver = f"{tr('matrix-driver', lang)} {gpus.driver}" if gpus.driver else tr("matrix-no-driver", lang)
    parts = [
        f"{host.system} {host.machine}",
        place,
        *dict.fromkeys(counted),
        driver if gpus.devices else None,
        f"glibc {host.glibc}" if host.glibc else "musl" if host.musl else None,
        f"Python {machine.python}",
    ]
    return ", ".join(part for part in parts if part)


def _download(download: Download, lang: str) -> str:
    sizes = (download.paddle_mb, download.nvidia_mb, download.stack_mb, download.models_mb)
    parts = [
        f"{tr(f'matrix-part-{name}', lang)} {tr('matrix-unknown-size', lang) if size is None else _gb(size / 1000)}"
        for name, size in zip(_PARTS, sizes, strict=True)
        if size != 0
    ]
    key = "matrix-gigabytes" if download.complete else "matrix-gigabytes-at-least"
    total = tr(key, lang, gb=_gb(download.total_mb / 1000))
    listed = tr("list-separator", lang).join(parts)
    return f"{total}{tr('label-colon', lang)}{listed}{_doubt(download.verified, lang)}"


def _memory(need: GpuNeed, lang: str) -> str:
    shown = {"peak": _gb(need.peak_mb / 1024), "patched": _gb(need.patched_mb / 1024)}
    words = tr("matrix-vram-line", lang, gpu=need.gpu, dtype=need.dtype, **shown)
    has = tr("matrix-vram-has", lang, has=_gb(need.memory_mb / 1024)) if need.memory_mb else ""
    return f"{words}{has}{_doubt('unverified', lang)}"


def _gb(gigabytes: float) -> str:
    return f"{gigabytes:.1f}"


def _doubt(verified: str, lang: str) -> str:
    return f" [{tr('matrix-unverified', lang)}]" if verified == "unverified" else ""


def _rules(screen: Screen, title: str, rules: Sequence[RuleText], style: str) -> None:
    if not rules:
        return
    screen.line(title, "bold")
    for rule in rules:
        text = f"- {rule.text(screen.lang)}{_doubt(rule.verified, screen.lang)}"
        screen.indented(Text(text, style=style), 2)
        screen.indented(Text(rule.source, style="dim"), 4)
    screen.console.print()


def _commands(screen: Screen, answer: InstallOption) -> None:
    screen.line(screen.tr("matrix-install"), "bold")
    shell = shell_of(answer.machine.host.system)
    for command in answer.commands:
        elsewhere = answer.machine.described
        screen.unbroken(command_line(command, shell) if elsewhere else invocation().line(command), 2)
    if not screen.quiet and answer.machine.described:
        screen.line(screen.tr("matrix-elsewhere", command=command_line(answer.fix, shell)), "dim")
    elif not screen.quiet:
        screen.line(screen.tr("matrix-here", command=invocation().line(answer.fix)), "dim")


def matrix_document(
    answer: InstallOption, files: Sequence[Path] = (), notes: Sequence[Words] = ()
) -> Document:
    """Return the JSON document of `matrix`."""
    machine, chosen = answer.machine, answer.version_set
    return document(
        "matrix",
        possible=answer.possible,
        machine=_machine_fields(answer),
        set={
            "name": chosen.name,
            "paddleocr": chosen.paddleocr,
            "paddlex": chosen.paddlex,
            "python": chosen.python,
            "why": message(f"set:{chosen.name}:why"),
            "source": chosen.source,
            "verified": chosen.verified,
        },
        wheel=_wheel(answer) if answer.possible else None,
        driver=answer.driver,
        download=_download_fields(answer.download) if answer.download else None,
        gpu_memory=answer.memory,
        rules=[_rule(rule, "reason") for rule in answer.reasons]
        + [_rule(rule, "refusal") for rule in answer.refusals],
        index=_index(answer),
        commands=answer.commands,
        fix=_fix(answer),
        described=machine.described,
        files=[str(path) for path in files],
        notes=list(notes),
    )


def _fix(answer: InstallOption) -> Command:
    """Return the `fix` command; one for another machine has the plain name of the program."""
    if not answer.possible:
        return ()
    return answer.fix if answer.machine.described else invocation().complete(answer.fix)


def _machine_fields(answer: InstallOption) -> dict[str, object]:
    machine = answer.machine
    host, gpus = machine.host, machine.gpus
    return {
        "system": host.system,
        "machine": host.machine,
        "wsl": host.wsl,
        "notebook": host.notebook,
        "glibc": host.glibc,
        "python": machine.python,
        "driver": gpus.driver,
        "gpus": [
            {
                "name": gpu.name,
                "compute_capability": gpu.compute_capability,
                "memory_total_mb": gpu.memory_total_mb or None,
                "used": gpu in answer.used,
            }
            for gpu in gpus.devices
        ],
    }


def _wheel(answer: InstallOption) -> dict[str, object]:
    wheel = answer.wheel
    return {
        "package": wheel.package,
        "version": wheel.version,
        "tag": wheel.tag,
        "device": wheel.device,
        "find_links": wheel.find_links,
        "requirements": [wheel.requirement, *answer.version_set.stack()],
    }


def _index(answer: InstallOption) -> dict[str, object] | None:
    index = answer.index
    if index is None:
        return None
    rules = [_rule(rule, "index") for rule in index.texts]
    return {"url": index.url, "state": index.state, "versions": index.versions, "rules": rules}


def _download_fields(download: Download) -> dict[str, object]:
    return {**vars(download), "total_mb": download.total_mb, "complete": download.complete}


def _rule(rule: RuleText, kind: str) -> dict[str, object]:
    fields = {"text": rule.message, "source": rule.source, "verified": rule.verified}
    return {"rule": rule.rule, "kind": kind, **fields}
