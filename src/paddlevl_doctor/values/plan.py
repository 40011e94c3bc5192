"""Plans: the kinds of steps with their data, what a plan does not fix, and the outcomes of steps.

Each kind of step is a class. `fix/plan.py` and the modules beside it make steps, and `fix/steps.py` runs them.
"""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

from paddlevl_doctor.frozen import dataclass
from paddlevl_doctor.messages import Text, message
from paddlevl_doctor.values.findings import Command


@dataclass(frozen=True)
class FileChange:
    """A file that a step writes, with its SHA-256 before (None if it does not exist) and after."""

    path: str
    before: str | None
    after: str


@dataclass(frozen=True, kw_only=True)
class Step:
    """One change of the target; a subclass for each kind adds the data that its runner needs.

    `precondition` and `undo` are texts for people. The runner checks the commands, the files and the data of the
    subclass again before it changes anything.
    """

    kind: ClassVar[str]
    """The name of the kind in JSON and in journals."""
    id: str
    summary: Text
    resolves: tuple[str, ...] = ()
    commands: tuple[Command, ...] = ()
    diff: str = ""
    precondition: Text = ""
    undo: Text = ""
    files: tuple[FileChange, ...] = ()
    notes: tuple[Text, ...] = ()
    """What the user should know about this step, for example a lock file that would revert it."""
    needs_consent: tuple[Text, ...] = ()
    """The changes that are made only with `--yes`; empty if there is none, or if the user allowed them."""

    def json_fields(self) -> dict[str, Any]:
        """Return the fields of the JSON document: the common ones, and the data of the kind as `arguments`."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        arguments = {name: values.pop(name) for name in list(values) if name not in _COMMON}
        first = {"id": values.pop("id"), "kind": self.kind}
        return {**first, **values, "arguments": arguments, "optional": isinstance(self, LinkPipelines)}


_COMMON = frozenset(field.name for field in dataclasses.fields(Step))


@dataclass(frozen=True, kw_only=True)
class SetEnvironmentAside(Step):
    """Moves the whole content of an environment whose Python no longer exists into the transaction."""

    kind = "set-environment-aside"


@dataclass(frozen=True, kw_only=True)
class CreateEnvironment(Step):
    """Creates a virtual environment in the folder `prefix`."""

    kind = "create-environment"
    prefix: str


@dataclass(frozen=True, kw_only=True)
class PackageStep(Step):
    """A step that lets uv change the installed packages."""


@dataclass(frozen=True, kw_only=True)
class RemovePackages(PackageStep):
    """Removes distributions that collide with others; `versions` are theirs, in the same order."""

    kind = "remove-packages"
    names: tuple[str, ...]
    versions: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class InstallPackages(PackageStep):
    """Installs packages."""

    kind = "install-packages"
    requirements: tuple[str, ...] = ()
    exact: tuple[str, ...] = ()
    """The version of every change, as `name==version`; empty for a new environment."""
    reasons: tuple[Text, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ClearLeftovers(Step):
    """Moves broken records of distributions, named as in the folder `site`, out of it."""

    kind = "clear-leftovers"
    names: tuple[str, ...]
    site: str


@dataclass(frozen=True, kw_only=True)
class SetModelsAside(Step):
    """Moves incomplete models, whole folders, within the model cache."""

    kind = "repair-model-cache"
    folders: tuple[str, ...]
    action: str = "set-aside"


@dataclass(frozen=True, kw_only=True)
class ShareModels(Step):
    """Replaces the files of second copies of models by hard links; a pair is the copy and the original."""

    kind = "repair-model-cache"
    pairs: tuple[tuple[str, str], ...]
    action: str = "share"


@dataclass(frozen=True, kw_only=True)
class WriteFile(Step):
    """Writes a whole text file."""

    path: str
    content: str


@dataclass(frozen=True, kw_only=True)
class EditConfig(WriteFile):
    """Writes a configuration file of a model."""

    kind = "edit-config"


@dataclass(frozen=True, kw_only=True)
class SetEnvironment(WriteFile):
    """Writes the script with the start variables."""

    kind = "set-environment"


@dataclass(frozen=True, kw_only=True)
class ApplyPatch(Step):
    """Applies the patch of this id."""

    kind = "apply-patch"
    patch: str
    reasons: tuple[Text, ...] = ()


@dataclass(frozen=True, kw_only=True)
class LinkPipelines(Step):
    """Links `path` to the pipeline files of the environment `prefix`.

    It is a convenience: its failure is reported, and the other steps stay.
    """

    kind = "link-pipelines"
    path: str
    prefix: str = ""


@dataclass(frozen=True)
class SkippedFix:
    """A finding that the plan does not fix, and the reason."""

    finding: str
    reason: Text


@dataclass(frozen=True)
class Plan:
    """The steps of `fix`, in order."""

    steps: tuple[Step, ...] = ()
    skipped: tuple[SkippedFix, ...] = ()

    def allowed(self) -> Plan:
        """Return the plan without the steps that need `--yes`; their findings are skipped."""
        kept = tuple(step for step in self.steps if not step.needs_consent)
        return Plan(kept, (*self.skipped, *self.held()))

    def held(self) -> tuple[SkippedFix, ...]:
        """Return the findings whose steps need `--yes`, with the command that applies them."""
        return tuple(
            SkippedFix(finding, message("skip-consent", changes=step.needs_consent, id=finding))
            for step in self.steps
            if step.needs_consent
            for finding in step.resolves
        )


@dataclass(frozen=True)
class Outcome:
    """The outcome of a step; `status` is applied, already, failed or rolled-back."""

    step: str
    status: str
    seconds: float
    message: Text = ""
