"""`workbench flows`: what operators do about flows."""

# rich-click names click's generic ParamType without its arguments.
# pyright: reportUnknownMemberType=false

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import rich_click as click
from dishka import Provider, Scope, provide  # pyright: ignore[reportUnknownVariableType]
from rich.console import Console
from rich.table import Table

from workbench.domain.errors import UnprocessableError, WorkbenchError
from workbench.domain.flows.importing import read_foreign
from workbench.domain.flows.model import Document, ParameterType
from workbench.domain.flows.operating import OperatorBlueprintService
from workbench.domain.flows.ports import FlowLedger
from workbench.entrypoints.cli.running import run
from workbench.entrypoints.workers.flows import FlowTools, FlowWorker
from workbench.entrypoints.workers.outside_host import OutsideHost
from workbench.wiring.outside import NamedServices, Outside

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group()
def flows() -> None:
    """Look after flows: services behind the message bus."""


@flows.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def listed(as_json: bool) -> None:
    """List the flows of all workspaces that are not over. Changes nothing."""

    async def look(ledger: FlowLedger) -> tuple[list[dict[str, Any]], int]:
        found = await ledger.holding()
        rows = [
            {
                "workspace_id": flow.workspace_id,
                "flow_id": flow.flow_id,
                "generation": flow.generation,
                "state": flow.state,
                "blueprint": flow.blueprint.name,
                "created_at": flow.created_at,
            }
            for flow in found
        ]
        return rows, await ledger.pending()

    rows, pending = run(FlowLedger, look)  # pyright: ignore[reportArgumentType] - a port, which the container knows
    if as_json:
        click.echo(msgspec.json.encode({"flows": rows, "topics_pending": pending}).decode())
        return
    table = Table("workspace", "flow", "state", "blueprint")
    for row in rows:
        table.add_row(row["workspace_id"], row["flow_id"], row["state"], row["blueprint"])
    table.caption = f"topics still to be deleted: {pending}"
    Console(soft_wrap=True, markup=False).print(table)


@flows.command("put-blueprint")
@click.argument("name")
@click.argument("file", type=FILE)
def put_blueprint(name: str, file: Path) -> None:
    """Give a blueprint to all workspaces, new or as the next version. It may reach beyond workspaces."""
    document = _read(file, Document)

    async def put(service: OperatorBlueprintService) -> int:
        return (await service.put(name, document)).version

    click.echo(f"{name}: version {_told(put)}")


@flows.command("import-blueprint")
@click.argument("file", type=FILE)
@click.option("--name", help="What to call it; by default as the file is called.")
def import_blueprint(file: Path, name: str | None) -> None:
    """Give a blueprint in TrustGraph's layout to all workspaces, new or as the next version.

    Its parameters name types, which `put-type` stores. Its services speak as TrustGraph's do, on the same broker.
    """
    chosen, document = name or file.stem, read_foreign(_read(file, Any))

    async def put(service: OperatorBlueprintService) -> int:
        return (await service.put(chosen, document)).version

    click.echo(f"{chosen}: version {_told(put)}")


@flows.command("put-type")
@click.argument("name")
@click.argument("file", type=FILE)
def put_type(name: str, file: Path) -> None:
    """Give a type of parameters to all workspaces, new or over what there was."""
    schema = _read(file, ParameterType)

    async def put(service: OperatorBlueprintService) -> str:
        return (await service.put_type(name, schema)).name

    click.echo(f"{_told(put)}: stored")


@flows.command()
@click.argument("places", nargs=-1, metavar="[MODULE:SERVICE]...")
@click.option("--url", help="The workbench to ask what to run, instead of its database. Needs a token of a host.")
def host(places: tuple[str, ...], url: str | None) -> None:
    """Run services, by default those that WORKBENCH__FLOWS__SERVICES names, without the server, until told to stop.

    For RabbitMQ: on the bus inside a process nobody else is. With --url nothing but the broker and that workbench is
    needed; the first token of WORKBENCH__FLOWS__HOST_TOKENS is shown to it.
    """
    named = NamedServices(places)
    if url is None:
        run(FlowWorker, _serve, named, Hosting())
    else:
        run(OutsideHost, _serve, named, Outside(url), OutsideHosting())


class Hosting(Provider):
    """What a process that only serves needs beside what all have."""

    scope = Scope.APP

    tools = provide(FlowTools)
    worker = provide(FlowWorker)


class OutsideHosting(Provider):
    """The same for a process that asks over HTTP."""

    scope = Scope.APP

    worker = provide(OutsideHost)


async def _serve(worker: FlowWorker | OutsideHost) -> None:
    worker.require_shared_bus()
    click.echo(f"serving {', '.join(worker.services) or 'nothing'}")
    try:
        await worker.run()
    finally:
        await asyncio.shield(worker.stop())


def _read(file: Path, kind: Any) -> Any:
    try:
        return msgspec.json.decode(file.read_bytes(), type=kind)
    except msgspec.MsgspecError as error:
        raise UnprocessableError(f"{file}: {error}") from error


def _told(act: Any) -> Any:
    """Act, and print every finding where there are any."""
    try:
        return run(OperatorBlueprintService, act)
    except WorkbenchError as error:
        for found in error.extra.get("findings", []):
            click.echo(f"{found['path']}: {found['detail']}", err=True)
        raise
