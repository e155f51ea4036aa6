"""`workbench playbooks`: the playbooks of a workspace, from files and into files."""

# rich-click names click's generic ParamType without its arguments.
# pyright: reportUnknownMemberType=false

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import rich_click as click

from workbench.domain.playbooks.authors import Operator
from workbench.domain.playbooks.service import PlaybookService
from workbench.domain.playbooks.shelf import AS_SHIPPED
from workbench.domain.playbooks.views import MAX_REPORT, Publication, Trial
from workbench.entrypoints.cli.playbook_files import (
    TEXTS,
    Outcome,
    as_json,
    each_file,
    files_of,
    outcome_of,
    shown,
    text_of,
    written_as,
)
from workbench.entrypoints.cli.running import operator, run

PATH = click.Path(path_type=Path)
WORKSPACE = click.option("--workspace", required=True, metavar="NAME", help="The workspace. There is no default.")
AS_JSON = click.option("--json", "is_json", is_flag=True, help="Print JSON.")
FILES = click.argument("paths", nargs=-1, required=True, type=PATH, metavar="PATH...")
FAILED = 1


@click.group()
def playbooks() -> None:
    """Look after the playbooks of a workspace.

    Paths are files in YAML or JSON, or folders, of which all such files count. One that is bad stops nothing else; the exit
    code is 1 then.
    """


@playbooks.command()
@WORKSPACE
@FILES
@AS_JSON
def validate(workspace: str, paths: tuple[Path, ...], is_json: bool) -> None:  # noqa: ARG001 - as for the others
    """Tell everything that is amiss in files. Changes nothing."""

    async def check(service: PlaybookService) -> list[Outcome]:
        async def one(path: Path, text: bytes) -> Outcome:
            found = await service.validate(text, written_as(path))
            status = "valid" if found.is_valid else "error"
            return Outcome(path=str(path), status=status, key=found.key, findings=found.findings)

        return await each_file(paths, one)

    _tell(run(PlaybookService, check), is_json=is_json)


@playbooks.command("import")
@WORKSPACE
@FILES
@click.option("--publish", is_flag=True, help="Have new sessions follow them at once.")
@click.option("--dry-run", is_flag=True, help="Only tell what would come of it.")
@AS_JSON
def import_(workspace: str, paths: tuple[Path, ...], publish: bool, dry_run: bool, is_json: bool) -> None:
    """Keep each file as the next version of its playbook; what means the same as one that is there changes nothing."""
    author = _author(workspace)

    async def take_in(service: PlaybookService) -> list[Outcome]:
        async def one(path: Path, text: bytes) -> Outcome:
            taken = await service.import_text(author, text, written_as(path), publish=publish, dry_run=dry_run)
            return Outcome(
                path=str(path), status=taken.status, key=taken.key, version=taken.version, findings=taken.findings
            )

        return await each_file(paths, one)

    _tell(run(PlaybookService, take_in), is_json=is_json)


@playbooks.command()
@WORKSPACE
@click.argument("keys", nargs=-1, required=True, metavar="KEY...")
@click.option(
    "--version", "number", type=click.IntRange(min=0), help="An older one: back to it. By default the newest."
)
@AS_JSON
def publish(workspace: str, keys: tuple[str, ...], number: int | None, is_json: bool) -> None:
    """Have new sessions follow a version of each playbook. Sessions under way stay with theirs."""
    author = _author(workspace)

    async def publish_all(service: PlaybookService) -> list[Outcome]:
        async def one(key: str) -> Outcome:
            view = await service.publish(author, key, Publication(version=number))
            return Outcome(path=key, status=view.status, version=view.current_version)

        return [await outcome_of(key, lambda key=key: one(key)) for key in keys]

    _tell(run(PlaybookService, publish_all), is_json=is_json)


