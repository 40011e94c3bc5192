"""Connects to a Ray cluster and describes its nodes; every failure to connect is one message."""

from __future__ import annotations

import contextlib
import importlib.metadata
import logging
import os
import re
import signal
import socket
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from paddlevl_doctor import __version__
from paddlevl_doctor.commands.diagnose import TargetOptions
from paddlevl_doctor.facts.target import SYSTEM
from paddlevl_doctor.messages import Message, message
from paddlevl_doctor.system.processes import kept_handler
from paddlevl_doctor.values.errors import DoctorError, UsageError

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0"
"""The first bytes of a gRPC client: the connection preface of HTTP/2 and an empty SETTINGS frame (RFC 9113, 3.4)."""
_SETTINGS, _FRAME_HEADER_BYTES = 4, 9
"""The type of the frame that an HTTP/2 server answers with."""
_VERSIONS = re.compile(r"Ray: (\S+) Python: (\S+)")
"""Matches the versions of the cluster, then ours, in the error of ray/_private/utils.py, check_version_info."""
_VERSION_TIMEOUT_SECONDS = 60.0
_MAX_DETAIL_CHARS = 300

Node = Mapping[str, Any]


@contextlib.contextmanager
def connected(address: str) -> Iterator[Any]:
    """Give the module `ray`, connected to the cluster; output of its threads goes to stderr.

    Raises UsageError if Ray is not installed, and DoctorError if no cluster answers or its version differs.
    """
    try:
        import ray  # noqa: PLC0415 - comes with the extra `ray`
    except ImportError as error:
        raise UsageError(message("ray-missing")) from error
    _probe_address(address)
    with contextlib.redirect_stdout(sys.stderr):
        try:
            with kept_handler(signal.SIGTERM):  # ray.init sets its own
                ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
        except (ray.exceptions.RayError, RuntimeError, ValueError, OSError) as error:
            raise DoctorError(connection_error(address, error)) from error
        try:
            yield ray
        finally:
            ray.shutdown()


def _probe_address(address: str) -> None:
    """Raise DoctorError if no gRPC server listens at an address with a port.

    Without this test, Ray ends this process if nothing listens, and retries for minutes if another server listens.
    """
    host, _, port = address.rpartition("//")[2].rpartition(":")
    if not port.isdecimal():
        return
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=10) as connection:
            if "RAY_USE_TLS" in os.environ:  # the server answers only after a TLS handshake
                return
            connection.sendall(_PREFACE)
            head = connection.recv(_FRAME_HEADER_BYTES)
    except (OSError, OverflowError) as error:
        detail = getattr(error, "strerror", None) or type(error).__name__
        raise DoctorError(message("ray-unreachable", address=address, detail=detail)) from error
    if len(head) < _FRAME_HEADER_BYTES or head[3] != _SETTINGS:
        raise DoctorError(message("ray-unreachable", address=address, detail=message("ray-another")))


def connection_error(address: str, error: Exception) -> Message:
    """Return the message for an error that Ray raised while it connected to the cluster at `address`."""
    detail = " ".join(str(error).split())
    versions = _VERSIONS.findall(detail)
    if len(versions) > 1:
        (ray, python), (own_ray, own_python) = versions[:2]
        return message(
            "ray-versions", address=address, ray=ray, python=python, own_ray=own_ray, own_python=own_python
        )
    if address == "auto":
        return message("ray-none-here")
    return message("ray-unreachable", address=address, detail=detail[:_MAX_DETAIL_CHARS])


def alive_nodes(ray: Any) -> list[Node]:
    """Return the nodes of the cluster that are alive."""
    return [node for node in ray.nodes() if node["Alive"]]


def node_affinity(node: Node) -> Any:
    """Return the scheduling strategy that runs a task only on `node`."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy  # noqa: PLC0415 - as above

    return NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)


def with_absolute_paths(options: TargetOptions) -> TargetOptions:
    """Return the options with absolute paths, because a task has another working folder; names on PATH stay."""
    python = options.python
    if python and python != SYSTEM and ("/" in python or "\\" in python):
        python = str(Path(python).absolute())
    return replace(options, python=python, venv=str(Path(options.venv).absolute()) if options.venv else None)


def nodes_without_doctor(ray: Any, nodes: Sequence[Node]) -> dict[str, Message]:
    """Return a message for each node, by its id, on which this version of the doctor is not installed.

    Nodes that do not answer are left out; Ray reports the failure of their tasks.
    """

    def version() -> str:  # a local function is pickled by value, so that it runs on nodes without the doctor
        try:
            return importlib.metadata.version("paddlevl-doctor")
        except importlib.metadata.PackageNotFoundError:
            return ""

    task = ray.remote(version)
    nodes_by_task = {
        task.options(scheduling_strategy=node_affinity(node), num_cpus=0, max_retries=0).remote(): node
        for node in nodes
    }
    finished, _ = ray.wait(
        list(nodes_by_task), num_returns=len(nodes_by_task), timeout=_VERSION_TIMEOUT_SECONDS
    )
    problems = {}
    for task in finished:
        with contextlib.suppress(ray.exceptions.RayError):
            found, node = ray.get(task), nodes_by_task[task]
            if found != __version__:
                problem = "node-with-other-doctor" if found else "node-without-doctor"
                name = node["NodeManagerHostname"]
                problems[node["NodeID"]] = message(problem, node=name, found=found, version=__version__)
    return problems


def reason_of(error: Exception) -> str:
    """Return one line that says why a task failed: the exception of the task without its stack, or the error of Ray."""
    cause = getattr(error, "cause", None)
    reason = f"{type(cause).__name__}: {cause}" if isinstance(cause, Exception) else str(error)
    return " ".join(reason.split())[:_MAX_DETAIL_CHARS]
