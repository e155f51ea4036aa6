"""Reading turns: as they stand, and as they go on."""

from collections.abc import Callable, Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from workbench.domain.clock import Clock
from workbench.domain.errors import ConflictError, UnavailableError
from workbench.domain.events.readers import Sight
from workbench.domain.events.service import EventService
from workbench.domain.identity.model import Principal
from workbench.domain.parts.model import Parts
from workbench.domain.transactions import Transactions
from workbench.domain.turns.access import read_turn
from workbench.domain.turns.hub import TurnHub, Watcher
from workbench.domain.turns.model import TERMINAL, TERMINAL_TYPES, Turn, TurnEvent
from workbench.domain.turns.ports import TurnQuery, TurnTx
from workbench.domain.turns.settling import folded
from workbench.domain.turns.shapes import TurnList, TurnUsage, TurnView
from workbench.domain.usage.model import UsageSummary

REPLAY_PAGE = 200
"""More events than that are told as one snapshot to who has none yet."""


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where somebody is in the log of a turn: behind `after`, which is None where they have a place that is not of it.

    `wants_all` is for those who must see everything since the answer was begun, for the last time, to make sense of what
    follows. For them the place only says whether there is anything left.
    """

    after: int | None = None
    is_given: bool = False
    wants_all: bool = False


class Watch(msgspec.Struct, frozen=True, kw_only=True):
    """A view of a turn that goes on: what is told first, and where what follows is to be had.

    `first` has the place of its last event as its `seq`. Nothing follows where the turn is over and all is told.
    """

    turn: Turn
    watcher: Watcher
    sight: Sight
    first: list[TurnEvent]

    @property
    def has_lost_access(self) -> bool:
        """Whether the watcher may hear nothing more."""
        return self.sight.ended == "no access"


class ReadingService:
    """Looks at turns."""

    def __init__(self, transactions: Transactions[TurnTx], events: EventService, clock: Clock, hub: TurnHub) -> None:
        self._events = events
        self._transactions = transactions
        self._clock = clock
        self._hub = hub

    async def get(self, principal: Principal, conversation_id: UUID, turn_id: str) -> TurnView:
        """A turn with the parts that it has by now. Raises NotFoundError."""
        async with self._transactions.read(principal.workspace_id) as tx:
            turn, _ = await read_turn(tx, principal, conversation_id, turn_id)
            rows = await tx.usage.billed(turn.pk, None)
            usage = UsageSummary.of(rows[0], with_cost=False) if rows else None
            return TurnView.of(turn, await parts_now(tx, turn), usage)

    async def usage(self, principal: Principal, conversation_id: UUID, turn_id: str) -> TurnUsage:
        """What a turn took; the cost only for who asked, who owns the conversation, and who made it (R11).

        Raises NotFoundError.
        """
        async with self._transactions.read(principal.workspace_id) as tx:
            turn, seat = await read_turn(tx, principal, conversation_id, turn_id)
            rows = await tx.usage.billed(turn.pk, None)
        me = (principal.role, principal.id)
        with_cost = seat.owns or me in {
            (turn.initiator_role, turn.initiator_id),
            ("assistant", str(turn.assistant_id)),
        }
        summary = UsageSummary.of(rows[0], with_cost=with_cost) if rows else None
        return TurnUsage(turn_id=turn_id, usage_state=turn.usage_state, usage=summary)

    async def all(self, principal: Principal, conversation_id: UUID, query: TurnQuery) -> TurnList:
        """The turns of a conversation, newest first, without their parts. Raises NotFoundError."""
        async with self._transactions.read(principal.workspace_id) as tx:
            seat = await tx.participants.seat(conversation_id, principal)
            seat.require_read()
            found = await tx.turns.page(conversation_id, query)
        return TurnList(turns=[TurnView.of(turn) for turn in found])

    async def active(self, principal: Principal, conversation_id: UUID, assistant_id: UUID | None) -> str | None:
        """The id of the turn under way; None where there is none.

        Raises NotFoundError, ConflictError where there are several and no assistant is named.
        """
        async with self._transactions.read(principal.workspace_id) as tx:
            seat = await tx.participants.seat(conversation_id, principal)
            seat.require_read()
            found = await tx.turns.active(conversation_id, assistant_id)
        if len(found) > 1:
            raise ConflictError(
                "Several turns are under way; name an assistant", code="ambiguous", field="assistant_id"
            )
        return found[0].turn_id if found else None

    async def watch(
        self,
        principal: Principal,
        conversation_id: UUID,
        turn_id: str,
        place: Place,
        ring: Callable[[], None],
    ) -> Watch | None:
        """Watch from behind a place; None where there is nothing left to tell. Give the watch back with `close`.

        Who has no place, or one that is not of this turn's log, begins with a snapshot. Raises NotFoundError.
        """
        if self._hub.is_draining:
            raise UnavailableError("the server is restarting; connect again", code="draining")
        async with self._transactions.read(principal.workspace_id) as tx:
            turn, _ = await read_turn(tx, principal, conversation_id, turn_id)
        if place.is_given and not turn.is_active and place.after == turn.last_seq:
            return None
        watcher = Watcher(turn.pk, place.after or 0, ring, is_needed=turn.is_active and turn.ends_unwatched)
        sight = await self._events.watch_access(principal, conversation_id, ring)
        # From here on what comes rings, a lost seat too; what came before this is read.
        self._hub.join(watcher)
        try:
            async with self._transactions.read(principal.workspace_id) as tx:
                turn, _ = await read_turn(tx, principal, conversation_id, turn_id)
                begins = await _begins(tx, turn, place)
                if begins is not None:
                    watcher.position = begins
                    return Watch(turn=turn, watcher=watcher, sight=sight, first=[])
                first = await _whole(tx, turn, self._clock.now())
                watcher.position = turn.last_seq if turn.is_active or first[1:] else first[0].seq
                return Watch(turn=turn, watcher=watcher, sight=sight, first=first)
        except BaseException:
            self._hub.part(watcher)
            self._events.close(sight)
            raise

    async def more(self, principal: Principal, watch: Watch) -> Sequence[TurnEvent]:
        """What happened behind the watcher's place, which moves on; empty where nothing has.

        It is a snapshot where the log was shortened beyond that place.
        """
        watcher = watch.watcher

        async def read(after: int, limit: int) -> Sequence[TurnEvent]:
            async with self._transactions.read(principal.workspace_id) as tx:
                return await tx.turns.events(watcher.turn_pk, after, limit)

        events = await self._hub.behind(watcher, read)
        if events and events[0].seq != watcher.position + 1:
            async with self._transactions.read(principal.workspace_id) as tx:
                events = await _without_hole(tx, watch, events, self._clock.now())
        if events:
            watcher.position = events[-1].seq
        return events

    def has_at_hand(self, watch: Watch) -> bool:
        """Whether `more` needs to look nowhere for what happened behind the watcher's place, if anything did."""
        return self._hub.has_at_hand(watch.watcher)

    @property
    def is_draining(self) -> bool:
        """Whether all watchers are to go, to come back elsewhere."""
        return self._hub.is_draining

    def close(self, watch: Watch) -> None:
        """Give a watch back."""
        self._hub.part(watch.watcher)
        self._events.close(watch.sight)


