"""Gives the failures that probes met their known names, each once, however many probes met it."""

from __future__ import annotations

from dataclasses import dataclass, field

from paddlevl_doctor.checks.model import Context, Diagnosis
from paddlevl_doctor.checks.run import describe
from paddlevl_doctor.knowledge.failures import Failure, load_all, match
from paddlevl_doctor.knowledge.versions import fits
from paddlevl_doctor.values import Evidence, Finding, Status

_WORST = (Status.NOTE, Status.WARNING, Status.ERROR)


@dataclass
class Causes:
    """The known failures met so far, in the order in which they were met."""

    context: Context
    met: dict[str, tuple[Status, list[Evidence]]] = field(default_factory=dict)

    def name(self, words: str, source: str, status: Status = Status.ERROR) -> str | None:
        """Return the id of the failure that these words are of, None where nobody knows them."""
        known = match(words, load_all(), system=self.context.facts.host.system)
        causes = [one.failure for one in known if one.failure.weight != "consequence"]
        cause = next((one for one in causes if self._applies(one)), None)
        if cause is None:
            return None
        former, evidence = self.met.get(cause.id, (status, []))
        evidence.append(Evidence(source, first_line(words)))
        self.met[cause.id] = (max(former, status, key=_WORST.index), evidence)
        return cause.id

    def _applies(self, failure: Failure) -> bool:
        """Say whether every distribution that the entry speaks of has a version in its range, or is absent."""
        versions = {name: self.context.target.version_of(name) for name in failure.applies.specifiers}
        return all(
            version is None or fits(version, failure.applies.specifiers[name])
            for name, version in versions.items()
        )

    def findings(self, lang: str) -> tuple[Finding, ...]:
        """Return one finding a known failure."""
        return tuple(
            describe(name, Diagnosis(status, tuple(evidence), self._params(name, evidence)), lang)
            for name, (status, evidence) in self.met.items()
        )

    def _params(self, failure_id: str, evidence: list[Evidence]) -> dict[str, object]:
        """Return what the texts of most entries ask for; an ellipsis stands for the rest."""
        target = self.context.target
        names = ("paddlex", "numpy", "paddleocr", "safetensors")
        params: dict[str, object] = {name: target.version_of(name) for name in names}
        params["paddle"] = target.paddle.version if target.paddle else None
        subject = "safetensors" if failure_id == "safetensors-framework-paddle" else "paddle"
        words = evidence[0].value
        known = {**params, "version": params[subject], "detail": words, "message": words}
        return {name: value for name, value in known.items() if value is not None}


def first_line(words: str) -> str:
    """Return the first line of a foreign text that says something."""
    return next((line.strip() for line in words.splitlines() if line.strip()), "")


def words_of(error: dict[str, object]) -> str:
    """Return everything that a probe's `error` says, what came first in the first place."""
    trace = error.get("traceback")
    lines = [error.get("root") or "", f"{error.get('type')}: {error.get('message')}"]
    return "\n".join(str(line) for line in (*lines, *(trace if isinstance(trace, list) else ())))
