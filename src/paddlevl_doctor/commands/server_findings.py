"""Checks a running model server with the requests that the target's client sends."""

from __future__ import annotations

from paddlevl_doctor.checks.server import judge_server
from paddlevl_doctor.commands.serve import client_model
from paddlevl_doctor.facts.server import ask_server
from paddlevl_doctor.system.machine import System
from paddlevl_doctor.values.facts import Facts
from paddlevl_doctor.values.findings import Finding


def server_findings(system: System, facts: Facts, url: str) -> tuple[Finding, ...]:
    """Send the requests of the target's client to a running server and return the findings."""
    return judge_server(ask_server(system, url, client_model(system, facts)))
