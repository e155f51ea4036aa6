"""From a message to a turn: which messages an assistant of this process answers, and how the turn is opened once."""

from uuid import UUID, uuid5

import msgspec

from workbench.domain.errors import (
    ConflictError,
    ExhaustedError,
    ForbiddenError,
    InvalidError,
    NotFoundError,
    UpstreamError,
)
from workbench.domain.identity.model import Principal
from workbench.domain.messages.model import Message, NewMessage
from workbench.domain.messages.service import MessageService
from workbench.domain.turns.opening import OpeningService
from workbench.domain.turns.refusals import TURN_ACTIVE
from workbench.domain.turns.shapes import NewTurn, TurnInput

BUSY_SECONDS = 0.5
"""How soon a message is looked at again while the answer to the one before is made."""


class _Told(msgspec.Struct):
    message: Message


class _Envelope(msgspec.Struct):
    event: str
    data: msgspec.Raw


def told_message(envelope: bytes) -> Message | None:
    """The message that an event tells of, if it tells of a new one."""
    told = msgspec.json.decode(envelope, type=_Envelope)
    return msgspec.json.decode(told.data, type=_Told).message if told.event == "message.created" else None


def speaking(workspace_id: str, assistant_id: UUID, service_id: str) -> Principal:
    """An assistant of this process as the one who acts."""
    return Principal(workspace_id=workspace_id, role="assistant", id=str(assistant_id), service_id=service_id)


def asks(message: Message, assistant_id: UUID) -> bool:
    """Whether a message is for this assistant to answer: chat of a user, not asked by a turn already, nor another's."""
    if not message.is_users_chat or "turn" in message.metadata:
        return False
    directed, mentioned = message.metadata.get("directed_at"), message.metadata.get("mentions")
    if isinstance(directed, str) and directed:
        return directed == str(assistant_id)
    return str(assistant_id) in mentioned if isinstance(mentioned, list) and mentioned else True


def names(message: Message, assistant_id: UUID) -> bool:
    """Whether a message is directed at this assistant, or mentions it."""
    mentioned = message.metadata.get("mentions")
    is_mentioned = isinstance(mentioned, list) and str(assistant_id) in mentioned
    return is_mentioned or message.metadata.get("directed_at") == str(assistant_id)


def answering(message_id: UUID, assistant_id: UUID) -> NewTurn:
    """The turn that answers a message; its id comes from the message's, so that it is opened once however often."""
    return NewTurn(
        turn_id=f"{message_id}.{assistant_id}", assistant_id=assistant_id, input=TurnInput(message_id=message_id)
    )


class AnsweringService:
    """Opens the turns of assistants that live in this process."""

    def __init__(self, opening: OpeningService, messages: MessageService) -> None:
        self._opening = opening
        self._messages = messages

    async def answer(self, principal: Principal, conversation_id: UUID, message: Message) -> None:
        """Have an assistant answer a message, or say once why it does not.

        Raises UpstreamError, which says when to come again, while the answer to an earlier message is made.
        """
        try:
            await self._opening.open(principal, conversation_id, answering(message.id, UUID(principal.id)))
        except ConflictError as error:
            if error.error_code == TURN_ACTIVE:
                raise UpstreamError("the answer before is still made", retry_after_seconds=BUSY_SECONDS) from error
            raise UpstreamError(error.detail) from error
        except (NotFoundError, ForbiddenError, InvalidError):
            return  # taken out meanwhile, or made an observer, or the message is gone: nobody waits for an answer
        except ExhaustedError as error:
            await self._say_why_not(principal, conversation_id, message, error)

    async def _say_why_not(
        self, principal: Principal, conversation_id: UUID, message: Message, why: ExhaustedError
    ) -> None:
        """Post once why a message gets no answer."""
        notice = NewMessage(
            id=uuid5(message.id, principal.id),
            content=why.detail,
            message_type="notice",
            metadata={"code": why.error_code, "in_reply_to": str(message.id)},
        )
        await self._messages.post(principal, conversation_id, notice)
