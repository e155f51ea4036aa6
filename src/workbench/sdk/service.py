"""An assistant service, as its author writes it: what it offers, and what it does when something happens."""

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec

from workbench.sdk.context import AssistantContext, Context
from workbench.sdk.errors import RefusedError
from workbench.sdk.model import Event, Json, Message
from workbench.sdk.templates import Template

EventHandler = Callable[[Context, Event], Awaitable[None]]
MessageHandler = Callable[[Context, Message], Awaitable[None]]
EventHandlerT = TypeVar("EventHandlerT", bound=EventHandler)
MessageHandlerT = TypeVar("MessageHandlerT", bound=MessageHandler)
AssistantExporterT = TypeVar("AssistantExporterT", bound=Callable[[AssistantContext], Awaitable[bytes]])
AssistantImporterT = TypeVar("AssistantImporterT", bound=Callable[[AssistantContext, bytes], Awaitable[None]])
ExporterT = TypeVar("ExporterT", bound=Callable[[Context], Awaitable[bytes]])
ImporterT = TypeVar("ImporterT", bound=Callable[[Context, bytes], Awaitable[None]])


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Where the workbench is, where it reaches us, and how we run.

    An empty key means that the workbench asks for none. Without a folder all is kept in memory only; the
    workbench introduces assistants and conversations anew to a service that has forgotten them.
    """

    workbench_url: str
    url: str
    service_id: str = ""  # instead of the one in the program
    api_key: str = ""
    data_folder: Path | None = None
    waiting_events: int = 1_000  # for each assistant in each conversation
    drain_seconds: float = 3.0
    patience_seconds: float = 30.0  # of handlers with a workbench that is away or busy
    body_limit_bytes: int = 64 * 1024 * 1024


class Hooks(msgspec.Struct):
    """What an author wants exported besides config and states, and how it is taken back in."""

    export_assistant: Callable[[AssistantContext], Awaitable[bytes]] | None = None
    import_assistant: Callable[[AssistantContext, bytes], Awaitable[None]] | None = None
    export_conversation: Callable[[Context], Awaitable[bytes]] | None = None
    import_conversation: Callable[[Context, bytes], Awaitable[None]] | None = None


class AssistantService:
    """What a service is, and whom it calls when something happens. It does nothing before it is run."""

    def __init__(
        self,
        service_id: str,
        *,
        name: str,
        description: str,
        templates: Sequence[Template] = (),
        metadata: Json | None = None,
    ) -> None:
        """Offer these templates, or one with the service's name and nothing to set."""
        self.service_id = service_id
        self.name = name
        self.description = description
        self.metadata = metadata or {}
        offered = templates or [Template(id="default", name=name, description=description)]
        self.templates = {template.id: template for template in offered}
        self.hooks = Hooks()
        self._handlers: list[tuple[str, EventHandler]] = []

    def template(self, template_id: str) -> Template:
        """Find a template. Raises RefusedError."""
        if template_id not in self.templates:
            raise RefusedError(f"unknown template {template_id}")
        return self.templates[template_id]

    def on(self, *events: str) -> Callable[[EventHandlerT], EventHandlerT]:
        """Have a function called when such an event has happened, such as `participant.created`.

        An assistant's own messages are left out.
        """

        def register(handler: EventHandlerT) -> EventHandlerT:
            self._handlers += [(event, handler) for event in events]
            return handler

        return register

    def on_message(
        self, *message_types: str, roles: Sequence[str] = ("user",)
    ) -> Callable[[MessageHandlerT], MessageHandlerT]:
        """Have a function called when somebody has written a message of one of these types (`chat`, `command`, ...).

        Unless `roles` says otherwise only people are heard: two assistants that answer each other never stop.
        """

        def register(handler: MessageHandlerT) -> MessageHandlerT:
            async def handle(context: Context, event: Event) -> None:
                message = event.data.message
                if message and message.message_type in message_types and message.sender.participant_role in roles:
                    await handler(context, message)

            self._handlers.append(("message.created", handle))
            return handler

        return register

    def export_assistant(self, hook: AssistantExporterT) -> AssistantExporterT:
        """Have a function give the bytes that go with an exported assistant, besides its config."""
        self.hooks.export_assistant = hook
        return hook

    def import_assistant(self, hook: AssistantImporterT) -> AssistantImporterT:
        """Have a function take back what `export_assistant` gave; it may raise RefusedError."""
        self.hooks.import_assistant = hook
        return hook

    def export_conversation(self, hook: ExporterT) -> ExporterT:
        """Have a function give the bytes that go with an exported conversation, besides its states."""
        self.hooks.export_conversation = hook
        return hook

    def import_conversation(self, hook: ImporterT) -> ImporterT:
        """Have a function take back what `export_conversation` gave; it may raise RefusedError."""
        self.hooks.import_conversation = hook
        return hook

    async def handle(self, context: Context, event: Event) -> None:
        """Call those who want to know of an event, one after the other."""
        message = event.data.message
        if message is not None and message.sender.participant_id == str(context.assistant_id):
            return
        for name, handler in self._handlers:
            if name == event.event:
                await handler(context, event)
