"""`workbench serve`: the HTTP service, alone or in several worker processes, which drain before they stop."""

# rich-click names click's generic ParamType without its arguments.
# pyright: reportUnknownMemberType=false

import socket

import rich_click as click
from uvicorn.config import STARTUP_FAILURE

from workbench.entrypoints.cli.draining import ServiceConfig, SingleServer
from workbench.entrypoints.cli.staying import imported_to_stay
from workbench.entrypoints.cli.supervising import Supervisor
from workbench.wiring.local_tokens import require_local_key
from workbench.wiring.measures import measured_together
from workbench.wiring.settings import Settings, load_settings
from workbench.wiring.starting import prepared_meanwhile


@click.command()
@click.option("--host", help="Address to listen on. [default: WORKBENCH__SERVICE__HOST, 127.0.0.1]")
@click.option("--port", type=click.IntRange(0, 65535), help="0: a free one. [default: WORKBENCH__SERVICE__PORT, 3000]")
@click.option("--workers", type=click.IntRange(1, 64), default=1, show_default=True, help="Worker processes.")
def serve(host: str | None, port: int | None, workers: int) -> None:
    """Run the service until it is told to stop (SIGTERM or Ctrl+C); then drain. Ctrl+C once more ends it at once."""
    given = {"host": host, "port": port}
    settings = load_settings(service={name: value for name, value in given.items() if value is not None})
    settings.require_safe_address()
    with _listen(settings) as listening:
        settings = _with_port(settings, listening.getsockname()[1])
        require_local_key(settings)
        with prepared_meanwhile(settings):
            if workers == 1:
                imported_to_stay("workbench.entrypoints.http.app")
        settings = _prepared(settings)
        _run(ServiceConfig(settings, workers=workers, announcement=_announcement(settings)), [listening])


def _prepared(settings: Settings) -> Settings:
    """Let workers find the schema as it is: it was looked after once, before any of them starts."""
    return settings.model_copy(update={"db": settings.db.model_copy(update={"migrate_at_start": False})})


def _run(config: ServiceConfig, sockets: list[socket.socket]) -> None:
    if config.worker_count > 1:
        with measured_together():
            supervisor = Supervisor(config, sockets)
            supervisor.run()
        has_failed = supervisor.has_failed
    else:
        has_failed = _run_alone(config, sockets) == STARTUP_FAILURE
    if has_failed:
        raise click.ClickException("The service could not start; the log says why.")


def _run_alone(config: ServiceConfig, sockets: list[socket.socket]) -> int:
    try:
        SingleServer(config).run(sockets)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1
    return 0


def _listen(settings: Settings) -> socket.socket:
    host, port = settings.service.host.strip("[]"), settings.service.port
    try:
        return _bound(host, port)
    except OSError as error:
        remedy = "Choose another with --host and --port, or WORKBENCH__SERVICE__HOST and WORKBENCH__SERVICE__PORT."
        raise click.ClickException(f"Cannot listen on {host} port {port}: {error.strerror}. {remedy}") from error


def _bound(host: str, port: int) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    listening = socket.socket(family, kind, protocol)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
    except OSError:
        listening.close()
        raise
    listening.set_inheritable(True)
    return listening


def _with_port(settings: Settings, port: int) -> Settings:
    return settings.model_copy(update={"service": settings.service.model_copy(update={"port": port})})


def _announcement(settings: Settings) -> str:
    host = settings.service.host.strip("[]")
    shown = f"[{host}]" if ":" in host else host
    address = f"http://{shown}:{settings.service.port}"
    return f"Workbench is serving on {address} ({settings.database_kind}, {settings.service.assistant_keys} mode)"
