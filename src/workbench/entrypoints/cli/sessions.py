"""`workbench sessions`: what troubleshooting sessions are found and compared by is made anew."""

# rich-click names click's generic ParamType without its arguments.
# pyright: reportUnknownMemberType=false

import msgspec
import rich_click as click

from workbench.domain.identity.model import DEFAULT_WORKSPACE
from workbench.domain.troubleshooting.indexing import IndexingService, Walked
from workbench.entrypoints.cli.running import progress, run


@click.group()
def sessions() -> None:
    """Look after troubleshooting sessions."""


@sessions.command()
@click.option("--workspace", default=DEFAULT_WORKSPACE, show_default=True, help="The workspace.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def reindex(workspace: str, as_json: bool) -> None:
    """Make the words of all sessions anew by which they are found, and the vectors that are missing.

    After another choice of what makes the vectors, this fills the new ones and then has them used. The service may run
    meanwhile; what there is serves until then. Interrupted, it is begun anew, and vectors that were made are kept.
    """
    done = run(IndexingService, lambda indexing: _rebuild(indexing, workspace, as_json))
    if as_json:
        click.echo(msgspec.json.encode(done).decode())
    else:
        click.echo(f"{done.sessions} sessions: {done.documents} made anew, {done.vectors} vectors made")


async def _rebuild(indexing: IndexingService, workspace: str, as_json: bool) -> Walked:
    done = Walked()
    with progress("reindexing", silent=as_json) as show:
        async for walked in indexing.rebuild(workspace):
            done = walked
            show(f"{done.sessions} sessions")
    return done
