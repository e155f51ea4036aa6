"""A service at work: the assistants that it has, what they are sent, and what is asked about them."""

import asyncio
from functools import partial
from uuid import UUID, uuid4

import msgspec

from workbench.sdk.announcing import Heartbeat, announce_for_ever
from workbench.sdk.archive import Archive
from workbench.sdk.client import WorkbenchClient
from workbench.sdk.context import AssistantContext, Context, Save
from workbench.sdk.errors import UnknownError
from workbench.sdk.inbox import Inbox, Job
from workbench.sdk.model import Config, Event, Json, StateData, StateDescription, plain
from workbench.sdk.schema import read_as
from workbench.sdk.service import AssistantService, Settings
from workbench.sdk.store import Record, Seat, Store


class RunningService:
    """What the workbench asks of a service, whatever way it asks. Who is not known makes an UnknownError."""

    def __init__(self, service: AssistantService, settings: Settings) -> None:
        """Take up the work where it was left."""
        self.service = service
        self.settings = settings
        self.service_id = settings.service_id or service.service_id
        self._workbench = WorkbenchClient.for_service(
            settings.workbench_url, self.service_id, settings.api_key, settings.patience_seconds
        )
        self._store = Store(settings.data_folder)
        self._records = self._store.load()
        self._inboxes: dict[tuple[UUID, UUID], Inbox] = {}

    async def announce(self) -> None:
        """Tell the workbench where we are, until cancelled."""
        about = Heartbeat(name=self.service.name, description=self.service.description, url=self.settings.url)
        await announce_for_ever(self._workbench, self.service_id, about)

    async def drain(self) -> None:
        """Go on for a moment with what has been taken; then drop the rest."""
        await self._settle(self.settings.drain_seconds)
        for inbox in self._inboxes.values():
            inbox.close()
        await self._settle(self.settings.drain_seconds)
        await self._workbench.close()

    async def put_assistant(self, assistant_id: UUID, name: str, template_id: str, packed: bytes | None) -> None:
        """Have an assistant of that name, with the config that an archive brings. Raises RefusedError."""
        template = self.service.template(template_id)
        record = self._records.get(assistant_id) or Record(id=assistant_id, name=name, template_id=template_id)
        archive = self._unpacked(packed)
        config = record.config if archive is None else plain(read_as(template.config, archive.values))
        if archive and archive.data is not None and (take := self.service.hooks.import_assistant):
            wanted = msgspec.structs.replace(record, name=name, template_id=template_id, config=config)
            await take(self._assistant_context(wanted), archive.data)
        record.name, record.template_id, record.config = name, template_id, config
        self._records[assistant_id] = record
        await self._store.save(record)

    async def delete_assistant(self, assistant_id: UUID) -> None:
        """Forget an assistant, and what it had still to do."""
        for conversation_id in self.record(assistant_id).seats:
            self._close_inbox(assistant_id, conversation_id)
        del self._records[assistant_id]
        await self._store.remove(assistant_id)

    def config(self, assistant_id: UUID) -> Config:
        """Show the config."""
        record = self.record(assistant_id)
        return self.service.template(record.template_id).show_config(record.config)

    async def set_config(self, assistant_id: UUID, config: Json) -> Config:
        """Change the config. Raises RefusedError for one that does not fit."""
        record = self.record(assistant_id)
        record.config = plain(read_as(self.service.template(record.template_id).config, config))
        await self._store.save(record)
        return self.config(assistant_id)

    async def join(self, assistant_id: UUID, conversation_id: UUID, title: str, packed: bytes | None) -> None:
        """Sit down in a conversation, or hear its new title; take the states that an archive brings."""
        record = self.record(assistant_id)
        seat = msgspec.structs.replace(record.seats.get(conversation_id) or Seat(), title=title)
        if (archive := self._unpacked(packed)) is not None:
            states = self.service.template(record.template_id).states
            held = [state for state in states if state.id in archive.values]
            seat.states = {state.id: plain(read_as(state.model, archive.values[state.id])) for state in held}
        if archive and archive.data is not None and (take := self.service.hooks.import_conversation):
            wanted = msgspec.structs.replace(record, seats={conversation_id: seat})
            await take(self._context(wanted, conversation_id, save=_not_yet), archive.data)
        record.seats = {**record.seats, conversation_id: seat}
        await self._store.save(record)

    async def leave(self, assistant_id: UUID, conversation_id: UUID) -> None:
        """Leave a conversation, with what was still to be done there."""
        record = self.record(assistant_id)
        self._close_inbox(assistant_id, conversation_id)
        record.seats = {key: seat for key, seat in record.seats.items() if key != conversation_id}
        await self._store.save(record)

    def take(self, assistant_id: UUID, conversation_id: UUID, event: Event) -> bool:
        """Take an event, to be handled afterwards. False when too many wait already."""
        record, _ = self._seated(assistant_id, conversation_id)

        async def handle() -> None:
            context = self._context(record, conversation_id, event)
            if event.data.conversation is not None and event.data.conversation.title != context.title:
                context.title = record.seats[conversation_id].title = event.data.conversation.title
                await self._store.save(record)
            await self.service.handle(context, event)

        return self._inbox(assistant_id, conversation_id).take(Job(event.id, event.event, event.correlation_id, handle))

    def states(self, assistant_id: UUID, conversation_id: UUID) -> list[StateDescription]:
        """List the states that an assistant shows."""
        record, _ = self._seated(assistant_id, conversation_id)
        return [state.describe() for state in self.service.template(record.template_id).states]

    def state(self, assistant_id: UUID, conversation_id: UUID, state_id: str) -> StateData:
        """Show a state."""
        record, seat = self._seated(assistant_id, conversation_id)
        return self.service.template(record.template_id).state(state_id).show(seat.states.get(state_id))

    async def set_state(self, seat_of: tuple[UUID, UUID], state_id: str, data: Json, correlation_id: str) -> StateData:
        """Change a state, and tell all who look at it. Raises RefusedError for data that does not fit."""
        record, seat = self._seated(*seat_of)
        state = self.service.template(record.template_id).state(state_id)
        seat.states = {**seat.states, state_id: plain(read_as(state.model, data))}
        await self._store.save(record)
        context = self._context(record, seat_of[1], correlation_id=correlation_id)
        tell = partial(context.tell_state, state_id, "updated")
        # The workbench waits for our answer: it is told afterwards, and in order.
        self._inbox(*seat_of).take(Job(uuid4().hex, f"event of state {state_id}", correlation_id, tell))
        return state.show(seat.states[state_id])

    async def export_assistant(self, assistant_id: UUID) -> bytes:
        """Pack the config, and what the author adds."""
        record = self.record(assistant_id)
        give = self.service.hooks.export_assistant
        data = await give(self._assistant_context(record)) if give else None
        return Archive(record.config, data).packed()

    async def export_conversation(self, assistant_id: UUID, conversation_id: UUID) -> bytes:
        """Pack the states, and what the author adds."""
        record, seat = self._seated(assistant_id, conversation_id)
        give = self.service.hooks.export_conversation
        data = await give(self._context(record, conversation_id)) if give else None
        return Archive(seat.states, data).packed()

    def record(self, assistant_id: UUID) -> Record:
        """Find an assistant."""
        if assistant_id not in self._records:
            raise UnknownError("unknown assistant")
        return self._records[assistant_id]

    def _seated(self, assistant_id: UUID, conversation_id: UUID) -> tuple[Record, Seat]:
        record = self.record(assistant_id)
        if conversation_id not in record.seats:
            raise UnknownError("unknown conversation")
        return record, record.seats[conversation_id]

    def _inbox(self, assistant_id: UUID, conversation_id: UUID) -> Inbox:
        return self._inboxes.setdefault((assistant_id, conversation_id), Inbox(self.settings.waiting_events))

    def _close_inbox(self, assistant_id: UUID, conversation_id: UUID) -> None:
        if inbox := self._inboxes.pop((assistant_id, conversation_id), None):
            inbox.close()

    def _assistant_context(self, record: Record) -> AssistantContext:
        return AssistantContext(record, self._workbench.as_assistant(record.id), self._store.save)

    def _context(
        self,
        record: Record,
        conversation_id: UUID,
        event: Event | None = None,
        *,
        correlation_id: str = "",
        save: Save | None = None,
    ) -> Context:
        cause = event.correlation_id if event else correlation_id
        caller = self._workbench.as_assistant(record.id, cause)
        return Context(record, conversation_id, caller, save or self._store.save, event)

    def _unpacked(self, packed: bytes | None) -> Archive | None:
        return None if packed is None else Archive.unpacked(packed, self.settings.body_limit_bytes)

    async def _settle(self, seconds: float) -> None:
        if working := [inbox.worker for inbox in self._inboxes.values() if inbox.worker]:
            await asyncio.wait(working, timeout=seconds)


async def _not_yet(_: Record) -> None:
    """Leave it to the caller, who saves all or nothing."""
