"""Makes the answers of assistants of this process: those asked for in this process at once, and those that nobody began."""

import asyncio
from collections.abc import Sequence
from uuid import UUID, uuid4

import msgspec
import structlog

from workbench.domain.events.model import Event
from workbench.domain.residents.running import RunningService
from workbench.domain.turns.model import UNSTARTED, TurnEvent
from workbench.domain.turns.ports import DueTurn, TurnWatch

LOOK_SECONDS = 5.0
TURN_STATES = ("turn.opened", "turn.status")

logger = structlog.get_logger(__name__)


class RunnerPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """How many answers one process makes at once; what is more waits, here or for another process.

    When the process ends, those under way get `drain_seconds` to be done; then they are cut short, and can be run again.
    """

    at_once: int = 64
    drain_seconds: float = 10.0


class _Turn(msgspec.Struct):
    turn_id: str
    assistant_id: UUID
    assistant_service_id: str | None
    producer_kind: str
    status: str


class _Told(msgspec.Struct):
    turn: _Turn


class RunningWorker:
    """The answers of one process."""

    def __init__(self, running: RunningService, watch: TurnWatch, policy: RunnerPolicy) -> None:
        self._running = running
        self._watch = watch
        self._policy = policy
        self._producer = uuid4().hex
        self._tasks: dict[tuple[UUID, str], asyncio.Task[None]] = {}
        self._is_stopping = False

    def announce(self, events: Sequence[Event]) -> None:
        """Hear of turns that this process opened, for the first time or once more, and begin with them."""
        for event in events:
            if event.conversation_id is not None and event.type in TURN_STATES:
                turn = msgspec.json.decode(event.data, type=_Told).turn
                if turn.producer_kind == "builtin" and turn.status == "opened":
                    due = DueTurn(
                        workspace_id=event.workspace_id,
                        conversation_id=event.conversation_id,
                        turn_id=turn.turn_id,
                        assistant_id=turn.assistant_id,
                        assistant_service_id=turn.assistant_service_id,
                    )
                    self._begin(due)

    def announce_turn(self, turn_pk: UUID, events: Sequence[TurnEvent]) -> None:
        """Hear of what happened in a turn."""
        self._running.announce(turn_pk, events)

    def notice_turn(self, turn_pk: UUID | None) -> None:
        """Hear that something may have happened in a turn elsewhere."""
        self._running.notice(turn_pk)

    async def run(self) -> None:
        """Look for turns that were opened and not begun, for ever: by a process that died, or that is too busy."""
        try:
            await self._running.prepare()
        except Exception:
            # Each answer will try again, and say so to whoever asked.
            logger.exception("the models cannot be opened")
        while True:
            room = self._policy.at_once - len(self._tasks)
            if room > 0:
                for due in await self._watch.unstarted(await self._watch.now() - UNSTARTED, room):
                    self._begin(due)
            await asyncio.sleep(LOOK_SECONDS)

    async def stop(self) -> None:
        """Begin nothing more, wait for what is under way, and cut short what takes too long."""
        self._is_stopping = True
        tasks = set(self._tasks.values())
        if tasks:
            _, tasks = await asyncio.wait(tasks, timeout=self._policy.drain_seconds)
        self.hurry()
        await asyncio.gather(*tasks, return_exceptions=True)

    def hurry(self) -> None:
        """Begin nothing more, and cut short what is under way."""
        self._is_stopping = True
        for task in self._tasks.values():
            task.cancel()

    def _begin(self, due: DueTurn) -> None:
        key = (due.conversation_id, due.turn_id)
        if self._is_stopping or key in self._tasks or len(self._tasks) >= self._policy.at_once:
            return
        self._tasks[key] = task = asyncio.create_task(self._run(due))
        task.add_done_callback(lambda _: self._tasks.pop(key, None))

    async def _run(self, due: DueTurn) -> None:
        log = logger.bind(turn_id=due.turn_id, conversation_id=str(due.conversation_id))
        try:
            run = await self._running.run(due, self._producer)
        except Exception:
            # A defect of ours; the turn has been ended as failed.
            log.exception("an answer could not be made")
            return
        if run is None:
            return
        if run.cause is not None:
            # Not what a provider said at length, which may repeat keys or messages.
            why = run.cause.__cause__
            log.warning("there is no answer", code=str(run.cause), why=type(why).__name__ if why else None)
        if run.failure is not None:
            log.error("the end of an answer could not be stored", exc_info=run.failure)
