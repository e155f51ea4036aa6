"""What is amiss in a playbook, all of it at once, each with its place (7.6)."""

from typing import Literal

import msgspec

from workbench.domain.errors import UnprocessableError

MAX_FINDINGS = 200
"""More are not told of: whoever has so many mends these first."""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is amiss. `path` is its place in the document, such as `nodes.scope.options[1].value`."""

    level: Literal["error", "warning"]
    path: str
    code: str
    message: str


class Findings:
    """Collects what is amiss."""

    def __init__(self) -> None:
        self.found: list[Finding] = []

    @property
    def has_errors(self) -> bool:
        """Whether the playbook cannot be used."""
        return any(finding.level == "error" for finding in self.found)

    def error(self, path: str, code: str, message: str) -> None:
        """Tell what keeps the playbook from being used."""
        self._add(Finding(level="error", path=path, code=code, message=message))

    def warn(self, path: str, code: str, message: str) -> None:
        """Tell what may be a mistake."""
        self._add(Finding(level="warning", path=path, code=code, message=message))

    def _add(self, finding: Finding) -> None:
        # An error is never lost behind warnings: it decides whether the playbook may be used.
        if len(self.found) < MAX_FINDINGS or (finding.level == "error" and not self.has_errors):
            self.found.append(finding)


def invalid_playbook(findings: list[Finding]) -> UnprocessableError:
    """A playbook that cannot be used, and why."""
    first = next((finding for finding in findings if finding.level == "error"), None)
    where = f": {first.path}: {first.message}" if first else ""
    return UnprocessableError(
        f"The playbook has errors{where}",
        code="invalid_playbook",
        field=first.path if first else None,
        extra={"findings": msgspec.to_builtins(findings)},
    )
