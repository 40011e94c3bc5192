"""The way into a Ray cluster, and what its nodes are; whatever keeps one out is one sentence."""

from __future__ import annotations

import contextlib
import importlib.metadata
import logging
import os
import re
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
from paddlevl_doctor.values.errors import DoctorError, UsageError

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0"
"""How a client of gRPC begins: HTTP/2's preface and an empty frame of settings (RFC 9113, 3.4)."""
_SETTINGS, _FRAME = 4, 9
"""The kind of the frame that the server has to answer with, and the size of a frame's head."""
_VERSIONS = re.compile(r"Ray: (\S+) Python: (\S+)")
"""The cluster's, then ours, in Ray's own sentence (ray/_private/utils.py, check_version_info)."""
_GREETING_SECONDS = 60.0
_MAX_DETAIL_CHARS = 300

Node = Mapping[str, Any]


@contextlib.contextmanager
def joined(address: str) -> Iterator[Any]:
    """Give ray, connected to the cluster; what it prints in its threads is no part of the answer on stdout.

    Raises UsageError without Ray, and DoctorError where there is no cluster or none that this Ray can speak with.
    """
    try:
        import ray  # noqa: PLC0415 - an extra of its own
    except ImportError as error:
        raise UsageError(message("ray-missing")) from error
    _probe_address(address)
    with contextlib.redirect_stdout(sys.stderr):
        try:
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
        except (ray.exceptions.RayError, RuntimeError, ValueError, OSError) as error:
            raise DoctorError(not_joined(address, error)) from error
        try:
            yield ray
        finally:
            ray.shutdown()


def _probe_address(address: str) -> None:
    """See whether a cluster listens at an address with a port.

    Where nobody does, Ray ends this very process; where somebody else does, it tries for minutes.
    """
    host, _, port = address.rpartition("//")[2].rpartition(":")
    if not port.isdecimal():
        return
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=10) as door:
            if "RAY_USE_TLS" in os.environ:  # then there is more to say before anybody answers
                return
            door.sendall(_PREFACE)
            head = door.recv(_FRAME)
    except (OSError, OverflowError) as error:
        detail = getattr(error, "strerror", None) or type(error).__name__
        raise DoctorError(message("ray-unreachable", address=address, detail=detail)) from error
    if len(head) < _FRAME or head[3] != _SETTINGS:
        raise DoctorError(message("ray-unreachable", address=address, detail=message("ray-another")))


def not_joined(address: str, error: Exception) -> Message:
    """Return in one sentence why there is no way into the cluster at an address; `error` is Ray's own."""
    words = " ".join(str(error).split())
    versions = _VERSIONS.findall(words)
    if len(versions) > 1:
        (ray, python), (own_ray, own_python) = versions[:2]
        return message(
            "ray-versions", address=address, ray=ray, python=python, own_ray=own_ray, own_python=own_python
        )
    if address == "auto":
        return message("ray-none-here")
    return message("ray-unreachable", address=address, detail=words[:_MAX_DETAIL_CHARS])


def alive(ray: Any) -> list[Node]:
    """Return the nodes of the cluster."""
    return [node for node in ray.nodes() if node["Alive"]]


def at_node(node: Node) -> Any:
    """Return what makes Ray run a task on a node and nowhere else."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy  # noqa: PLC0415 - an extra

    return NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)


def on_every_node(options: TargetOptions) -> TargetOptions:
    """Return the target with whole paths: a task has another working folder than its user. Names are left to PATH."""
    python = options.python
    if python and python != SYSTEM and ("/" in python or "\\" in python):
        python = str(Path(python).absolute())
    return replace(options, python=python, venv=str(Path(options.venv).absolute()) if options.venv else None)


def nodes_without_doctor(ray: Any, nodes: Sequence[Node]) -> dict[str, Message]:
    """Return a sentence for every node, by its id, on which this version of the doctor is not installed.

    A node that does not answer is none of them: what becomes of its tasks is Ray's to say.
    """

    def version() -> str:  # in here, so that it travels as it is to nodes that have nothing of the doctor

        try:
            return importlib.metadata.version("paddlevl-doctor")
        except importlib.metadata.PackageNotFoundError:
            return ""

    task = ray.remote(version)
    asked = {
        task.options(scheduling_strategy=at_node(node), num_cpus=0, max_retries=0).remote(): node
        for node in nodes
    }
    answered, _ = ray.wait(list(asked), num_returns=len(asked), timeout=_GREETING_SECONDS)
    found = {}
    for answer in answered:
        with contextlib.suppress(ray.exceptions.RayError):
            found[asked[answer]["NodeID"]] = (asked[answer]["NodeManagerHostname"], ray.get(answer))
    return {node: _why_unusable(*told) for node, told in found.items() if told[1] != __version__}


def _why_unusable(name: str, version: str) -> Message:
    key = "node-with-other-doctor" if version else "node-without-doctor"
    return message(key, node=name, found=version, version=__version__)


def reason_of(error: Exception) -> str:
    """Return in one line why a task has failed: what was raised in it, without the stacks, or Ray's own words."""
    cause = getattr(error, "cause", None)
    words = f"{type(cause).__name__}: {cause}" if isinstance(cause, Exception) else str(error)
    return " ".join(words.split())[:_MAX_DETAIL_CHARS]
