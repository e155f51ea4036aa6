"""Reading events: who may, from which position, and how a replay of the log meets what is live."""

from collections.abc import AsyncIterator, Callable, Sequence
from uuid import UUID

import msgspec

from workbench.domain.errors import NotFoundError, UnavailableError
from workbench.domain.events.addressees import is_meant_for
from workbench.domain.events.hub import EventHub
from workbench.domain.events.model import Event
from workbench.domain.events.ports import EventTx
from workbench.domain.events.readers import ConversationReader, FeedReader, Reader, Sight, WorkspaceReader
from workbench.domain.identity.model import Principal, require_role
from workbench.domain.transactions import Transactions

REPLAY_PAGE = 200


class Gap(msgspec.Struct, frozen=True, kw_only=True):
    """Events behind `after` are no longer kept; the first that can be had is `first_available`."""

    after: int | None
    first_available: int


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """A page of the log, the first position that is kept (one behind the head where none is), and the head."""

    page: Sequence[Event]
    first: int
    head: int


class ReaderPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """How many events a reader may be behind before it is ended."""

    buffer: int = 256


class EventService:
    """Opens readers and replays the log to them."""

    def __init__(self, transactions: Transactions[EventTx], hub: EventHub, policy: ReaderPolicy) -> None:
        self._transactions = transactions
        self._hub = hub
        self._policy = policy

    async def read_conversation(
        self, principal: Principal, conversation_id: UUID, ring: Callable[[], None]
    ) -> ConversationReader:
        """Open a reader of one conversation, live from now on unless it is replayed to.

        Raises NotFoundError, UnavailableError while draining.
        """
        async with self._transactions.read(principal.workspace_id) as tx:
            owns = await tx.sight.is_owner(conversation_id, principal)
        # Not before: a drain that begins after this finds the reader in the hub.
        self._require_open()
        reader = ConversationReader(principal, self._policy.buffer, ring, conversation_id=conversation_id, owns=owns)
        try:
            await self._hub.join(reader)
            # Access lost between the look and the joining would have gone unseen.
            async with self._transactions.read(principal.workspace_id) as tx:
                await tx.sight.is_owner(conversation_id, principal)
                # What was committed before, the hub may still be about to hand out.
                reader.position = await tx.events.conversation_head(conversation_id)
        except BaseException:
            self._hub.part(reader)
            raise
        return reader

    async def watch_access(self, principal: Principal, conversation_id: UUID, ring: Callable[[], None]) -> Sight:
        """Hear from here on when the caller may look at a conversation no more.

        Whether they may now is for the caller to see, after this. Raises UnavailableError while draining.
        """
        self._require_open()
        sight = Sight(principal, ring, conversation_id)
        try:
            await self._hub.join(sight)
        except BaseException:
            self._hub.part(sight)
            raise
        return sight

    async def read_feed(self, principal: Principal, ring: Callable[[], None]) -> FeedReader:
        """Open a reader of all the user's conversations. Raises UnavailableError while draining."""
        require_role(principal, "user")
        self._require_open()
        reader = FeedReader(principal, self._policy.buffer, ring)
        await self._hub.join_feed(reader)
        async with self._transactions.read(principal.workspace_id) as tx:
            reader.position = await tx.events.head()
        return reader

    async def read_workspace(self, principal: Principal, ring: Callable[[], None]) -> WorkspaceReader:
        """Open a reader of what happens outside conversations. Raises UnavailableError while draining."""
        require_role(principal, "user")
        self._require_open()
        reader = WorkspaceReader(principal, self._policy.buffer, ring)
        try:
            await self._hub.join_workspace(reader)
            async with self._transactions.read(principal.workspace_id) as tx:
                reader.position = await tx.events.head()
        except BaseException:
            self._hub.part(reader)
            raise
        return reader

    def close(self, reader: Reader) -> None:
        """Give the reader up."""
        self._hub.part(reader)

    async def replay(
        self, reader: ConversationReader | FeedReader | WorkspaceReader, after: int | None
    ) -> AsyncIterator[Gap | Sequence[Event]]:
        """Yield what the log holds behind the position, page by page, and a Gap where something is missing.

        A position that means nothing to us (None) is a gap too. When this ends, `reader.position` is the last
        position that was yielded, and the reader's buffer goes on from there, with nothing left out between.
        """
        reader.replaying = True
        position, behind = after, True
        while behind and not reader.ended:
            reader.overflowed = False
            look = await self._look(reader, position or 0)
            if look is None:
                reader.end("no access")
            elif position is None or not look.first - 1 <= position <= look.head:
                yield Gap(after=position, first_available=look.first)
                position = look.first - 1
            else:
                if look.page:
                    position = reader.place(look.page[-1])
                    yield [event for event in look.page if is_meant_for(event, reader.principal)]
                # What is committed after a look is offered to the reader; an overflow says that it was dropped.
                behind = len(look.page) == REPLAY_PAGE or reader.overflowed
        if behind:
            # Broken off: what is buffered does not follow on what was yielded.
            reader.take()
        reader.position = position or 0
        reader.replaying = False

    async def _look(self, reader: ConversationReader | FeedReader | WorkspaceReader, after: int) -> Look | None:
        """Read a page, then what bounds it: so pruning cannot make a hole in between, nor lost access go unseen."""
        async with self._transactions.read(reader.principal.workspace_id) as tx:
            if isinstance(reader, FeedReader):
                page = await tx.events.of_user(reader.principal.id, after, REPLAY_PAGE)
                return Look(
                    page=page, first=await tx.events.floor_of_user(reader.principal.id) + 1, head=await tx.events.head()
                )
            if isinstance(reader, WorkspaceReader):
                page = await tx.events.outside(after, REPLAY_PAGE)
                return Look(page=page, first=await tx.events.floor() + 1, head=await tx.events.head())
            conversation_id = reader.conversation_id
            page = await tx.events.of_conversation(conversation_id, after, REPLAY_PAGE)
            oldest = await tx.events.of_conversation(conversation_id, 0, 1)
            head = await tx.events.conversation_head(conversation_id)
            try:
                await tx.sight.is_owner(conversation_id, reader.principal)
            except NotFoundError:
                return None
        return Look(page=page, first=oldest[0].position if oldest else head + 1, head=head)

    def _require_open(self) -> None:
        if self._hub.is_draining:
            raise UnavailableError("the server is restarting; connect again")
