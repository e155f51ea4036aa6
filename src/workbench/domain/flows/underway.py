"""Requests under way, in whichever replica: each answers for its own, over the bus that all of them are on."""

import asyncio
import contextlib
import logging
import uuid
from collections.abc import AsyncGenerator, Sequence

import msgspec

from workbench.domain.bus.errors import BusError, BusUnavailableError
from workbench.domain.bus.listening import Listener
from workbench.domain.bus.model import REPLICAS_TOPIC, Message
from workbench.domain.bus.waiting import bus_failure
from workbench.domain.errors import NotFoundError, UnavailableError
from workbench.domain.flows.calling import FlowGateway, InFlight, Viewer
from workbench.domain.flows.means import FlowMeans
from workbench.domain.flows.roster import Roster
from workbench.domain.identity.model import Principal

ANSWER_SECONDS = 2.0
# What was begun a moment ago is not on the roster yet: so long one waits also for those that are not said to be calling.
GRACE_SECONDS = 0.2
PUBLISH_SECONDS = 2.0

logger = logging.getLogger(__name__)


class InFlightList(msgspec.Struct, frozen=True, kw_only=True):
    """The wire's wrapper of a list; `silent_replicas` is how many were asked and did not answer in time."""

    requests: Sequence[InFlight]
    silent_replicas: int = 0


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """What a replica wants to know of all others: what is under way, or that one request be ended."""

    id: str
    host_id: str
    viewer: Viewer
    cancels: str | None = None


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What one replica answers."""

    question_id: str
    host_id: str
    requests: Sequence[InFlight] = ()
    has_cancelled: bool = False


class Asked:
    """A question that waits for its answers."""

    def __init__(self, expected: set[str]) -> None:
        self.expected = expected
        self.heard: list[Told] = []
        self.news = asyncio.Event()

    @property
    def has_cancelled(self) -> bool:
        """Whether a replica had the request, and has ended it."""
        return any(told.has_cancelled for told in self.heard)

    @property
    def silent(self) -> int:
        """How many replicas have not answered that should."""
        return len(self.expected - {told.host_id for told in self.heard})


class RequestsUnderWay:
    """What is under way in all replicas: one's own, or for who may change flows everybody's."""

    def __init__(self, means: FlowMeans, gateway: FlowGateway, roster: Roster) -> None:
        self._bus = means.bus
        self._gateway = gateway
        self._roster = roster
        self._asked: dict[str, Asked] = {}

    async def list(self, principal: Principal, flow_id: str) -> InFlightList:
        """List what is under way. Raises CallError where the bus is away."""
        viewer = self._gateway.viewer(principal, flow_id)
        found = [*self._gateway.under_way(viewer)]
        silent = 0
        if self._bus.is_durable:
            async with self._asking(viewer) as asked:
                silent = asked.silent
                found += [each for told in asked.heard for each in told.requests]
        return InFlightList(requests=sorted(found, key=lambda each: each.started_at), silent_replicas=silent)

    async def cancel(self, principal: Principal, flow_id: str, request_id: str) -> None:
        """End a request. Raises NotFoundError, UnavailableError where a replica does not answer, CallError."""
        viewer = self._gateway.viewer(principal, flow_id)
        if self._gateway.cancel(viewer, request_id):
            return
        if self._bus.is_durable:
            async with self._asking(viewer, request_id) as asked:
                if asked.has_cancelled:
                    return
                if asked.silent:
                    raise UnavailableError("A replica that may have the request does not answer", code="replica_silent")
        raise NotFoundError(code="request_not_found")

    async def listen(self) -> None:
        """Answer the questions of other replicas, for ever; where the bus is inside the process there are none."""
        if self._bus.is_durable:
            await Listener(self._bus, REPLICAS_TOPIC, f"replica/{self._roster.host_id}", self._hear).run()
        else:
            await asyncio.Event().wait()

    @contextlib.asynccontextmanager
    async def _asking(self, viewer: Viewer, cancels: str | None = None) -> AsyncGenerator[Asked]:
        """Ask all others, and give what they answered in time."""
        question = Question(id=uuid.uuid4().hex, host_id=self._roster.host_id, viewer=viewer, cancels=cancels)
        asked = self._asked[question.id] = Asked(await self._calling(viewer))
        try:
            try:
                await self._say("request", question)
            except (BusError, TimeoutError) as error:
                raise bus_failure(error if isinstance(error, BusError) else BusUnavailableError()) from error
            await _answered(asked)
            yield asked
        finally:
            del self._asked[question.id]

    async def _calling(self, viewer: Viewer) -> set[str]:
        """The other replicas that have requests to the flow under way, as they said themselves."""
        run = f"{viewer.workspace_id}/{viewer.flow_id}/"
        hosts = await self._roster.hosts(fresh=True)
        calling = {host.host_id for host in hosts if any(key.startswith(run) for key in host.calling)}
        return calling - {self._roster.host_id}

    async def _hear(self, message: Message) -> None:
        try:
            if message.kind == "request":
                await self._answer(msgspec.json.decode(message.body, type=Question))
            elif message.kind == "final":
                self._note(msgspec.json.decode(message.body, type=Told))
        except msgspec.DecodeError as error:
            logger.warning("what came on %s cannot be read: %s", REPLICAS_TOPIC, error)

    async def _answer(self, question: Question) -> None:
        if question.host_id == self._roster.host_id:
            return
        told = Told(question_id=question.id, host_id=self._roster.host_id)
        if question.cancels is None:
            told = msgspec.structs.replace(told, requests=self._gateway.under_way(question.viewer))
        elif self._gateway.cancel(question.viewer, question.cancels):
            told = msgspec.structs.replace(told, has_cancelled=True)
        await self._say("final", told)

    def _note(self, told: Told) -> None:
        asked = self._asked.get(told.question_id)
        if asked is not None:
            asked.heard.append(told)
            asked.news.set()

    async def _say(self, kind: str, words: Question | Told) -> None:
        headers = {"wb-v": 1, "wb-kind": kind}
        message = Message(body=msgspec.json.encode(words), headers=headers, ttl_seconds=ANSWER_SECONDS)
        await self._bus.publish(REPLICAS_TOPIC, message, PUBLISH_SECONDS)


async def _answered(asked: Asked) -> None:
    """Wait until a replica has ended the request, or all have answered who should; not for ever."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    while not asked.has_cancelled:
        until = began + (ANSWER_SECONDS if asked.silent else GRACE_SECONDS)
        asked.news.clear()
        try:
            async with asyncio.timeout_at(until):
                await asked.news.wait()
        except TimeoutError:
            return
