"""An example assistant service, to be read before you write your own: it repeats what people say.

An assistant service is a web server which the workbench calls, and which calls the workbench back:

1. it announces itself, again and again, so that the workbench knows where it is: `announce_for_ever`;
2. it is told which assistants it has, and which conversations each of them sits in: `AssistantController`;
3. it is sent all that happens there, takes it at once and looks at it afterwards, in order: `Inbox`;
4. it makes up its mind about what to say, if anything: `Assistant` and `reply_to`;
5. and it says so, as the assistant: `Workbench`.

Run it with `python -m workbench.examples.echo_assistant --workbench-url http://127.0.0.1:3000`.

All is kept in memory. An assistant that a restart made us forget is answered with 404, as the contract asks.
"""

import asyncio
import hmac
import logging
import signal
import socket
import sys
from argparse import ArgumentDefaultsHelpFormatter, ArgumentParser
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from types import MappingProxyType
from typing import Any
from urllib.parse import unquote
from uuid import UUID, uuid5

import msgspec
import uvicorn
from litestar import Controller, Litestar, Request, Response, delete, get, post, put
from litestar.connection import ASGIConnection
from litestar.di import NamedDependency, Provide
from litestar.exceptions import NotAuthorizedException, NotFoundException
from litestar.handlers import BaseRouteHandler
from litestar.params import FromPath, JSONBody

from workbench.examples.echo_workbench import Event, Inbox, Message, NewMessage, Settings, Workbench, announce_for_ever

GREETING = "Hello! I repeat what you say. Type /help to see what else I can do."
STOP_SECONDS = 3.0

log = logging.getLogger("echo_assistant")


class Assistant:
    """One assistant: its name, its config and the conversations that it sits in."""

    def __init__(self, assistant_id: UUID, workbench: Workbench) -> None:
        """Begin without a name and without conversations: the workbench will tell."""
        self.name = ""
        self.greeting = GREETING
        self.inboxes: dict[UUID, Inbox] = {}
        self._id = assistant_id
        self._workbench = workbench

    def join(self, conversation_id: UUID) -> None:
        """Sit down in a conversation; being told so again does no harm."""
        if conversation_id not in self.inboxes:
            self.inboxes[conversation_id] = Inbox(self._handle)

    def leave(self, conversation_id: UUID) -> None:
        """Leave a conversation; what is not yet handled is dropped."""
        if inbox := self.inboxes.pop(conversation_id, None):
            inbox.worker.cancel()

    async def _handle(self, event: Event) -> None:
        answer = self._answer_to(event)
        log.info("%s in %s: %s", event.event, event.conversation_id, answer.message_type if answer else "no answer")
        if answer is None:
            return
        await self._workbench.set_status(self._id, event, "thinking...")
        try:
            await self._workbench.post_message(self._id, event, answer)
        finally:
            await self._workbench.set_status(self._id, event, None)

    def _answer_to(self, event: Event) -> NewMessage | None:
        answer_id = uuid5(self._id, event.id)  # the same again, should this event come again
        message, newcomer = event.data.message, event.data.participant
        if event.event == "participant.created" and newcomer and newcomer.id == str(self._id):
            return NewMessage(answer_id, "chat", self.greeting, {})
        if event.event == "message.created" and message and (reply := reply_to(message)):
            return NewMessage(answer_id, *reply, {"reply_to": str(message.id)})
        return None


def reply_to(message: Message) -> tuple[str, str] | None:
    """Find the type and the text of the reply to a message, or None where none is due.

    Only people are answered. We are sent our own messages too, and those of other assistants: two
    assistants that answer each other never stop.
    """
    if message.sender.participant_role != "user":
        return None
    if message.message_type == "chat":
        count = len(message.content.split())
        return "chat", f"You said: {message.content} ({count} {'word' if count == 1 else 'words'})"
    if message.message_type == "command":
        return "command-response", run_command(message.content)
    return None


