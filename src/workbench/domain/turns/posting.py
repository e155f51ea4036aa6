"""Plain messages that end a turn, or that it has already (specification of turns, 2.2, and 5, L2).

An assistant that knows nothing of turns answers one by its next message. One that does may post its answer once more
in the plain way, which must not make a second message of it.
"""

from typing import Any, cast
from uuid import UUID

from workbench.domain.clock import Clock
from workbench.domain.identity.model import Principal
from workbench.domain.messages.model import Message, NewMessage, Sender
from workbench.domain.messages.service import MessageService, TurnOpenedError
from workbench.domain.parts.closing import is_meaningful
from workbench.domain.parts.flattening import parts_of
from workbench.domain.transactions import Transactions, retrying
from workbench.domain.turns.model import Turn
from workbench.domain.turns.ports import TurnTx
from workbench.domain.turns.settling import Close, put_content, settle
from workbench.domain.usage.arithmetic import readable
from workbench.domain.usage.bookkeeping import Bookkeeping
from workbench.domain.usage.model import TOTAL, ReportedCall


class PostingService:
    """Posts messages, and knows which of them belong to turns."""

    def __init__(
        self, transactions: Transactions[TurnTx], messages: MessageService, books: Bookkeeping, clock: Clock
    ) -> None:
        self._books = books
        self._transactions = transactions
        self._messages = messages
        self._clock = clock

    async def post(self, principal: Principal, conversation_id: UUID, new: NewMessage) -> Message:
        """Post a message as MessageService does, unless a turn takes it, or has it: then answer with the turn's own."""
        sender, named = new.sender_for(principal), new.slot_for(principal)
        is_answer = sender.participant_role == "assistant" and new.message_type == "chat"
        if not (is_answer or named is not None):
            return await self._messages.post(principal, conversation_id, new)

        async def of_turn() -> Message | None:
            turn_id = named[0] if named else None
            return await retrying(lambda: self._of_turn(principal, conversation_id, new, sender, turn_id))

        if (found := await of_turn()) is not None:
            return found
        try:
            return await self._messages.post(principal, conversation_id, new)
        except TurnOpenedError:
            # It was opened between the two looks, and so is found by the second.
            return await of_turn() or await self._messages.post(principal, conversation_id, new)

    async def _of_turn(
        self, principal: Principal, conversation_id: UUID, new: NewMessage, sender: Sender, turn_id: str | None
    ) -> Message | None:
        async with self._transactions.write(principal.workspace_id) as tx:
            seat = await tx.participants.seat(conversation_id, principal)
            seat.require_write()
            turn = await _turn(tx, conversation_id, sender, turn_id)
            if turn is None:
                return None
            if sender.participant_role != "assistant":
                return await _question(tx, turn, sender)
            if not await _takes_answer(tx, turn):
                return await _answer(tx, turn)
            close = _close(new)
            if turn.is_active:
                tx.usage.record_calls(self._books.entered(_calls(new), turn.pk, turn.epoch))
                turn = (await settle(tx, turn, close, self._clock.now())).turn
            else:
                await put_content(tx, turn, close, self._clock.now())
        async with self._transactions.read(principal.workspace_id) as tx:
            return await _answer(tx, turn)


async def _turn(tx: TurnTx, conversation_id: UUID, sender: Sender, turn_id: str | None) -> Turn | None:
    """The turn that is named, or else the one under way that an assistant answers by any message."""
    if turn_id is not None:
        turn = await tx.turns.find(conversation_id, turn_id)
        is_theirs = sender.participant_role != "assistant" or (
            turn is not None and sender.participant_id == str(turn.assistant_id)
        )
        return turn if is_theirs else None
    active = await tx.turns.active(conversation_id, UUID(sender.participant_id))
    return active[0] if active and active[0].producer_kind == "legacy_external" else None


async def _takes_answer(tx: TurnTx, turn: Turn) -> bool:
    """Whether a plain message is the answer: none is awaited in another way, or what there is says nothing."""
    if turn.is_active:
        return turn.producer_kind == "legacy_external"
    parts = (await tx.turns.parts_of([turn.output_message_id])).get(turn.output_message_id, [])
    return turn.is_published and not is_meaningful(parts)


async def _question(tx: TurnTx, turn: Turn, sender: Sender) -> Message | None:
    """The question of a turn, if it is the sender's."""
    stored = None if turn.input_message_id is None else await tx.messages.find(turn.input_message_id)
    return stored.message if stored is not None and stored.message.sender == sender else None


async def _answer(tx: TurnTx, turn: Turn) -> Message | None:
    """The answer of a turn as it stands: empty while it is still made; None where it was taken back."""
    stored = await tx.messages.find(turn.output_message_id)
    if stored is not None or turn.is_published:
        return None if stored is None else stored.message
    return Message(
        id=turn.output_message_id,
        sender=Sender(participant_role="assistant", participant_id=str(turn.assistant_id)),
        message_type="chat",
        timestamp=turn.created_at,
        content_type="text/plain",
        content="",
        filenames=[],
        metadata={"turn": turn.told_in("output")},
        has_debug_data=False,
    )


def _calls(new: NewMessage) -> list[ReportedCall]:
    """What the answer took, as far as it makes sense: it is provisional, and no reason to refuse the answer."""
    if not isinstance(new.token_usage, dict):
        return []
    used = cast("dict[str, Any]", new.token_usage)
    calls = used.get("calls")
    listed: list[Any] = cast("list[Any]", calls) if isinstance(calls, list) else [{**used, "call_id": TOTAL}]
    return readable(listed)[0]


def _close(new: NewMessage) -> Close:
    metadata, debug_data = new.split_debug()
    return Close(
        outcome="completed",
        reason="legacy",
        source="legacy",
        provisional=True,
        parts=parts_of(new.content),
        content_type=new.content_type,
        metadata=metadata,
        debug_data=debug_data,
    )
