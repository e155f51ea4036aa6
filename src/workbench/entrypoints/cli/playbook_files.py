"""The files that commands about playbooks are given: folders with all that is in them, each file for itself."""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from workbench.domain.errors import UnavailableError, WorkbenchError
from workbench.domain.playbooks.findings import Finding
from workbench.domain.playbooks.model import MAX_BYTES
from workbench.domain.playbooks.ports import WrittenAs

JSON = ".json"
PLAYBOOKS = frozenset({".yaml", ".yml", JSON})
TEXTS = frozenset({".txt", ".md", ".eml"})
NO_FILE = "unreadable"


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one file, or of one playbook: `status` in a word, and all that is amiss."""

    path: str
    status: str
    key: str | None = None
    version: int | None = None
    detail: str | None = None
    findings: Sequence[Finding] = ()

    @property
    def is_error(self) -> bool:
        """Whether nothing came of it."""
        return self.status == "error"


def files_of(paths: Sequence[Path], suffixes: frozenset[str]) -> Iterator[Path]:
    """The files that are named, and in folders those with such names, in the order of these."""
    for path in paths:
        if path.is_dir():
            yield from sorted(each for each in path.rglob("*") if each.suffix.lower() in suffixes and each.is_file())
        else:
            yield path


def text_of(path: Path) -> bytes:
    """The text, and of one that is too large a byte more than may be. Raises OSError."""
    with path.open("rb") as file:
        return file.read(MAX_BYTES + 1)


def written_as(path: Path) -> WrittenAs:
    """What the name says that it is."""
    return "json" if path.suffix.lower() == JSON else "yaml"


async def each_file(paths: Sequence[Path], act: Callable[[Path, bytes], Awaitable[Outcome]]) -> list[Outcome]:
    """Act on each file that a playbook may be in; one that is bad keeps none of the others from it."""
    return [await outcome_of(str(path), lambda path=path: _on(path, act)) for path in files_of(paths, PLAYBOOKS)]


async def _on(path: Path, act: Callable[[Path, bytes], Awaitable[Outcome]]) -> Outcome:
    return await act(path, text_of(path))


async def outcome_of(name: str, act: Callable[[], Awaitable[Outcome]]) -> Outcome:
    """Act, and tell what was refused. Raises UnavailableError, since nothing else would fare better."""
    try:
        return await act()
    except UnavailableError:
        raise
    except WorkbenchError as error:
        findings = msgspec.convert(error.extra.get("findings", []), list[Finding])
        return Outcome(path=name, status="error", detail=error.detail, findings=findings)
    except OSError as error:
        return Outcome(path=name, status="error", detail=error.strerror or NO_FILE)


def shown(outcome: Outcome) -> Iterator[str]:
    """The lines that tell of an outcome."""
    what = [outcome.key, None if outcome.version is None else f"version {outcome.version}", outcome.status]
    line = f"{outcome.path}: {' '.join(part for part in what if part)}"
    yield f"{line}: {outcome.detail}" if outcome.detail else line
    for found in outcome.findings:
        yield f"  {found.level} {found.path}: {found.message}"


def as_json(outcomes: Sequence[Outcome]) -> str:
    """All of it for machines."""
    told: dict[str, Any] = {"results": outcomes, "errors": sum(each.is_error for each in outcomes)}
    return msgspec.json.encode(told).decode()
