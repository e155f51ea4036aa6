"""Reading events: who may, from which position, and how a replay of the log meets what is live."""

from collections.abc import AsyncIterator, Callable, Sequence
from uuid import UUID

import msgspec

from workbench.domain.errors import NotFoundError, UnavailableError
from workbench.domain.events.hub import ConversationReader, EventHub, FeedReader, Reader
from workbench.domain.events.model import Event
from workbench.domain.events.ports import EventTx
from workbench.domain.identity.model import Principal, require_role
from workbench.domain.transactions import Transactions

REPLAY_PAGE = 200


class Gap(msgspec.Struct, frozen=True, kw_only=True):
    """Events behind `after` are no longer kept; the first that can be had is `first_available`."""

    after: int | None
    first_available: int


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
        """Open a reader of one conversation. Raises NotFoundError, UnavailableError while draining."""
        self._require_open()
        async with self._transactions.read(principal.workspace_id) as tx:
            owns = await tx.sight.is_owner(conversation_id, principal)
        reader = ConversationReader(principal, self._policy.buffer, ring, conversation_id=conversation_id, owns=owns)
        await self._hub.join(reader)
        # Access lost between the look and the joining would have gone unseen.
        try:
            async with self._transactions.read(principal.workspace_id) as tx:
                await tx.sight.is_owner(conversation_id, principal)
        except NotFoundError:
            self._hub.part(reader)
            raise
        return reader

    async def read_feed(self, principal: Principal, ring: Callable[[], None]) -> FeedReader:
        """Open a reader of all the user's conversations. Raises UnavailableError while draining."""
        require_role(principal, "user")
        self._require_open()
        reader = FeedReader(principal, self._policy.buffer, ring)
        await self._hub.join_feed(reader)
        return reader

    def close(self, reader: Reader) -> None:
        """Give the reader up."""
        self._hub.part(reader)

    async def replay(
        self, reader: ConversationReader | FeedReader, after: int | None
    ) -> AsyncIterator[Gap | Sequence[Event]]:
        """Yield what the log holds behind the position, page by page, and a Gap where something is missing.

        A position that means nothing to us (None) is a gap too. When this ends, `reader.position` is the last
        position that was yielded, and the reader's buffer goes on from there, with nothing left out between.
        """
        reader.replaying = True
        first, head = await self._bounds(reader)
        if after is None or after < first - 1 or after > head:
            yield Gap(after=after, first_available=first)
            after = first - 1
        reader.position = after
        behind = True
        while behind:
            reader.overflowed = False
            page = await self._page(reader)
            if page:
                reader.position = reader.place(page[-1])
                yield page
            # An overflow during an empty look at the log means that the log has grown since that look.
            behind = bool(page) or reader.overflowed
        reader.replaying = False

    async def _page(self, reader: ConversationReader | FeedReader) -> Sequence[Event]:
        async with self._transactions.read(reader.principal.workspace_id) as tx:
            if isinstance(reader, ConversationReader):
                return await tx.events.of_conversation(reader.conversation_id, reader.position, REPLAY_PAGE)
            return await tx.events.of_user(reader.principal.id, reader.position, REPLAY_PAGE)

    async def _bounds(self, reader: ConversationReader | FeedReader) -> tuple[int, int]:
        """The first position that is kept (one behind the head where none is), and the head."""
        async with self._transactions.read(reader.principal.workspace_id) as tx:
            if isinstance(reader, FeedReader):
                return await tx.events.floor() + 1, await tx.events.head()
            head = await tx.events.conversation_head(reader.conversation_id)
            oldest = await tx.events.of_conversation(reader.conversation_id, 0, 1)
        return oldest[0].position if oldest else head + 1, head

    def _require_open(self) -> None:
        if self._hub.is_draining:
            raise UnavailableError("the server is restarting; connect again")
