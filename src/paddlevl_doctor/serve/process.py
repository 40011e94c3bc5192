"""Prepares a server's environment, starts the server, waits until it answers a real request, and ends it.

All its processes are ended after Ctrl-C, a time limit or a crash of the server too.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from paddlevl_doctor.facts.server import (
    KEY_REFUSED,
    KEY_VARIABLE,
    LIST_TIMEOUT,
    api_key,
    bearer,
    chat,
    loopback_exemptions,
    model_names,
)
from paddlevl_doctor.knowledge.failures import load_all, load_failure
from paddlevl_doctor.logs.recognise import match
from paddlevl_doctor.messages import Text, message
from paddlevl_doctor.packages.uv import INSTALL_TIMEOUT, UvError, run_uv
from paddlevl_doctor.serve.plan import CLIENT_FILE, HEADER, ServerPlan
from paddlevl_doctor.system.child import Child
from paddlevl_doctor.system.files import new_file
from paddlevl_doctor.system.machine import System
from paddlevl_doctor.system.processes import uninterrupted
from paddlevl_doctor.values.errors import DoctorError, RolledBackError, UsageError
from paddlevl_doctor.values.findings import Stage

MARK = ".paddlevl-doctor-server"
"""A file in environments that the doctor created and may install into; its content is complete or incomplete."""
LOG = "paddleocr-vl-server.log"
READY_TIMEOUT = 1800.0
"""Seconds; the server may first download 2 GB of weights and capture CUDA graphs."""
_POLL_SECONDS = 0.5
_TAIL_LINES = 15
"""Lines of the log in a message."""
_TAIL_BYTES = 1 << 20


@dataclass
class Server:
    """A running server that has answered a request."""

    child: Child
    log: Path
    seconds: float

    @property
    def pid(self) -> int:
        """The number of its process."""
        return self.child.pid

    def watch(self) -> None:
        """Wait until the server ends by itself, and raise DoctorError with the end of its log."""
        code = None
        while code is None:
            code = self.child.wait(_POLL_SECONDS)
        raise DoctorError(message("serve-ended", code=code, log=self.log, words=log_tail(self.log)))


def prepare(system: System, plan: ServerPlan, stage: Stage, *, adopted: bool) -> None:
    """Create the server's environment and install the server; raises RolledBackError after removing its folder.

    An environment that the doctor did not create (`adopted`) is not changed; one of the doctor's is updated.
    """
    if plan.server.folder is None:
        return
    folder = Path(plan.server.folder)
    if not adopted:
        _install(system, plan, stage, folder)
    if plan.server.config is not None:
        (folder / "server-config.yaml").write_text(plan.server.config, encoding="utf-8")


def _install(system: System, plan: ServerPlan, stage: Stage, folder: Path) -> None:
    """Run the commands of the plan. The mark is written after the first one, so a killed run can be continued."""
    mark = folder / MARK
    ours = mark.exists()
    if ours:
        mark.write_text("incomplete\n", encoding="utf-8")
    try:
        for command in plan.server.prepare[1:] if ours else plan.server.prepare:
            with stage(message("stage-serve-prepare", folder=folder)):
                run_uv(system, command, timeout=INSTALL_TIMEOUT)
            mark.write_text("incomplete\n", encoding="utf-8")
    except BaseException as error:
        if not ours:  # the folder did not exist, or was empty
            # Ctrl-C must not end the removal; the downloaded wheels stay in uv's cache.
            with uninterrupted():
                shutil.rmtree(folder, ignore_errors=True)
        if isinstance(error, UvError):
            raise RolledBackError(error.message) from error
        raise
    mark.write_text("complete\n", encoding="utf-8")


def write_client_file(system: System, plan: ServerPlan) -> None:
    """Write the client's pipeline file to the working folder; raises UsageError if another file has that name."""
    if plan.client.yaml is None:
        return
    path = system.cwd() / CLIENT_FILE
    present = system.read_text(path)
    if present is not None and not present.startswith(HEADER):
        raise UsageError(message("serve-file-not-ours", path=path))
    with new_file(path) as file:
        file.write(plan.client.yaml.encode())


@contextlib.contextmanager
def started(system: System, plan: ServerPlan, stage: Stage, ready_timeout: float) -> Iterator[Server]:
    """Start the server, yield it when it has answered a real request, and end it with the block.

    Raises DoctorError if it cannot be started, ends, or is not ready in time; its log stays.
    """
    log = system.cwd() / LOG
    begun = system.clock()
    with contextlib.ExitStack() as end:
        try:
            env = {**system.env, **plan.server.environment, **loopback_exemptions(system.env)}
            child = system.start(plan.server.start, env, log)
        except OSError as error:
            raise DoctorError(
                message("serve-not-started", program=plan.server.start[0], reason=error.strerror)
            ) from error
        end.callback(child.stop)
        with stage(message("stage-serve-wait", url=plan.url)):
            _wait_until_ready(system, plan, child, log, begun + ready_timeout)
        yield Server(child, log, round(system.clock() - begun, 3))


def _wait_until_ready(system: System, plan: ServerPlan, child: Child, log: Path, deadline: float) -> None:
    """Wait until the model is loaded, then send an image to read; the response must contain text."""
    reason = ""
    while (left := deadline - system.clock()) > 0:
        code = child.wait(_POLL_SECONDS)
        if code is not None:
            raise DoctorError(message("serve-ended", code=code, log=log, words=log_tail(log)))
        reason, refused = _readiness(system, plan, left)
        if refused:  # waiting does not help
            raise DoctorError(message("serve-wants-key", name=KEY_VARIABLE, log=log))
        if not reason:
            return
    raise DoctorError(message("serve-not-ready", said=reason or "-", log=log, words=log_tail(log)))


def _readiness(system: System, plan: ServerPlan, left: float) -> tuple[str, bool]:
    """Return why the server is not ready, "" if it is, and whether it needs an API key.

    Loopback needs no proxy.
    """
    patience, key = min(LIST_TIMEOUT, max(left, 1.0)), bearer(api_key(system.env))
    health = system.ask(plan.server.health, timeout=patience, direct=True)
    if health.status not in (200, 404):
        return f"{plan.server.health}: {health.status or health.error}", False
    listed = system.ask(f"{plan.url}/models", timeout=patience, headers=key, direct=True)
    if not model_names(listed):
        return f"{plan.url}/models: {listed.status or listed.error}", listed.status in KEY_REFUSED
    reply = chat(system, plan.url, plan.model, max(left, 1.0), key, direct=True)
    reason = "" if reply.status == 200 else f"chat: {reply.status or reply.error} {reply.body[:200]}"  # noqa: PLR2004
    return reason, reply.status in KEY_REFUSED


def log_tail(log: Path) -> Text:
    """Return the known failure in a server's log, and the last lines of the log."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - _TAIL_BYTES))
            words = file.read(_TAIL_BYTES).decode("utf-8", errors="replace")
    except OSError:
        return ""
    tail = "\n".join(words.splitlines()[-_TAIL_LINES:])
    found = match(words, load_all())
    if not found:
        return tail
    failure = load_failure(found[0].id)
    title, remedy = failure.message("title.short"), failure.message("remedy")
    return message("serve-known-failure", failure=failure.id, title=title, remedy=remedy, tail=tail)
