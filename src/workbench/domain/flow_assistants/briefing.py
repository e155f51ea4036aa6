"""What a service of a flow is told when it is to answer in a conversation."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import msgspec

from workbench.domain.errors import NotFoundError
from workbench.domain.flow_assistants.model import Place
from workbench.domain.flow_assistants.paths import at_path
from workbench.domain.flow_assistants.ports import FlowAssistantTx
from workbench.domain.flows.model import AssistantUse, StoredFlow
from workbench.domain.identity.model import Principal
from workbench.domain.messages.model import Message, MessageQuery
from workbench.domain.participants.model import Participant
from workbench.domain.transactions import Transactions
from workbench.domain.turns.model import Turn


class Scene(msgspec.Struct, frozen=True, kw_only=True):
    """A turn, the flow that is to answer it, as far as it is there, and what was said."""

    turn: Turn
    place: Place
    flow: StoredFlow | None
    question: Message
    before: Sequence[Message]
    everyone: Sequence[Participant]

    @property
    def use(self) -> AssistantUse | None:
        """How the interface takes part, where the flow runs and has it."""
        if self.flow is None or self.flow.state != "running":
            return None
        interface = self.place.offered_by(self.flow)
        return None if interface is None else interface.assistant

    @property
    def remaining(self) -> timedelta:
        """How long the turn may take yet."""
        return self.turn.deadline_at - self.turn.read_at


async def read_scene(
    transactions: Transactions[FlowAssistantTx], principal: Principal, conversation_id: UUID, turn_id: str
) -> Scene:
    """Read what must be known. Raises NotFoundError."""
    async with transactions.read(principal.workspace_id) as tx:
        turn = await tx.turns.find(conversation_id, turn_id)
        stored = await tx.assistants.find(UUID(principal.id))
        question = await tx.messages.find(turn.input_message_id) if turn and turn.input_message_id else None
        if turn is None or stored is None or question is None:
            raise NotFoundError
        place = Place.of(stored.assistant.template_id)
        flow = await tx.flows.find(place.flow_id)
        interface = place.offered_by(flow)
        shown = 0 if interface is None or interface.assistant is None else interface.assistant.history_messages
        earlier = MessageQuery(message_types=("chat",), before=question.message.id, limit=shown)
        return Scene(
            turn=turn,
            place=place,
            flow=flow,
            question=question.message,
            before=await tx.messages.page(conversation_id, earlier) if shown else [],
            everyone=await tx.participants.all_of(conversation_id),
        )


def payload(scene: Scene, input_map: Mapping[str, str], most_bytes: int) -> dict[str, Any]:
    """What is sent: all of it, or what the map wants; the oldest of what was said is left out where it is too much."""
    names = {one.id: one.name for one in scene.everyone}
    asked, sender = scene.question, scene.question.sender
    whole: dict[str, Any] = {
        "conversation_id": str(scene.turn.conversation_id),
        "turn_id": scene.turn.turn_id,
        "message": {
            "id": str(asked.id),
            "content": asked.content,
            "sender": {
                "id": sender.participant_id,
                "role": sender.participant_role,
                "name": names.get(sender.participant_id, ""),
            },
        },
        "history": [
            {
                "role": one.sender.participant_role,
                "name": names.get(one.sender.participant_id, ""),
                "content": one.content,
            }
            for one in scene.before
        ],
        "participants": [{"id": one.id, "role": one.role, "name": one.name} for one in scene.everyone],
        "parameters": scene.turn.options,
    }
    history: list[Any] = whole["history"]
    room = most_bytes - len(msgspec.json.encode({**whole, "history": []}))
    for place in range(len(history) - 1, -1, -1):
        room -= len(msgspec.json.encode(history[place])) + 1
        if room < 0:
            whole["history"] = history[place + 1 :]
            break
    return {target: at_path(whole, path) for target, path in input_map.items()} if input_map else whole