async def _without_hole(tx: TurnTx, watch: Watch, events: Sequence[TurnEvent], now: datetime) -> Sequence[TurnEvent]:
    """Either what was read, for only an ending that was replaced is missing before it, or all in one."""
    turn = await tx.turns.find(watch.turn.conversation_id, watch.turn.turn_id)
    if turn is None or turn.log_floor <= watch.watcher.position:
        return events
    return await _whole(tx, turn, now)


async def parts_now(tx: TurnTx, turn: Turn) -> Parts:
    """The parts of the answer as far as there are any."""
    if turn.is_published and not turn.is_active:
        return (await tx.turns.parts_of([turn.output_message_id])).get(turn.output_message_id, [])
    return (await folded(tx, turn)).snapshot()


async def _begins(tx: TurnTx, turn: Turn, place: Place) -> int | None:
    """Behind which event of the log to begin; None where that is told as a snapshot."""
    if place.wants_all:
        return await _latest_beginning(tx, turn) if turn.log_floor == 0 else None
    if place.is_given:
        is_known = place.after is not None and turn.log_floor <= place.after <= turn.last_seq
        return place.after if is_known else None
    return 0 if turn.log_floor == 0 and turn.last_seq <= REPLAY_PAGE else None


async def _latest_beginning(tx: TurnTx, turn: Turn) -> int:
    """The place before the answer was begun for the last time, which only another producer than the first does."""
    begins, after = 0, 0
    while turn.epoch > 1 and (page := await tx.turns.events(turn.pk, after, REPLAY_PAGE)):
        begins = max((event.seq - 1 for event in page if event.type == "turn.reset"), default=begins)
        after = page[-1].seq
    return begins


def is_ending(event: TurnEvent) -> bool:
    """Whether nothing comes behind it."""
    return event.type in TERMINAL_TYPES


def _ids(turn: Turn) -> dict[str, str | None]:
    return {
        "input_message_id": str(turn.input_message_id) if turn.input_message_id else None,
        "output_message_id": str(turn.output_message_id),
    }


async def _whole(tx: TurnTx, turn: Turn, now: datetime) -> list[TurnEvent]:
    """Everything up to now as one snapshot, and the end once more where there was one."""
    state = (await folded(tx, turn)).state() if turn.is_active else {"parts": await parts_now(tx, turn)}
    told = [("turn.snapshot", {**state, "status": turn.status, "up_to_seq": turn.last_seq, **_ids(turn)})]
    if not turn.is_active:
        error = msgspec.to_builtins(turn.error)
        ending = {"finish_reason": turn.finish_reason, **state, "usage": None, "error": error}
        told.append((TERMINAL[turn.status], ending))
    common = {"turn_id": turn.turn_id, "seq": turn.last_seq, "epoch": turn.epoch, "at": now}
    return [
        TurnEvent(
            seq=turn.last_seq,
            epoch=turn.epoch,
            type=kind,
            at=now,
            data=msgspec.json.encode({**common, **payload}).decode(),
        )
        for kind, payload in told
    ]
