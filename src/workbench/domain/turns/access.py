"""Who may do what with a turn."""

from uuid import UUID

from workbench.domain.errors import ForbiddenError, NotFoundError
from workbench.domain.identity.model import Principal
from workbench.domain.participants.model import Seat
from workbench.domain.turns.model import GoneTurn, Turn
from workbench.domain.turns.ports import TurnTx
from workbench.domain.turns.refusals import turn_gone


async def read_turn(tx: TurnTx, principal: Principal, conversation_id: UUID, turn_id: str) -> tuple[Turn, Seat]:
    """A turn of a conversation that the caller takes part in. Raises NotFoundError."""
    seat = await tx.participants.seat(conversation_id, principal)
    seat.require_read()
    return await require_turn(tx, conversation_id, turn_id), seat


async def require_turn(tx: TurnTx, conversation_id: UUID, turn_id: str) -> Turn:
    """A turn. Raises NotFoundError."""
    turn = await tx.turns.find(conversation_id, turn_id)
    if turn is None:
        raise NotFoundError("There is no such turn", code="turn_not_found")
    return turn


async def produced_turn(tx: TurnTx, principal: Principal, conversation_id: UUID, turn_id: str) -> Turn:
    """A turn that the caller makes: the turn's assistant, or its service.

    Raises NotFoundError where the caller may not know of it, ForbiddenError where they may, but it is not theirs, and
    GoneError where nobody waits for its answer any more.
    """
    turn = await produced_or_gone(tx, principal, conversation_id, turn_id)
    if isinstance(turn, GoneTurn):
        raise turn_gone()
    if turn.is_active and turn.is_published and await tx.messages.find(turn.output_message_id) is None:
        raise turn_gone()
    return turn


async def produced_or_gone(tx: TurnTx, principal: Principal, conversation_id: UUID, turn_id: str) -> Turn | GoneTurn:
    """A turn that the caller makes, or made until its conversation was deleted. Raises as `produced_turn`."""
    turn = await tx.turns.find(conversation_id, turn_id)
    if turn is not None and makes(principal, turn):
        return turn
    gone = await tx.turns.gone(conversation_id, turn_id) if turn is None else None
    if gone is not None and makes(principal, gone):
        return gone
    if turn is None or principal.role == "service":
        raise NotFoundError("There is no such turn", code="turn_not_found")
    seat = await tx.participants.seat(conversation_id, principal)
    seat.require_read()
    raise ForbiddenError("Only the turn's assistant makes its answer", code="not_producer")


def makes(principal: Principal, turn: Turn | GoneTurn) -> bool:
    """Its maker needs no seat: who has left meanwhile may still say how it ended."""
    if principal.role == "service":
        return turn.assistant_service_id == principal.id
    return (principal.role, principal.id) == ("assistant", str(turn.assistant_id))


def require_in_charge(turn: Turn, seat: Seat, principal: Principal) -> None:
    """Let those pass who may stop a turn: who asked, and who owns the conversation. Raises ForbiddenError."""
    asked = (turn.initiator_role, turn.initiator_id) == (principal.role, principal.id)
    if not (asked or seat.owns):
        raise ForbiddenError("Only who opened the turn, and the conversation's owner, may do this", code="not_yours")
