"""`workbench openapi`: the interface as an OpenAPI document."""

# rich-click names click's generic ParamType without its arguments.
# pyright: reportUnknownMemberType=false

import json
from pathlib import Path

import rich_click as click

from workbench.entrypoints.http.app import create_app
from workbench.wiring.settings import Settings


@click.command()
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="Write to this file instead.")
def openapi(output: Path | None) -> None:
    """Print the OpenAPI document of the HTTP interface, as JSON."""
    document = json.dumps(create_app(Settings.of()).openapi_schema.to_schema(), indent=2, ensure_ascii=False)
    if output is None:
        click.echo(document)
        return
    try:
        output.write_text(f"{document}\n", encoding="utf-8")
    except OSError as error:
        raise click.ClickException(f"Cannot write {output}: {error.strerror}. Choose another with --output.") from error