def run_command(text: str) -> str:
    """Do what a `/command` asks and tell the outcome."""
    command, argument = (*text.split(maxsplit=1), "", "")[:2]
    if command == "/reverse":
        return argument.strip()[::-1]
    if command == "/help":
        return "/reverse some text - says it backwards\n/help - says this"
    return f"Error: I know no command {command}. Type /help to see those that I know."


class EchoService:
    """What the service keeps while it runs: the workbench that it calls and the assistants that it has."""

    def __init__(self, settings: Settings) -> None:
        """Begin without assistants."""
        self.settings = settings
        self.workbench = Workbench(settings)
        self.assistants: dict[UUID, Assistant] = {}

    def workers(self) -> list[asyncio.Task[None]]:
        """List the tasks that handle events."""
        return [inbox.worker for assistant in self.assistants.values() for inbox in assistant.inboxes.values()]


class AssistantForm(msgspec.Struct):
    """The form field `assistant`."""

    assistant_name: str


class EchoConfig(msgspec.Struct):
    """What the owner of an assistant may set."""

    greeting: str = GREETING


class ConfigForm(msgspec.Struct):
    """The body that sets a config."""

    config: EchoConfig


def describe_config(greeting: str) -> dict[str, Any]:
    """Present a config together with the schema from which the workbench's app draws its form."""
    field = {"type": "string", "title": "Greeting", "description": "Said on joining a conversation."}
    schema = {"type": "object", "title": "Echo", "properties": {"greeting": field}}
    return {"config": {"greeting": greeting}, "errors": [], "json_schema": schema, "ui_schema": {}}


@get("/")
async def service_info(echo: NamedDependency[EchoService]) -> dict[str, Any]:
    """Tell which kinds of assistants there are to choose from; here one."""
    about = {"name": "Echo", "description": "Repeats what you say."}
    template = {"id": "default", **about, "config": describe_config(GREETING)}
    return {"assistant_service_id": echo.settings.service_id, "name": "Echo", "templates": [template], "metadata": {}}


