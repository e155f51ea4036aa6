"""`workbench export` and `workbench import`: archives of a workspace, made and taken in by its operator."""

# rich-click names click's generic ParamType without its arguments.
# pyright: reportUnknownMemberType=false

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import IO, Any
from uuid import UUID

import msgspec
import rich_click as click

from workbench.domain.archive.making import Export
from workbench.domain.archive.model import ExportCounts, ImportReport, Watch
from workbench.domain.archive.operating import (
    OperatorExport,
    OperatorExportService,
    OperatorImportService,
    Wanted,
)
from workbench.domain.identity.model import DEFAULT_WORKSPACE
from workbench.entrypoints.cli.outlets import Outlet, file_outlet, stdout_outlet
from workbench.entrypoints.cli.running import bar, operator, run

READ_BYTES = 1 << 20
STDOUT = "-"

in_workspace = click.option("--workspace", default=DEFAULT_WORKSPACE, show_default=True, help="The workspace.")
as_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


class Exported(msgspec.Struct, frozen=True, kw_only=True):
    """What is told of an export."""

    file: str
    counts: ExportCounts
    assistants_without_data: list[UUID]
    next_after: UUID | None


@click.command()
@click.option("-o", "--output", required=True, metavar="FILE", help="Where to; `-` is standard output.")
@in_workspace
@click.option("--conversation", "conversations", type=click.UUID, multiple=True, help="A conversation; repeatable.")
@click.option("--assistant", type=click.UUID, help="An assistant, with all conversations that it is active in.")
@click.option("--all", "everything", is_flag=True, help="All conversations of the workspace.")
@click.option("--limit", type=click.IntRange(min=1), help="With --all: so many conversations, in order of id.")
@click.option("--after", type=click.UUID, help="With --all: only those behind this conversation.")
@click.option("--skip-offline", is_flag=True, help="Leave out what assistants keep whose services do not answer.")
@click.option("--force", is_flag=True, help="Replace FILE if it is there.")
@as_json_option
def export(output: str, workspace: str, force: bool, as_json: bool, **choice: Any) -> None:
    """Write an archive of conversations, of an assistant, or of a whole workspace. The service may run meanwhile.

    Say --conversation, --assistant or --all. FILE is there once it is whole, and only then. No archive is made that an
    import of the same settings would refuse for its size: it ends with exit code 6, and --all can then be taken in
    parts by --limit and --after. The act is in the audit record.
    """
    wanted = _wanted(**choice)
    if output == STDOUT and sys.stdout.isatty():
        raise click.UsageError("An archive is not for a terminal: name a file, or redirect standard output.")
    outlet = stdout_outlet() if output == STDOUT else file_outlet(Path(output), force=force)
    with bar(silent=as_json) as watch:
        made = run(OperatorExportService, lambda service: _export(service, workspace, wanted, outlet, watch))
    told = Exported(
        file=output,
        counts=made.export.counts,
        assistants_without_data=made.export.without_data,
        next_after=made.next_after,
    )
    click.echo(msgspec.json.encode(told).decode() if as_json else _words(told), err=output == STDOUT)


@click.command("import")
@click.argument("file", type=click.File("rb"))
@click.option("--owner", required=True, metavar="USER", help="Who is to own what comes in, by id.")
@click.option("--owner-name", help="Their name, if they never signed in to this workspace.")
@in_workspace
@click.option("--dry-run", is_flag=True, help="Only check everything, and count what would come in.")
@as_json_option
def import_(file: IO[bytes], owner: str, owner_name: str | None, workspace: str, dry_run: bool, as_json: bool) -> None:
    """Import the archive FILE, all of it or nothing; `-` is standard input. The service may run meanwhile.

    What comes in gets new ids and belongs to the owner, who alone has a seat in it. The services of its assistants must
    be registered and online. A dry run raises all that an import would but what these services answer. The act is in
    the audit record.
    """
    with bar(silent=as_json) as watch:
        report = run(
            OperatorImportService,
            lambda service: _import(service, file, (workspace, owner, owner_name), dry_run=dry_run, watch=watch),
        )
    click.echo(msgspec.json.encode(report).decode() if as_json else _summary(report, owner))


def _wanted(
    *,
    conversations: tuple[UUID, ...],
    assistant: UUID | None,
    everything: bool,
    limit: int | None,
    after: UUID | None,
    skip_offline: bool,
) -> Wanted:
    if sum((bool(conversations), assistant is not None, everything)) != 1:
        raise click.UsageError("Say one of --conversation, --assistant and --all.")
    if not everything and (limit is not None or after is not None):
        raise click.UsageError("--limit and --after are for --all.")
    return Wanted(
        conversation_ids=conversations, assistant_id=assistant, after=after, limit=limit, skip_offline=skip_offline
    )


async def _export(
    service: OperatorExportService, workspace: str, wanted: Wanted, outlet: Outlet, watch: Watch
) -> OperatorExport:
    with outlet as file:
        made = await service.export(workspace, wanted, operator(), watch)
        await _write(made.export, file, watch)
    return made


async def _write(export: Export, file: IO[bytes], watch: Watch) -> None:
    written = 0
    async for chunk in export.package.read():
        await asyncio.to_thread(file.write, chunk)
        written += len(chunk)
        watch("writing", written, export.size)


async def _import(
    service: OperatorImportService,
    file: IO[bytes],
    whose: tuple[str, str, str | None],
    *,
    dry_run: bool,
    watch: Watch,
) -> ImportReport:
    owner = await service.owner(*whose)
    if dry_run:
        return await service.rehearse(owner, _read(file, watch), watch)
    return await service.run(owner, _read(file, watch), operator(), watch)


async def _read(file: IO[bytes], watch: Watch) -> AsyncIterator[bytes]:
    try:
        total = os.fstat(file.fileno()).st_size or None
    except OSError:
        total = None
    done = 0
    while chunk := await asyncio.to_thread(file.read, READ_BYTES):
        done += len(chunk)
        watch("reading", done, total)
        yield chunk


def _words(told: Exported) -> str:
    counts = told.counts
    lines = [
        f"{counts.conversations} conversations with {counts.messages} messages and {counts.files} versions of files, "
        f"and {counts.assistants} assistants: {counts.bytes} bytes"
        + ("." if told.file == STDOUT else f" in {told.file}.")
    ]
    if told.assistants_without_data:
        ids = ", ".join(map(str, told.assistants_without_data))
        lines.append(f"Without what these assistants keep, whose services did not answer: {ids}")
    if told.next_after:
        lines.append(f"There are more conversations: go on with --after {told.next_after}")
    return "\n".join(lines)


def _summary(report: ImportReport, owner: str) -> str:
    counts = report.counts
    return (
        f"{'Would import' if report.dry_run else 'Imported'} {counts.conversations} conversations with "
        f"{counts.messages} messages and {counts.files} versions of files ({counts.file_bytes} bytes) for {owner}; "
        f"{counts.new_assistants} new assistants, {counts.assistants_used_again} used again."
    )
