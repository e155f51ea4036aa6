"""Speaking for model assistants: the model answers, and where it is too busy to begin, once another one."""

import contextlib
from collections.abc import AsyncGenerator
from uuid import UUID

import msgspec

from workbench.domain.identity.model import Principal
from workbench.domain.model_assistants.briefing import BriefingService
from workbench.domain.model_assistants.failures import ModelFailedError
from workbench.domain.model_assistants.ports import Ask, CallTool, ModelGateway
from workbench.domain.model_assistants.tools import ToolService
from workbench.domain.parts.events import ProducerEvent
from workbench.domain.residents.ports import USAGE, Speaker, Speech


class ModelSpeaker(Speaker):
    """Has models speak."""

    def __init__(self, gateway: ModelGateway, briefing: BriefingService, tools: ToolService) -> None:
        self._gateway = gateway
        self._briefing = briefing
        self._tools = tools

    async def get_ready(self) -> None:
        """Open the models."""
        await self._gateway.prepare()

    async def prepare(self, principal: Principal, conversation_id: UUID, turn_id: str) -> Speech:
        """Brief the model. Raises NotFoundError, ModelFailedError (no_model)."""
        brief = await self._briefing.brief(principal, conversation_id, turn_id)
        call = self._tools.bound(principal, conversation_id, brief.ask.tools)
        return Speech(turn=brief.turn, said=self._answer(brief.ask, call))

    async def _answer(self, ask: Ask, call: CallTool) -> AsyncGenerator[ProducerEvent]:
        """Have the model speak; where it is too busy to begin, once another one (turns, 6)."""
        has_output = False
        try:
            async with contextlib.aclosing(self._gateway.answer(ask, call)) as said:
                async for event in said:
                    has_output |= event.type != USAGE
                    yield event
        except ModelFailedError as error:
            other = self._gateway.fallback
            if error.code != "rate_limited" or has_output or other in (None, ask.model):
                raise
        else:
            return
        async with contextlib.aclosing(self._gateway.answer(msgspec.structs.replace(ask, model=other), call)) as said:
            async for event in said:
                yield event
