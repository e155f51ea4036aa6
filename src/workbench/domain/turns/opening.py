"""Opening a turn: question, place of the answer and turn come to be in one commit, or none of them does."""

import asyncio
import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec

from workbench.domain.budgets.book import LimitBook
from workbench.domain.clock import Clock
from workbench.domain.errors import ConflictError, ForbiddenError, StaleError
from workbench.domain.files.uploading import UploadService
from workbench.domain.identity.model import RESIDENT_SERVICE_IDS, Principal
from workbench.domain.ids import new_id
from workbench.domain.messages.events import message_created
from workbench.domain.messages.model import Message, Sender, StoredMessage, is_turn_id
from workbench.domain.participants.model import Seat
from workbench.domain.parts.building import BuiltInput, build_input
from workbench.domain.parts.flattening import filenames_of, flattened, parts_of
from workbench.domain.parts.model import Part, Warned, text_part
from workbench.domain.sizes import SizeLimits
from workbench.domain.transactions import Transactions, retrying
from workbench.domain.turns.budgeting import budgeted, check_budgets
from workbench.domain.turns.controlling import ControlService
from workbench.domain.turns.events import turn_opened
from workbench.domain.turns.model import CANCEL_GRACE, DEADLINE, ProducerKind, Turn, logged
from workbench.domain.turns.pictures import Pictures
from workbench.domain.turns.ports import TurnTx
from workbench.domain.turns.refusals import TURN_ACTIVE, turn_active, turn_id_reused, turn_id_taken, unprocessable
from workbench.domain.turns.settling import opened_event
from workbench.domain.turns.shapes import (
    CancelRequest,
    LeaseGrant,
    NewTurn,
    OpenedTurn,
    TurnInput,
    TurnMessage,
    TurnOptions,
    TurnView,
)

PATIENCE = CANCEL_GRACE + timedelta(seconds=2)
"""How long the next turn waits for one that was cancelled for it."""
LOOK = timedelta(milliseconds=100)
SHELL: list[Part] = [text_part("")]
"""What an answer is before there is any."""


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """The message that a turn answers."""

    message: Message
    parts: list[Part]
    warnings: list[Warned] = []


class OpeningService:
    """Opens turns."""

    def __init__(
        self,
        transactions: Transactions[TurnTx],
        uploads: UploadService,
        control: ControlService,
        clock: Clock,
        limits: SizeLimits,
        book: LimitBook,
    ) -> None:
        self._transactions = transactions
        self._control = control
        self._uploads = uploads
        self._clock = clock
        self._limits = limits
        self._book = book

    async def open(self, principal: Principal, conversation_id: UUID, new: NewTurn) -> OpenedTurn:
        """Open a turn, or answer with what the same request opened before.

        Raises NotFoundError, ForbiddenError (observers), UnprocessableError, TooLargeError, ConflictError (turn_active,
        turn_id_reused), BudgetExceededError.
        """
        require_turn_id(new.turn_id)
        self._limits.check_json("metadata", new.input.metadata)
        built = None if new.input.message_id else build(new.input)
        if built is not None:
            self._limits.check_content(built.content)
            await self._store_images(principal, conversation_id, new, built)
        try:
            return await retrying(lambda: self._open(principal, conversation_id, new, built))
        except ConflictError as busy:
            if busy.error_code != TURN_ACTIVE or new.options is None or new.options.on_busy != "cancel_active":
                raise
            await self._make_way(principal, conversation_id, new.assistant_id, busy)
        return await retrying(lambda: self._open(principal, conversation_id, new, built))

    async def _make_way(
        self, principal: Principal, conversation_id: UUID, assistant_id: UUID, busy: ConflictError
    ) -> None:
        """Have the turn under way cancelled, and wait until it is over. Raises `busy` where it is not the caller's."""
        try:
            await self._control.cancel(
                principal, conversation_id, busy.extra["active_turn_id"], CancelRequest(reason="another turn")
            )
        except ForbiddenError:
            raise busy from None
        for _ in range(int(PATIENCE / LOOK)):
            async with self._transactions.read(principal.workspace_id) as tx:
                if not await tx.turns.active(conversation_id, assistant_id):
                    return
            await asyncio.sleep(LOOK.total_seconds())

    async def _store_images(self, principal: Principal, conversation_id: UUID, new: NewTurn, built: BuiltInput) -> None:
        """Store large images as files, unless the turn is there already, or would be refused.

        Raises NotFoundError, ForbiddenError, BudgetExceededError.
        """
        if not built.files:
            return
        async with self._transactions.read(principal.workspace_id) as tx:
            seat = await tx.participants.seat(conversation_id, principal)
            _require_write(seat)
            is_there = await tx.turns.find(conversation_id, new.turn_id) is not None
            is_busy = bool(await tx.turns.active(conversation_id, new.assistant_id))
            if not (is_there or is_busy):
                await check_budgets(tx, self._book, principal, new)
        if not (is_there or is_busy):
            await self._uploads.upload(principal, conversation_id, Pictures(built.files))

    async def _open(
        self, principal: Principal, conversation_id: UUID, new: NewTurn, built: BuiltInput | None
    ) -> OpenedTurn:
        now, digest = self._clock.now(), input_hash(new)
        async with self._transactions.write(principal.workspace_id) as tx:
            seat = await tx.participants.seat(conversation_id, principal)
            _require_write(seat)
            if principal.role == "assistant" and principal.id != str(new.assistant_id):
                raise ForbiddenError("An assistant opens turns of its own", code="not_producer")
            # In this order: a turn that comes between the two looks is then found by its id.
            under_way = await tx.turns.active(conversation_id, new.assistant_id)
            known = await tx.turns.find(conversation_id, new.turn_id)
            if known is not None:
                return await _replay(tx, principal, known, digest, built)
            for active in under_way:
                raise turn_active(active)
            service_id = await _service_of(tx, conversation_id, new.assistant_id)
            question = await _question(tx, principal, conversation_id, new, built, now)
            output_id, is_published = await _place_of_answer(tx, conversation_id, new)
            kind, shared = await _kind_of(tx, new, service_id), await tx.turns.now()
            turn = Turn(
                pk=new_id(),
                conversation_id=conversation_id,
                turn_id=new.turn_id,
                assistant_id=new.assistant_id,
                initiator_role=question.message.sender.participant_role,
                initiator_id=question.message.sender.participant_id,
                user_id=_payer(question.message.sender),
                assistant_service_id=service_id,
                parent_turn_id=new.parent_turn_id,
                producer_kind=kind,
                input_message_id=question.message.id,
                output_message_id=output_id,
                input_hash=digest,
                options=msgspec.to_builtins(new.options or TurnOptions()),
                deadline_at=shared + DEADLINE,
                created_at=shared,
                read_at=shared,
                is_published=is_published,
            )
            turn, standings = await budgeted(tx, self._book, principal, turn)
            happened = [opened_event(turn, question.warnings)]
            if new.producer is not None:
                turn = turn.claimed(new.producer.producer_id, timedelta(seconds=new.producer.lease_s), shared)
                happened.append(("turn.started", {"producer_kind": kind}))
                tx.turns.mark_producer(service_id)
            turn, events = logged(turn, happened, now)
            tx.turns.add(turn)
            tx.turns.log(turn, events)
            tx.events.record(turn_opened(turn))
        opened = _opened(turn, question, SHELL, question.warnings, replayed=False)
        return msgspec.structs.replace(opened, budgets=standings) if standings else opened


