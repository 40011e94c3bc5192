"""`env`: the environment variables that PaddleOCR-VL should be started with on this machine, with reasons."""

from __future__ import annotations

from paddlevl_doctor.commands.diagnose import TargetOptions, examine
from paddlevl_doctor.fix.start_variables import Variable, variables_of
from paddlevl_doctor.messages import message
from paddlevl_doctor.parsing.engines.devices import tuning_variables
from paddlevl_doctor.system.machine import System


def variables(system: System, options: TargetOptions) -> tuple[Variable, ...]:
    """Return the useful variables for this machine and target, without those that the user has set."""
    facts = examine(system, options).facts
    target = facts.target
    gpu = target is not None and target.version_of("paddlepaddle-gpu") is not None
    package = "paddlepaddle-gpu" if gpu else None
    start_variables = variables_of(facts, package, target.version_of("paddlex") if target else None)
    has_cpu_wheel = target is not None and target.version_of("paddlepaddle") is not None
    faster = tuning_variables("cpu", facts.host.cpu, facts.host.cpu_flags) if has_cpu_wheel else {}
    mkl = (Variable(name, value, message("env-mkl")) for name, value in faster.items())
    return tuple(v for v in (*start_variables, *mkl) if v.prepends or v.name not in facts.settings)
