"""Speaking for assistants of flows: the flow is called, and what its service says becomes the events of a turn."""

import contextlib
import time
from collections.abc import AsyncGenerator, Mapping
from typing import Any, cast
from uuid import UUID, uuid5

from msgspec import UNSET

from workbench.domain.bus.calls import MAX_SECONDS, MIN_SECONDS, Reply
from workbench.domain.bus.errors import CallError
from workbench.domain.errors import ConflictError, ForbiddenError, NotFoundError, UnprocessableError
from workbench.domain.flow_assistants.briefing import Scene, payload, read_scene
from workbench.domain.flow_assistants.ports import FlowAssistantTx
from workbench.domain.flow_assistants.telling import Telling
from workbench.domain.flows.calling import FlowGateway, OpenCall
from workbench.domain.flows.model import AssistantUse
from workbench.domain.flows.policy import FlowPolicy
from workbench.domain.identity.model import Principal
from workbench.domain.messages.model import NewMessage
from workbench.domain.messages.service import MessageService
from workbench.domain.participants.model import MAX_STATUS_LENGTH, ParticipantChange
from workbench.domain.participants.service import ParticipantService
from workbench.domain.parts.events import ProducerEvent
from workbench.domain.residents.failures import SHUTDOWN, SpeakingFailedError
from workbench.domain.residents.ports import ANEW, Speaker, Speech
from workbench.domain.transactions import Transactions
from workbench.domain.turns.model import TurnError

NOT_RUNNING = TurnError(
    code="flow_not_running", message="The flow behind the assistant is not running.", retryable=True
)
ENDING = frozenset({"draining", "closed"})
"""What a call ends with when this process ends."""
GONE = frozenset({"flow_stopped", "topic_missing"})
"""What a call ends with when its flow ends."""
STATUS_PAUSE_SECONDS = 1.0
"""A service changes what its seat says no more often than this."""
MAX_TEXT = 1024


class FlowSpeaker(Speaker):
    """Has flows speak."""

    def __init__(
        self,
        transactions: Transactions[FlowAssistantTx],
        gateway: FlowGateway,
        messages: MessageService,
        participants: ParticipantService,
        policy: FlowPolicy,
    ) -> None:
        self._transactions = transactions
        self._gateway = gateway
        self._messages = messages
        self._participants = participants
        self._policy = policy

    async def get_ready(self) -> None:
        """Nothing: a flow is called as it is."""

    async def prepare(self, principal: Principal, conversation_id: UUID, turn_id: str) -> Speech:
        """Read what the service is told. Raises NotFoundError, SpeakingFailedError (flow_not_running)."""
        scene = await read_scene(self._transactions, principal, conversation_id, turn_id)
        if scene.use is None:
            await self._say_that_it_is_gone(principal, scene)
            raise SpeakingFailedError(NOT_RUNNING)
        return Speech(turn=scene.turn, said=self._answer(principal, scene, scene.use))

    async def _answer(self, principal: Principal, scene: Scene, use: AssistantUse) -> AsyncGenerator[ProducerEvent]:
        body = payload(scene, use.input_map, self._policy.request_bytes)
        flow_id, interface = scene.place.flow_id, scene.place.interface
        seconds = min(max(scene.remaining.total_seconds(), MIN_SECONDS), MAX_SECONDS)
        seat = _Seat(self._participants, principal, scene.turn.conversation_id)
        try:
            async with (
                self._gateway.call(principal, flow_id, interface, body, seconds=seconds, single=False) as call,
                contextlib.aclosing(_said(call, use, seat)) as said,
            ):
                async for event in said:
                    yield event
        except CallError as error:
            if error.code in GONE:
                await self._say_that_it_is_gone(principal, scene)
            raise SpeakingFailedError(_told(error)) from error
        except UnprocessableError as error:
            # The block maps messages to what its own interface refuses.
            raise SpeakingFailedError(TurnError(code=error.error_code, message=_shown(error.detail))) from error
        except (ConflictError, NotFoundError) as error:
            await self._say_that_it_is_gone(principal, scene)
            raise SpeakingFailedError(NOT_RUNNING) from error

    async def _say_that_it_is_gone(self, principal: Principal, scene: Scene) -> None:
        """Post once for each run of the flow that it is over: who asks again has the failed turn."""
        generation = scene.flow.generation if scene.flow is not None else 0
        notice = NewMessage(
            id=uuid5(scene.turn.conversation_id, f"{principal.id} {scene.place.template_id} {generation}"),
            content=NOT_RUNNING.message,
            message_type="notice",
            metadata={"code": NOT_RUNNING.code},
        )
        try:
            await self._messages.post(principal, scene.turn.conversation_id, notice)
        except (NotFoundError, ForbiddenError):
            return  # taken out meanwhile: nobody waits for it


class _Seat:
    """What the assistant's seat says while the service is at it."""

    def __init__(self, participants: ParticipantService, principal: Principal, conversation_id: UUID) -> None:
        self._participants = participants
        self._principal = principal
        self._conversation_id = conversation_id
        self._said_at = -STATUS_PAUSE_SECONDS

    async def say(self, text: str) -> None:
        if time.monotonic() - self._said_at >= STATUS_PAUSE_SECONDS:
            self._said_at = time.monotonic()
            change = ParticipantChange(status=text[:MAX_STATUS_LENGTH])
            await self._participants.change_self(self._principal, self._conversation_id, change)


async def _said(call: OpenCall, use: AssistantUse, seat: _Seat) -> AsyncGenerator[ProducerEvent]:
    """All that a service says, from the first reply to the last. Raises CallError, SpeakingFailedError."""
    telling, reply = Telling(use.output_map), None
    while reply is None or not reply.is_last:
        reply = await call.next()
        if reply.kind == "reset":
            telling = Telling(use.output_map)
            yield ANEW
        elif status := _status(reply):
            await seat.say(status)
        else:
            for event in telling.tell(_data(reply, is_plain=call.is_plain)):
                yield event
    for event in telling.end(call.id, reply.usage):
        yield event


def _status(reply: Reply) -> str | None:
    """What a service wants its seat to say."""
    data: Any = reply.data
    if not isinstance(data, Mapping) or data.get("type") != "status":  # pyright: ignore[reportUnknownMemberType]
        return None
    text: Any = data.get("text")  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    return text if isinstance(text, str) and text else None


def _data(reply: Reply, *, is_plain: bool) -> Any:
    """What a reply says. Raises SpeakingFailedError for the error of a service of the plain dialect."""
    if reply.data is UNSET:
        return None
    data: Any = reply.data
    error: Any = cast("dict[str, Any]", data).get("error") if is_plain and isinstance(data, dict) else None
    if error is None:
        return data  # pyright: ignore[reportUnknownVariableType]
    said: Any = cast("dict[str, Any]", error).get("message") if isinstance(error, dict) else error
    raise SpeakingFailedError(TurnError(code="service_error", message=_shown(str(said))))


def _told(error: CallError) -> TurnError:
    """The failure as participants may know of it; what the service itself says of it is for them."""
    if error.code in ENDING:
        return SHUTDOWN
    return TurnError(code=error.code, message=_shown(error.detail), retryable=error.retryable)


def _shown(text: str) -> str:
    """A text of a service's, cut, without what is no text."""
    return "".join(character for character in text if character.isprintable() or character == "\n")[:MAX_TEXT]
