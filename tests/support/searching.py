"""Sessions set down without the service, so that many are there at once, with what they are found and compared by."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from tests.support.databases import Store

from workbench.domain.conversations.events import conversation_created
from workbench.domain.conversations.model import Conversation, ConversationDetails, NewConversation
from workbench.domain.embeddings.model import Descriptor, Embedded, Space, packed
from workbench.domain.ids import new_id
from workbench.domain.participants.model import Participant
from workbench.domain.troubleshooting.model import Branch, Intake, Session


async def add_sessions(
    store: Store, texts: Sequence[str], workspace: str = "default", owner: str = "ann", **members: Any
) -> list[Session]:
    """Sessions that somebody began, one for each report."""
    made: list[Session] = []
    async with store.transactions.write(workspace) as tx:
        for text in texts:
            session = a_session(store, text, owner, **members)
            conversation = Conversation.created(session.conversation_id, NewConversation(), owner, session.created_at)
            seat = Participant.of_user(conversation.id, owner, owner.title(), None, session.created_at)
            tx.conversations.add(conversation)
            tx.participants.add(seat)
            tx.events.record(conversation_created(ConversationDetails.of(conversation, "read_write", [seat])))
            tx.sessions.add(session)
            root = Branch(id=session.active_branch_id or new_id(), label="Start", created_at=session.created_at)
            tx.session_steps.branch(session.id, root)
            made.append(session)
    return made


def a_session(store: Store, text: str, owner: str, **members: Any) -> Session:
    """One that somebody began."""
    now = store.clock.now()
    usual: dict[str, Any] = {
        "id": new_id(),
        "conversation_id": new_id(),
        "owner_id": owner,
        "handler_id": owner,
        "session_type": "guided",
        "intake": Intake(text=text),
        "created_at": now,
        "last_activity_at": now,
        "active_branch_id": new_id(),
    }
    return Session(**{**usual, **members})


async def add_space(store: Store, dims: int, workspace: str = "default", model: str = "any") -> Space:
    """A space that is in use."""
    space = Space(id=new_id(), descriptor=Descriptor(provider="test", model=model, dims=dims), state="active")
    async with store.transactions.write(workspace) as tx:
        tx.spaces.begin(space)
    return space


async def put_vectors(
    store: Store, space: Space, vectors: Sequence[tuple[UUID, Sequence[float]]], workspace: str = "default"
) -> None:
    """Give sessions these vectors."""
    async with store.transactions.write(workspace) as tx:
        for session_id, values in vectors:
            tx.vectors.put(space, Embedded(session_id=session_id, text_hash="", vector=packed(values)))


async def remove_session(store: Store, session: Session, workspace: str = "default") -> None:
    """Take one away with its conversation."""
    async with store.transactions.write(workspace) as tx:
        tx.conversations.remove(session.conversation_id)