def require_turn_id(turn_id: str) -> None:
    """Raises UnprocessableError for what cannot be a turn's id."""
    if not is_turn_id(turn_id):
        raise unprocessable(
            "invalid_turn_id",
            "A turn's id has 1 to 128 of A-Z a-z 0-9 . _ : ~ @ - and begins with one of the first",
            "turn_id",
        )


def input_hash(new: NewTurn) -> str:
    """What makes two requests the same: whom they ask, what, and after which turn; the order of keys does not matter."""
    asked = {
        "assistant_id": str(new.assistant_id),
        "input": msgspec.to_builtins(new.input),
        "parent_turn_id": new.parent_turn_id,
    }
    return hashlib.sha256(msgspec.json.encode(asked, order="sorted")).hexdigest()


def build(given: TurnInput) -> BuiltInput:
    """Make the parts of a question. Raises UnprocessableError, TooLargeError."""
    if (given.content is None) == (given.parts is None):
        raise unprocessable("one_input", "Exactly one of content, parts and message_id is needed", "input")
    return build_input(given.content, given.parts, images=given.images, mentioned_documents=given.mentioned_documents)


async def _referenced(tx: TurnTx, conversation_id: UUID, new: NewTurn) -> Question:
    """A message that is there already. Raises UnprocessableError where it is not one of this conversation."""
    given = new.input
    if given.content is not None or given.parts is not None:
        raise unprocessable("one_input", "Exactly one of content, parts and message_id is needed", "input")
    found = None if given.message_id is None else await tx.messages.find(given.message_id)
    if found is None or found.conversation_id != conversation_id:
        raise unprocessable("message_mismatch", "There is no such message in this conversation", "input.message_id")
    return await _there(tx, found.message)


async def _adopted(
    tx: TurnTx, principal: Principal, conversation_id: UUID, turn_id: str, taken: UUID, warnings: list[Warned]
) -> Question:
    """A message that an older client posted under the same id; its text stays. Raises UnprocessableError."""
    found = await tx.messages.find(taken)
    asking = Sender(participant_role=principal.role, participant_id=principal.id)
    if found is None or found.message.sender != asking:
        raise await _taken_by_another(tx, conversation_id, turn_id)
    return await _there(tx, found.message, [*warnings, Warned(code="input_adopted", path="input")])


async def _there(tx: TurnTx, message: Message, warnings: Sequence[Warned] = ()) -> Question:
    """A message that is stored, as a question."""
    parts = (await tx.turns.parts_of([message.id])).get(message.id) or parts_of(message.content)
    return Question(message=message, parts=parts, warnings=[*warnings])


