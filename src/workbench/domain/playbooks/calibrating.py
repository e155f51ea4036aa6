"""Measures the matching on reports of which it is known what they mean, so that thresholds are set by counting."""

from collections.abc import Iterable
from typing import Literal

import msgspec

from workbench.domain.playbooks.confidence import Thresholds
from workbench.domain.playbooks.deciding import decided
from workbench.domain.playbooks.matching import PlaybookIndex, Report

Verdict = Literal["run", "offered", "missed", "wrong", "quiet", "disturbed"]
"""`run`, `offered`: the right playbook is run, or among those offered. `missed`: there is nothing to go by. `wrong`: others
are run or offered. For a report that no playbook is meant for: `quiet` where there is nothing to go by, else `disturbed`."""


class KnownReport(msgspec.Struct, frozen=True, kw_only=True):
    """A report, and the key of the playbook that it means, None for none. `set` and `language` are what to count by."""

    text: str
    expected: str | None
    set: str = ""
    language: str = "en"


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a report. `found` is the best playbook if it is run or offered; `score` is of the best in any case."""

    report: KnownReport
    verdict: Verdict
    found: str | None
    score: float


def measured(index: PlaybookIndex, reports: Iterable[KnownReport], thresholds: Thresholds) -> list[Measured]:
    """Match every report."""
    return [_measured(index, report, thresholds) for report in reports]


def _measured(index: PlaybookIndex, report: KnownReport, thresholds: Thresholds) -> Measured:
    ranked = index.ranked(Report(text=report.text))
    decision = decided(ranked, thresholds)
    keys = [candidate.key for candidate in decision.candidates]
    return Measured(
        report=report,
        verdict=_verdict(report.expected, decision.kind, keys),
        found=keys[0] if keys and decision.kind != "nothing" else None,
        score=ranked[0].score if ranked else 0.0,
    )


def _verdict(expected: str | None, kind: Literal["run", "offer", "nothing"], keys: list[str]) -> Verdict:
    if expected is None:
        return "quiet" if kind == "nothing" else "disturbed"
    if kind == "nothing":
        return "missed"
    if kind == "run":
        return "run" if keys[0] == expected else "wrong"
    return "offered" if expected in keys else "wrong"
