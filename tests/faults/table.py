"""What was played, as a table: for each installation and fault the rounds, what went on in them, and what was found."""

from collections.abc import Sequence
from typing import Any

from tests.faults.rounds import Round

HEAD = ("installation", "fault", "rounds", "killed", "acknowledged", "seen on streams", "findings")


def table(played: Sequence[tuple[str, Sequence[Round]]]) -> str:
    """As text in Markdown."""
    rows: list[tuple[Any, ...]] = []
    for installation, rounds in played:
        faults = dict.fromkeys(done.fault for done in rounds)
        rows += [(installation, fault, *_sums([done for done in rounds if done.fault == fault])) for fault in faults]
    everything = [done for _, rounds in played for done in rounds]
    rows.append(("all", "", *_sums(everything)))
    cells = [HEAD, *(tuple(map(str, row)) for row in rows)]
    widths = [max(len(row[place]) for row in cells) for place in range(len(HEAD))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in cells
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def _sums(rounds: Sequence[Round]) -> tuple[int, ...]:
    return (
        len(rounds),
        sum(done.kills for done in rounds),
        sum(done.acknowledged for done in rounds),
        sum(done.seen for done in rounds),
        sum(len(done.findings) for done in rounds),
    )
