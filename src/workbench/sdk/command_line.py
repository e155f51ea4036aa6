"""The command line of an assistant service."""

import logging
import signal
import socket
import sys
from argparse import ArgumentDefaultsHelpFormatter, ArgumentParser, Namespace
from pathlib import Path

import uvicorn

from workbench.sdk.http import create_app
from workbench.sdk.service import AssistantService, Settings

STOP_SECONDS = 5


def run(service: AssistantService) -> None:
    """Run a service as its command line says, until it is told to stop."""
    parser = ArgumentParser(description=service.description, formatter_class=ArgumentDefaultsHelpFormatter)
    parser.add_argument("--workbench-url", required=True, help="where the workbench is: http://127.0.0.1:3000")
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on")
    parser.add_argument("--port", default=0, type=int, help="the port to listen on; 0 takes a free one")
    parser.add_argument("--url", default="", help="where the workbench reaches us, if not at that address and port")
    parser.add_argument("--service-id", default=service.service_id, help="the id in the workbench")
    parser.add_argument("--api-key", default="", help="the key that came with the id")
    parser.add_argument("--data-folder", type=Path, help="where to keep assistants, config and states")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    _serve(service, parser.parse_args())


def _serve(service: AssistantService, arguments: Namespace) -> None:
    # uvicorn stops in good order first, then raises the signal anew.
    signal.signal(signal.SIGTERM, lambda _signal, _frame: sys.exit(0))
    with socket.create_server((arguments.host, arguments.port)) as listener:
        listens = f"http://{arguments.host}:{listener.getsockname()[1]}"
        settings = Settings(
            workbench_url=arguments.workbench_url,
            url=arguments.url or listens,
            service_id=arguments.service_id,
            api_key=arguments.api_key,
            data_folder=arguments.data_folder,
        )
        app = create_app(service, settings)
        config = uvicorn.Config(app, log_config=None, log_level="warning", timeout_graceful_shutdown=STOP_SECONDS)
        sys.stdout.write(f"listening on {listens}\n")
        sys.stdout.flush()
        uvicorn.Server(config).run(sockets=[listener])