def require_api_key(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
    """Let only the workbench in, if we share a key with it. It sends the key percent-encoded."""
    expected = connection.app.state.api_key
    given = unquote(connection.headers.get("X-API-Key", ""))
    if expected and not hmac.compare_digest(given.encode(), expected.encode()):
        raise NotAuthorizedException("Invalid credentials")


async def known_assistant(echo: NamedDependency[EchoService], assistant_id: FromPath[UUID]) -> Assistant:
    """Find the assistant that a path names; raises NotFoundException for one that we do not know."""
    if assistant_id not in echo.assistants:
        raise NotFoundException("unknown assistant")
    return echo.assistants[assistant_id]


class AssistantController(Controller):
    """What the workbench asks of one assistant. The bodies of its PUTs are forms that hold JSON."""

    path = "/{assistant_id:uuid}"
    guards = (require_api_key,)
    dependencies = MappingProxyType({"assistant": Provide(known_assistant)})

    @put(status_code=204)
    async def put_assistant(
        self, echo: NamedDependency[EchoService], assistant_id: FromPath[UUID], request: Request[Any, Any, Any]
    ) -> None:
        """Create an assistant, or rename it."""
        form = await request.form()
        name = msgspec.json.decode(form.get("assistant", ""), type=AssistantForm).assistant_name
        echo.assistants.setdefault(assistant_id, Assistant(assistant_id, echo.workbench)).name = name

    @delete()
    async def delete_assistant(
        self, echo: NamedDependency[EchoService], assistant_id: FromPath[UUID], assistant: NamedDependency[Assistant]
    ) -> None:
        """Leave all conversations and forget the assistant."""
        for conversation_id in list(assistant.inboxes):
            assistant.leave(conversation_id)
        del echo.assistants[assistant_id]

    @get("/config")
    async def get_config(self, assistant: NamedDependency[Assistant]) -> dict[str, Any]:
        """Show the config."""
        return describe_config(assistant.greeting)

    @put("/config")
    async def put_config(self, assistant: NamedDependency[Assistant], data: JSONBody[ConfigForm]) -> dict[str, Any]:
        """Change the config."""
        assistant.greeting = data.config.greeting
        return describe_config(assistant.greeting)

    @put("/conversations/{conversation_id:uuid}", status_code=204)
    async def join(self, assistant: NamedDependency[Assistant], conversation_id: FromPath[UUID]) -> None:
        """Sit down in a conversation. The form tells its title, for which we have no use."""
        assistant.join(conversation_id)

    @delete("/conversations/{conversation_id:uuid}")
    async def leave(self, assistant: NamedDependency[Assistant], conversation_id: FromPath[UUID]) -> None:
        """Leave a conversation."""
        assistant.leave(conversation_id)

    @post("/conversations/{conversation_id:uuid}/events", status_code=204)
    async def take_event(
        self, assistant: NamedDependency[Assistant], conversation_id: FromPath[UUID], data: JSONBody[Event]
    ) -> None:
        """Take an event and answer at once: the workbench waits for us before it sends the next."""
        if conversation_id not in assistant.inboxes:
            raise NotFoundException("unknown conversation")
        assistant.inboxes[conversation_id].take(data)


def refuse_form(_: Request[Any, Any, Any], error: msgspec.DecodeError) -> Response[dict[str, str]]:
    """Say what is wrong with the JSON in a form."""
    return Response({"detail": str(error)}, status_code=422)


def create_app(settings: Settings) -> Litestar:
    """Build the service, which announces itself for as long as it runs."""
    echo = EchoService(settings)

    @asynccontextmanager
    async def at_work(app: Litestar) -> AsyncGenerator[None]:
        app.state.api_key = settings.api_key
        announcer = asyncio.create_task(announce_for_ever(echo.workbench))
        try:
            yield
        finally:
            await stop([announcer, *echo.workers()])
            await echo.workbench.close()

    return Litestar(
        [service_info, AssistantController],
        dependencies={"echo": Provide(lambda: echo, sync_to_thread=False)},
        exception_handlers={msgspec.DecodeError: refuse_form},
        lifespan=[at_work],
        logging_config=None,
        openapi_config=None,
    )


async def stop(tasks: list[asyncio.Task[None]]) -> None:
    """Cancel tasks and give them a moment to clear up."""
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks, timeout=STOP_SECONDS)


def main() -> None:
    """Run the service until it is told to stop."""
    arguments = ArgumentParser(description=run.__doc__, formatter_class=ArgumentDefaultsHelpFormatter)
    arguments.add_argument("--workbench-url", required=True, help="where the workbench is: http://127.0.0.1:3000")
    arguments.add_argument("--host", default="127.0.0.1", help="the address to listen on")
    arguments.add_argument("--port", default=0, type=int, help="the port to listen on; 0 takes a free one")
    arguments.add_argument("--service-id", default="echo.workbench.example", help="the id in the workbench")
    arguments.add_argument("--api-key", default="", help="the key that came with the id")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    run(**vars(arguments.parse_args()))


def run(workbench_url: str, host: str, port: int, service_id: str, api_key: str) -> None:
    """Run an assistant service that repeats what people say."""
    # uvicorn stops in good order first, then raises the signal anew.
    signal.signal(signal.SIGTERM, lambda _signal, _frame: sys.exit(0))
    with socket.create_server((host, port)) as listener:
        url = f"http://{host}:{listener.getsockname()[1]}"
        app = create_app(Settings(workbench_url=workbench_url, url=url, service_id=service_id, api_key=api_key))
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, log_level="warning", timeout_graceful_shutdown=5))
        sys.stdout.write(f"listening on {url}\n")
        sys.stdout.flush()
        server.run(sockets=[listener])


if __name__ == "__main__":
    main()
