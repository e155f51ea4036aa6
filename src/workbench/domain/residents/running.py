"""Making the answers of assistants of this process: each in a task of its own, and each ended once, whatever breaks (turns, 2.1)."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar
from uuid import UUID

import msgspec

from workbench.domain.errors import ConflictError, NotFoundError, StaleError, UnavailableError, WorkbenchError
from workbench.domain.identity.model import Principal
from workbench.domain.participants.model import ParticipantChange
from workbench.domain.participants.service import ParticipantService
from workbench.domain.parts.events import ProducerEvent
from workbench.domain.residents.answering import speaking
from workbench.domain.residents.failures import SERVER_ERROR, SHUTDOWN, SpeakingFailedError
from workbench.domain.residents.outlet import Outlet
from workbench.domain.residents.ports import ANEW, USAGE, Speaker, Speech
from workbench.domain.turns.model import TurnError, TurnEvent
from workbench.domain.turns.ports import DueTurn
from workbench.domain.turns.producing import ProducingService
from workbench.domain.turns.shapes import Batch, BatchTaken, Ending, LeaseRequest, Settled

T = TypeVar("T")

LEASE_SECONDS = 30
RENEWAL_SECONDS = 10.0
AT_WORK = "thinking..."
"""What the assistant's seat says meanwhile."""
STORE_PAUSES = (0.1, 0.2, 0.5, 1.0, 2.0, 4.0, 8.0)
"""Between tries to store a batch; together they are shorter than the lease."""
FINALIZE_PAUSES = (0.2, 1.0, 3.0)
FINALIZE_SECONDS = 10.0


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a turn that was taken: how it was stored, or why not."""

    turn_id: str
    settled: Settled | None
    failure: BaseException | None = None
    """What kept its end from being stored; then whoever looks after turns will end it."""
    cause: BaseException | None = None
    """Why there is no answer, where who was to speak, or we, failed."""


class LostError(Exception):
    """The turn is somebody else's by now, or over, or gone."""


class Making:
    """A turn while its answer is made."""

    def __init__(self, principal: Principal, conversation_id: UUID, turn_id: str, epoch: int) -> None:
        self.principal = principal
        self.conversation_id = conversation_id
        self.turn_id = turn_id
        self.epoch = epoch
        self.outlet = Outlet()
        self.batch = 1
        self.is_cancelled = False
        self.must_look = False
        self.calls: list[dict[str, Any]] = []

    def cancel(self) -> None:
        """Hear that its end was asked for."""
        self.is_cancelled = True
        self.outlet.ring()

    def look(self) -> None:
        """Hear that something may have happened to it elsewhere."""
        self.must_look = True
        self.outlet.ring()

    def heed(self, event: ProducerEvent) -> None:
        """Keep in mind what decides how it goes on and ends."""
        if event.type == USAGE:
            self.calls.append(event.payload)

    def done(self) -> Ending:
        """How it ends where all went well."""
        refused = bool(self.calls) and self.calls[-1].get("finish_reason") == "content_filter"
        return self._ending(outcome="completed", finish_reason="content_filter" if refused else None)

    def aborted(self) -> Ending:
        """How it ends where that was asked for."""
        return self._ending(outcome="aborted")

    def failed(self, error: TurnError) -> Ending:
        """How it ends where something went wrong; what was cut short by our own end can be run again."""
        reason = "shutdown" if error.code == SHUTDOWN.code else None
        return self._ending(outcome="failed", finish_reason=reason, error=error)

    def _ending(self, **how: Any) -> Ending:
        return Ending(epoch=self.epoch, debug_data={"model_calls": self.calls} if self.calls else {}, **how)


