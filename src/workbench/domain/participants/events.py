"""The events that participants cause."""

from collections.abc import Sequence

import msgspec

from workbench.domain.events.model import NewEvent
from workbench.domain.participants.model import Participant


def participant_created(participant: Participant, everyone: Sequence[Participant]) -> NewEvent:
    """Somebody is in the conversation for the first time."""
    return _told("participant.created", participant, everyone)


def participant_updated(participant: Participant, everyone: Sequence[Participant]) -> NewEvent:
    """A participant changed; one who left still reads of it."""
    return _told("participant.updated", participant, everyone)


def _told(kind: str, participant: Participant, everyone: Sequence[Participant]) -> NewEvent:
    left = participant.role == "user" and not participant.active_participant
    return NewEvent(
        conversation_id=participant.conversation_id,
        type=kind,
        data={
            "participant": msgspec.to_builtins(participant),
            "participants": msgspec.to_builtins(_with(participant, everyone)),
        },
        farewell=(participant.id,) if left else (),
    )


def _with(participant: Participant, everyone: Sequence[Participant]) -> list[Participant]:
    """The list as it is after the change that is told of."""
    changed = [participant if (p.role, p.id) == (participant.role, participant.id) else p for p in everyone]
    return changed if participant in changed else [*changed, participant]