@playbooks.command("export")
@WORKSPACE
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.argument("keys", nargs=-1, metavar="[KEY]...")
@click.option("--shipped", is_flag=True, help="Those that come with the package, too.")
@AS_JSON
def export(workspace: str, folder: Path, keys: tuple[str, ...], shipped: bool, is_json: bool) -> None:
    """Write the texts of playbooks into a folder, over those that are there: what sessions follow, else the newest."""
    author = _author(workspace)

    async def read_all(service: PlaybookService) -> list[Outcome]:
        async def one(key: str) -> Outcome:
            view = await service.get(author, key)
            number = view.versions[-1].version if view.current_version is None else view.current_version
            texts[key] = (await service.version(author, key, number)).source_text
            return Outcome(path=key, status="written", key=key, version=number)

        wanted = keys or await _exported(service, author, is_all=shipped)
        return [await outcome_of(key, lambda key=key: one(key)) for key in wanted]

    texts: dict[str, str] = {}
    found = run(PlaybookService, read_all)
    folder.mkdir(parents=True, exist_ok=True)
    _tell([_written(each, folder, texts.get(each.path)) for each in found], is_json=is_json)


async def _exported(service: PlaybookService, author: Operator, *, is_all: bool) -> Sequence[str]:
    listed = (await service.all(author)).playbooks
    return [each.key for each in listed if is_all or each.current_version != AS_SHIPPED]


def _written(outcome: Outcome, folder: Path, text: str | None) -> Outcome:
    if text is None:
        return outcome
    path = folder / f"{outcome.path}.{'json' if _is_json(text) else 'yaml'}"
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        return Outcome(path=str(path), status="error", detail=error.strerror)
    return msgspec.structs.replace(outcome, path=str(path))


@playbooks.command()
@WORKSPACE
@click.argument("paths", nargs=-1, type=PATH, metavar="[PATH]...")
@click.option("--text", help="A report, in the place of files.")
@AS_JSON
def match(workspace: str, paths: tuple[Path, ...], text: str | None, is_json: bool) -> None:
    """Say which playbooks the reports in files of text would find, and how well. No session is begun."""
    if bool(paths) == (text is not None):
        raise click.UsageError("Give files with reports, or --text.")
    author = _author(workspace)
    reports = [("text", lambda: text or "")] if text is not None else list(map(_report, files_of(paths, TEXTS)))

    async def try_all(service: PlaybookService) -> list[tuple[Outcome, Sequence[Any]]]:
        return [await _tried(service, author, name, read) for name, read in reports]

    tried = run(PlaybookService, try_all)
    if is_json:
        told = [{"path": each.path, "decision": each.status, "detail": each.detail, "candidates": found}
                for each, found in tried]  # fmt: skip
        click.echo(msgspec.json.encode({"results": told, "errors": sum(each.is_error for each, _ in tried)}).decode())
    else:
        for each, found in tried:
            for line in [*shown(each), *(f"  {one.score:.2f} {one.key}: {one.title}" for one in found)]:
                click.echo(line)
    _end([each for each, _ in tried])


async def _tried(
    service: PlaybookService, author: Operator, name: str, read: Callable[[], str]
) -> tuple[Outcome, Sequence[Any]]:
    found: list[Any] = []

    async def one() -> Outcome:
        result = await service.match(author, Trial(text=read()[:MAX_REPORT]))
        found.extend(result.candidates)
        return Outcome(path=name, status=result.decision)

    return await outcome_of(name, one), found


def _report(path: Path) -> tuple[str, Callable[[], str]]:
    return str(path), lambda: text_of(path).decode(errors="replace")


def _author(workspace: str) -> Operator:
    return Operator(workspace_id=workspace, actor=operator())


def _is_json(text: str) -> bool:
    try:
        msgspec.json.decode(text)
    except msgspec.DecodeError:
        return False
    return True


def _tell(outcomes: Sequence[Outcome], *, is_json: bool) -> None:
    if is_json:
        click.echo(as_json(outcomes))
    else:
        for each in outcomes:
            for line in shown(each):
                click.echo(line, err=each.is_error)
    _end(outcomes)


def _end(outcomes: Sequence[Outcome]) -> None:
    """Raises SystemExit 1 where anything is wrong."""
    if any(each.is_error for each in outcomes):
        raise SystemExit(FAILED)