class RunningService:
    """Makes answers: who speaks is chosen by the assistant's service. Who calls it decides how many at once."""

    def __init__(
        self, speakers: Mapping[str, Speaker], producing: ProducingService, participants: ParticipantService
    ) -> None:
        """Take the speakers by the ids of their services."""
        self._speakers = speakers
        self._producing = producing
        self._participants = participants
        self._makings: dict[UUID, Making] = {}
        self._finalizing: set[asyncio.Task[Run]] = set()

    async def prepare(self) -> None:
        """Have all speakers ready before somebody asks."""
        for speaker in self._speakers.values():
            await speaker.get_ready()

    def announce(self, turn_pk: UUID, events: Sequence[TurnEvent]) -> None:
        """Hear of what this process committed to a turn."""
        making = self._makings.get(turn_pk)
        if making is not None and any(event.type == "turn.cancel_requested" for event in events):
            making.cancel()

    def notice(self, turn_pk: UUID | None) -> None:
        """Hear that a turn, or any, may have gone on elsewhere."""
        makings = self._makings.values() if turn_pk is None else filter(None, [self._makings.get(turn_pk)])
        for making in list(makings):
            making.look()

    async def run(self, due: DueTurn, producer_id: str) -> Run | None:
        """Take a turn, make its answer and end it; None where it was not to be had.

        A cancellation ends the turn as cut short by our own end, which is stored before it is raised again, however
        often it comes. So is any other defect.
        """
        service_id = due.assistant_service_id or ""
        speaker = self._speakers.get(service_id)
        if speaker is None:
            return None
        principal = speaking(due.workspace_id, due.assistant_id, service_id)
        making = await self._take(principal, due, producer_id)
        if making is None:
            return None
        cause: BaseException | None = None
        try:
            ending = await self._make(making, speaker)
        except LostError:
            return None
        except SpeakingFailedError as error:
            ending, cause = making.failed(error.error), error
        except BaseException as error:
            why = SHUTDOWN if isinstance(error, asyncio.CancelledError) else SERVER_ERROR
            await self._settle(making, making.failed(why))
            raise
        run, interruption = await self._settle(making, ending)
        if interruption is not None:
            raise interruption
        return msgspec.structs.replace(run, cause=cause)

    async def _take(self, principal: Principal, due: DueTurn, producer_id: str) -> Making | None:
        wanted = LeaseRequest(producer_id=producer_id, ttl_s=LEASE_SECONDS)
        try:
            grant = await self._producing.lease(principal, due.conversation_id, due.turn_id, wanted)
        except (ConflictError, NotFoundError):
            return None
        return Making(principal, due.conversation_id, due.turn_id, grant.epoch)

    async def _make(self, making: Making, speaker: Speaker) -> Ending:
        """Have the speaker speak, and store what it says until it is done. Raises SpeakingFailedError, LostError."""
        try:
            speech = await speaker.prepare(making.principal, making.conversation_id, making.turn_id)
            status = ParticipantChange(status=AT_WORK)
            await self._participants.change_self(making.principal, making.conversation_id, status)
        except NotFoundError as error:
            raise LostError from error
        answering = asyncio.create_task(self._answer(making, speech))
        self._makings[speech.turn.pk] = making
        try:
            return await self._pass_on(making, answering)
        finally:
            del self._makings[speech.turn.pk]
            making.outlet.take_all()
            answering.cancel()
            await asyncio.gather(answering, return_exceptions=True)

    async def _answer(self, making: Making, speech: Speech) -> None:
        try:
            async with contextlib.aclosing(speech.said) as said:
                async for event in said:
                    making.heed(event)
                    await making.outlet.put(event)
        finally:
            making.outlet.close()

    async def _pass_on(self, making: Making, answering: asyncio.Task[None]) -> Ending:
        """Store what is said, batch by batch, and keep the lease while it is silent."""
        loop = asyncio.get_running_loop()
        renewed = loop.time()
        while not (answering.done() and making.outlet.is_empty):
            if making.is_cancelled:
                return await self._stop(making, answering)
            if making.must_look or making.outlet.is_due() or loop.time() - renewed >= RENEWAL_SECONDS:
                making.must_look = False
                taken = await self._add(making)
                making.is_cancelled |= taken.cancel_requested
                renewed = loop.time()
            else:
                await making.outlet.due(renewed + RENEWAL_SECONDS)
        answering.result()
        return making.done()

    async def _stop(self, making: Making, answering: asyncio.Task[None]) -> Ending:
        """Have the speaker stop, and store what it had said and what that took."""
        making.outlet.take_all()
        answering.cancel()
        await asyncio.gather(answering, return_exceptions=True)
        while not making.outlet.is_empty:
            await self._add(making)
        return making.aborted()

    async def _add(self, making: Making) -> BatchTaken:
        """Store a batch, which may be empty: then it only prolongs the lease. Raises LostError."""
        said = making.outlet.take()
        if ANEW in said:
            said = await self._begin_anew(making, said)
        events = [{"type": event.type, **event.payload} for event in said]
        taken = await self._stored(making, Batch(epoch=making.epoch, batch=making.batch, events=events))
        making.batch += 1
        return taken

    async def _begin_anew(self, making: Making, said: Sequence[ProducerEvent]) -> Sequence[ProducerEvent]:
        """Forget what the turn has; answers with what still holds of this batch. Raises LostError."""
        place = max(index for index, event in enumerate(said) if event == ANEW)
        await self._persist(
            lambda: self._producing.begin_anew(making.principal, making.conversation_id, making.turn_id, making.epoch)
        )
        return [*(event for event in said[:place] if event.type == USAGE), *said[place + 1 :]]

    async def _stored(self, making: Making, batch: Batch) -> BatchTaken:
        return await self._persist(
            lambda: self._producing.add(making.principal, making.conversation_id, making.turn_id, batch)
        )

    async def _persist(self, store: Callable[[], Awaitable[T]]) -> T:
        """Store, again and again for a while. Raises LostError."""
        for pause in (*STORE_PAUSES, None):
            try:
                return await store()
            except (UnavailableError, StaleError) as error:
                if pause is None:
                    raise LostError from error
                await asyncio.sleep(pause)
            except (ConflictError, NotFoundError) as error:
                raise LostError from error
        raise AssertionError  # the last try returns or raises

    async def _settle(self, making: Making, ending: Ending) -> tuple[Run, asyncio.CancelledError | None]:
        """End the turn in a task that nobody can cut short; answers with the cancellation that tried to."""
        task = asyncio.create_task(self._finalize(making, ending))
        self._finalizing.add(task)
        task.add_done_callback(self._finalizing.discard)
        interruption: asyncio.CancelledError | None = None
        while not task.done():
            try:
                # Waiting neither passes a cancellation on to the task nor raises what went wrong in it.
                await asyncio.wait([task])
            except asyncio.CancelledError as error:
                interruption = error
        defect = task.exception()
        run = task.result() if defect is None else Run(turn_id=making.turn_id, settled=None, failure=defect)
        return run, interruption

    async def _finalize(self, making: Making, ending: Ending) -> Run:
        failure: BaseException | None = None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FINALIZE_SECONDS):
                for pause in FINALIZE_PAUSES:
                    try:
                        settled = await self._producing.finalize(
                            making.principal, making.conversation_id, making.turn_id, ending
                        )
                        return Run(turn_id=making.turn_id, settled=settled)
                    except (UnavailableError, StaleError) as error:
                        failure = error
                        await asyncio.sleep(pause)
                    except WorkbenchError as error:
                        return Run(turn_id=making.turn_id, settled=None, failure=error)
        return Run(turn_id=making.turn_id, settled=None, failure=failure or TimeoutError())