async def _taken_by_another(tx: TurnTx, conversation_id: UUID, turn_id: str) -> ConflictError:
    """Say that the id is somebody else's, or, where the turn came between two looks, that it is time to look again."""
    came_between = await tx.turns.find(conversation_id, turn_id) is not None
    return StaleError() if came_between else turn_id_taken()


async def _service_of(tx: TurnTx, conversation_id: UUID, assistant_id: UUID) -> str:
    """The service of an assistant that takes part. Raises UnprocessableError where it does not."""
    for assistant in await tx.assistants.active_in(conversation_id):
        if assistant.id == assistant_id:
            return assistant.assistant_service_id
    raise unprocessable(
        "assistant_not_in_conversation", "The assistant does not take part in this conversation", "assistant_id"
    )


async def _kind_of(tx: TurnTx, new: NewTurn, service_id: str) -> ProducerKind:
    """A service that has never made a turn may only know how to post messages."""
    if service_id in RESIDENT_SERVICE_IDS:
        return "builtin"
    if new.producer is not None or await tx.turns.makes_turns(new.assistant_id):
        return "external"
    return "legacy_external"


def _require_write(seat: Seat) -> None:
    seat.require_read()
    if not seat.may_write:
        raise ForbiddenError("Observers open no turns", code="read_only")


def _payer(sender: Sender) -> str | None:
    return sender.participant_id if sender.participant_role == "user" else None


def _told(turn_id: str, slot: str) -> dict[str, Any]:
    return {"turn_id": turn_id, "slot": slot, "status": "opened", "finish_reason": None}


def _opened(
    turn: Turn, question: Question | None, answer: list[Part], warnings: list[Warned], *, replayed: bool
) -> OpenedTurn:
    lease = turn.lease
    return OpenedTurn(
        turn=TurnView.of(turn),
        input_message=None
        if question is None
        else TurnMessage(
            id=question.message.id, content=question.message.content, parts=question.parts, message=question.message
        ),
        output_message=TurnMessage(
            id=turn.output_message_id, content=flattened(answer) if answer != SHELL else "", parts=answer
        ),
        lease=None
        if lease is None
        else LeaseGrant(epoch=lease.epoch, lease_expires_at=lease.expires_at, next_batch=turn.last_batch + 1, parts=[]),
        warnings=warnings,
        replayed=replayed,
    )


async def _replay(tx: TurnTx, principal: Principal, turn: Turn, digest: str, built: BuiltInput | None) -> OpenedTurn:
    same = turn.input_hash == digest and (
        principal.role == "assistant" or (turn.initiator_role, turn.initiator_id) == (principal.role, principal.id)
    )
    if not same:
        raise turn_id_reused(turn)
    found = None if turn.input_message_id is None else await tx.messages.find(turn.input_message_id)
    question = None if found is None else await _there(tx, found.message)
    parts = await tx.turns.parts_of([turn.output_message_id])
    warnings = built.warnings if built else []
    return _opened(turn, question, parts.get(turn.output_message_id, SHELL), warnings, replayed=True)


async def _question(
    tx: TurnTx,
    principal: Principal,
    conversation_id: UUID,
    new: NewTurn,
    built: BuiltInput | None,
    now: datetime,
) -> Question:
    """The message that is answered: one that is there, or a new one, which is set down."""
    if built is None:
        return await _referenced(tx, conversation_id, new)
    taken = await tx.turns.slot(conversation_id, new.turn_id, "input")
    warnings = built.warnings
    if taken is not None:
        return await _adopted(tx, principal, conversation_id, new.turn_id, taken, warnings)
    message = Message(
        id=new_id(),
        sender=Sender(participant_role=principal.role, participant_id=principal.id),
        message_type="chat",
        timestamp=now,
        content_type="text/plain",
        content=built.content,
        filenames=list(dict.fromkeys([*new.input.filenames, *filenames_of(built.parts)])),
        metadata={**new.input.metadata, "turn": _told(new.turn_id, "input")},
        has_debug_data=False,
    )
    tx.turns.reserve(conversation_id, new.turn_id, "input", message.id)
    asked = StoredMessage(conversation_id=conversation_id, message=message, debug_data={})
    tx.messages.add(asked)
    await tx.overheard.said(asked)
    tx.turns.attach_parts(message.id, built.parts, now)
    tx.events.record(message_created(conversation_id, message))
    return Question(message=message, parts=built.parts, warnings=warnings)


async def _place_of_answer(tx: TurnTx, conversation_id: UUID, new: NewTurn) -> tuple[UUID, bool]:
    """The id of the answer, and whether it is published: where somebody was quicker, it is theirs."""
    taken = await tx.turns.slot(conversation_id, new.turn_id, "output")
    if taken is None:
        message_id = new_id()
        tx.turns.reserve(conversation_id, new.turn_id, "output", message_id)
        return message_id, False
    found = await tx.messages.find(taken)
    answering = Sender(participant_role="assistant", participant_id=str(new.assistant_id))
    if found is None or found.message.sender != answering:
        raise await _taken_by_another(tx, conversation_id, new.turn_id)
    return taken, True
