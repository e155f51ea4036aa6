"""Having a model reply in a chat, to what is stored already; no block is open meanwhile (7.8)."""

from collections.abc import Sequence

import msgspec

from workbench.domain.contents.ports import ContentStore
from workbench.domain.files.model import Download
from workbench.domain.messages.model import Message
from workbench.domain.playbooks.shelf import Shelf
from workbench.domain.troubleshooting.generating import GeneratingService
from workbench.domain.troubleshooting.generations import Generation
from workbench.domain.troubleshooting.model import Branch, Session
from workbench.domain.troubleshooting.reading_uploads import read_uploads
from workbench.domain.troubleshooting.sourcing import Supply
from workbench.domain.troubleshooting.talking import replied, talk_of
from workbench.domain.troubleshooting.views import ChatReply
from workbench.domain.troubleshooting.writers import ChatResponder
from workbench.domain.turns.model import Turn


class Pending(msgspec.Struct, frozen=True, kw_only=True):
    """What waits for a reply: what was said, what was said before it, and what there is to go by."""

    session: Session
    branches: tuple[Branch, ...]
    turn: Turn
    asked: Message
    earlier: Sequence[Message]
    downloads: Sequence[Download]
    shelf: Shelf
    supply: Supply


class Replying:
    """Has models reply."""

    def __init__(self, generating: GeneratingService, responder: ChatResponder, store: ContentStore) -> None:
        self.generating = generating
        self._responder = responder
        self._store = store

    async def reply(self, generation: Generation, pending: Pending) -> tuple[ChatReply, Sequence[str]]:
        """Have one reply; answers with the uploads that it was not shown, too. Raises ProviderError."""
        read = await read_uploads(self._store, pending.downloads)
        sources = [*pending.supply.sources, *read.sources]
        talk = talk_of(pending.session, pending.branches, [*pending.earlier, pending.asked], sources)
        written = await self.generating.ask(generation, lambda model, spent: self._responder.reply(model, talk, spent))
        return replied(written, pending.shelf, pending.supply.candidates), read.unread
