"""What a model is told before it answers: its instructions, what was said so far, and what it may use."""

from collections.abc import Sequence
from uuid import UUID

import msgspec

from workbench.domain.conversations.model import Conversation
from workbench.domain.errors import NotFoundError
from workbench.domain.files.model import Download
from workbench.domain.files.service import FileService
from workbench.domain.identity.model import Principal
from workbench.domain.messages.model import Message, MessageQuery
from workbench.domain.model_assistants.failures import ModelFailedError
from workbench.domain.model_assistants.model import ModelConfig, first_of
from workbench.domain.model_assistants.ports import Ask, Line, ModelAssistantTx, ModelGateway, Picture
from workbench.domain.model_assistants.tools import tools_named
from workbench.domain.participants.model import Participant
from workbench.domain.parts.flattening import images_of, parts_of, spoken_text
from workbench.domain.parts.images import bytes_of
from workbench.domain.parts.model import FILE_PREFIX, MAX_IMAGE_BYTES, Part, Parts
from workbench.domain.transactions import Transactions
from workbench.domain.turns.model import Turn
from workbench.domain.turns.shapes import TurnOptions

MAX_MESSAGES = 200
"""A model is shown no more of a conversation than these, the newest, however short they are."""
CHARACTERS_PER_TOKEN = 4
MAX_PICTURES = 8
"""Of the newest messages; each costs a model as much as pages of text."""
UNSEEN = "(an image, which you cannot see)"


class Brief(msgspec.Struct, frozen=True, kw_only=True):
    """A turn, and what its model is to be asked."""

    turn: Turn
    ask: Ask


class _Scene(msgspec.Struct, frozen=True, kw_only=True):
    """What was read of the conversation."""

    turn: Turn
    config: ModelConfig
    conversation: Conversation
    everyone: Sequence[Participant]
    messages: Sequence[Message]
    parts: dict[UUID, Parts]


class BriefingService:
    """Reads what a model must know."""

    def __init__(self, transactions: Transactions[ModelAssistantTx], files: FileService, gateway: ModelGateway) -> None:
        self._transactions = transactions
        self._files = files
        self._gateway = gateway

    async def brief(self, principal: Principal, conversation_id: UUID, turn_id: str) -> Brief:
        """Everything for the answer of a turn. Raises NotFoundError, ModelFailedError (no_model)."""
        scene = await self._read(principal, conversation_id, turn_id)
        options = msgspec.convert(scene.turn.options, TurnOptions)
        infos = {model.name: model for model in self._gateway.models}
        name = first_of(list(infos), options.model or scene.config.model)
        if name is None:
            raise ModelFailedError("no_model")
        lines = await self._lines(principal, scene, takes_images=infos[name].takes_images)
        longest = scene.config.max_output_tokens
        ask = Ask(
            model=name,
            instructions=_instructions(scene, principal),
            lines=_remembered(lines, scene.config.max_history_tokens * CHARACTERS_PER_TOKEN),
            temperature=scene.config.temperature,
            max_output_tokens=min(longest, options.max_output_tokens or longest),
            tools=tools_named(scene.config.tools),
            mcp_servers=tuple(name for name in scene.config.mcp_servers if name in self._gateway.mcp_servers),
        )
        return Brief(turn=scene.turn, ask=ask)

    async def _read(self, principal: Principal, conversation_id: UUID, turn_id: str) -> _Scene:
        async with self._transactions.read(principal.workspace_id) as tx:
            turn = await tx.turns.find(conversation_id, turn_id)
            stored = await tx.model_configs.find(UUID(principal.id))
            question = await tx.messages.find(turn.input_message_id) if turn and turn.input_message_id else None
            if turn is None or stored is None or question is None:
                raise NotFoundError
            before = MessageQuery(message_types=("chat",), before=question.message.id, limit=MAX_MESSAGES - 1)
            messages = [*await tx.messages.page(conversation_id, before), question.message]
            return _Scene(
                turn=turn,
                config=stored.config,
                conversation=await tx.conversations.require(conversation_id),
                everyone=await tx.participants.all_of(conversation_id),
                messages=messages,
                parts=await tx.turns.parts_of([message.id for message in messages]),
            )

    async def _lines(self, principal: Principal, scene: _Scene, *, takes_images: bool) -> list[Line]:
        """The messages as lines, pictures with the newest ones."""
        speakers = _names(scene.everyone, principal.id)
        lines: list[Line] = []
        room = MAX_PICTURES if takes_images else 0
        for message in reversed(scene.messages):
            parts = scene.parts.get(message.id) or parts_of(message.content)
            pictures = await self._pictures(principal, scene.turn.conversation_id, parts, room)
            room -= len(pictures)
            lines.append(_line(message, parts, pictures, principal.id, speakers))
        return [line for line in reversed(lines) if line.text or line.pictures]

    async def _pictures(
        self, principal: Principal, conversation_id: UUID, parts: Parts, room: int
    ) -> tuple[Picture, ...]:
        """Up to `room` of the images; one whose file was deleted since is left out."""
        found = [await self._picture(principal, conversation_id, part) for part in images_of(parts)[:room]]
        return tuple(picture for picture in found if picture is not None)

    async def _picture(self, principal: Principal, conversation_id: UUID, part: Part) -> Picture | None:
        image: str = part["image"]
        if not image.startswith(FILE_PREFIX):
            media_type, data = bytes_of(image)
            return Picture(media_type=media_type, data=data)
        try:
            found = await self._files.find(principal, conversation_id, image.removeprefix(FILE_PREFIX))
        except NotFoundError:
            return None
        if not isinstance(found, Download) or found.size > MAX_IMAGE_BYTES:
            return None
        data = b"".join([chunk async for chunk in await self._files.read(found)])
        return Picture(media_type=found.content_type, data=data)


def _names(everyone: Sequence[Participant], own_id: str) -> dict[str, str]:
    """Who says what must be told only where it could be more than one."""
    others = {one.id: one.name for one in everyone if one.id != own_id}
    return others if len(others) > 1 else {}


def _line(message: Message, parts: Parts, pictures: tuple[Picture, ...], own_id: str, speakers: dict[str, str]) -> Line:
    if message.sender.participant_id == own_id:
        return Line(role="assistant", text=spoken_text(parts))
    unseen = [UNSEEN] * (len(images_of(parts)) - len(pictures))
    files = [name for name in message.filenames if f"{FILE_PREFIX}{name}" not in {p.get("image") for p in parts}]
    attached = [f"(attached: {', '.join(files)})"] if files else []
    text = "\n\n".join([said for said in [spoken_text(parts), *unseen, *attached] if said])
    speaker = speakers.get(message.sender.participant_id)
    return Line(role="user", text=f"{speaker}: {text}" if speaker and text else text, pictures=pictures)


def _remembered(lines: Sequence[Line], characters: int) -> tuple[Line, ...]:
    """The newest lines that fit; the last one always, for it is what is to be answered."""
    kept: list[Line] = []
    for line in reversed(lines):
        characters -= len(line.text)
        if kept and characters < 0:
            break
        kept.append(line)
    return tuple(reversed(kept))


def _instructions(scene: _Scene, principal: Principal) -> str:
    me = next((one.name for one in scene.everyone if one.id == principal.id), "")
    said = [scene.config.system_prompt.strip()]
    if me:
        said.append(f'Your name is {me}. The conversation is called "{scene.conversation.title}".')
    if _names(scene.everyone, principal.id):
        said.append("Several take part: what others say begins with their name. Your own answer does not.")
    return "\n\n".join(filter(None, said))
