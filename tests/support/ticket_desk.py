"""The service with its notes in the hands of the test: nothing is pushed but what the test takes up, at the test's time."""

import asyncio
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
from dishka import AsyncContainer, Provider, Scope, provide
from tests.support.clocks import SettableClock, StoppedClock
from tests.support.databases import open_store
from tests.support.service import Service, running_service
from tests.support.ticket_systems import PRIVATE, PUBLIC, WEBHOOK_KEY, ConnectWiseServer, WebhookServer
from tests.support.troubleshooting import by_hand

from workbench.adapters.tickets.calls import TicketHttp
from workbench.domain.clock import Clock
from workbench.domain.events.model import Event
from workbench.domain.jobs.model import Job
from workbench.domain.jobs.ports import JobQueue
from workbench.domain.tickets.model import ClaimedPush, Push
from workbench.domain.tickets.ports import PushQueue
from workbench.domain.troubleshooting.output_jobs import OUTPUT_JOB, OutputService
from workbench.domain.troubleshooting.pushing import PushingService
from workbench.entrypoints.workers.jobs import JobWorker
from workbench.entrypoints.workers.pushing import PushWorker
from workbench.wiring.container import make_container

LOOPBACK = "127.0.0.1"
CALL_SECONDS = 2.0
TICKETS = {"allowed_hosts": [LOOPBACK]}
SECRET = {"public_key": PUBLIC, "private_key": PRIVATE}


class IdleWorker:
    """Leaves notes to the test."""

    async def run(self) -> None:
        await asyncio.Event().wait()


class IdleJobs:
    """Leaves jobs to the test."""

    def announce(self, events: Sequence[Event]) -> None:
        pass

    async def run(self) -> None:
        await asyncio.Event().wait()

    async def stop(self) -> None:
        pass


class Impatient(Provider):
    """Calls that nobody waits long for."""

    scope = Scope.APP

    @provide
    async def http(self, authorities: ssl.SSLContext, clock: Clock) -> AsyncIterator[TicketHttp]:
        http = TicketHttp([LOOPBACK], authorities, clock, call_seconds=CALL_SECONDS)
        yield http
        await http.close()


async def connect(service: Service, server: ConnectWiseServer | WebhookServer, **config: Any) -> str:
    """Connect a ticket system to a service; the id of the connection."""
    if isinstance(server, ConnectWiseServer):
        new = {"kind": "connectwise", "config": {**server.config, **config}, "secret": SECRET}
    else:
        new = {"kind": "webhook", "config": {"url": f"{server.url}/hook"}, "secret": {"keys": [WEBHOOK_KEY]}}
    answer = await service.admin().post("/psa-connections", json={"name": "Desk", **new})
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


class Desk:
    """A service, a worker of the test's own beside it, and its clock."""

    def __init__(self, service: Service, container: AsyncContainer, clock: SettableClock) -> None:
        self.service = service
        self.container = container
        self.clock = clock

    async def connect(self, server: ConnectWiseServer | WebhookServer, **config: Any) -> str:
        """Connect a ticket system; the id of the connection."""
        return await connect(self.service, server, **config)

    async def linked(self, who: httpx.AsyncClient, connection: str) -> str:
        """A session with the ticket 4711; its path."""
        ticket = {"psa_ticket_id": "4711", "psa_connection_id": connection}
        return (await by_hand(who, **ticket))["path"]

    async def claimed(self, limit: int = 10) -> list[ClaimedPush]:
        """Take up what is due."""
        self._catch_up()
        queue = await self.container.get(PushQueue)
        return list(await queue.claim(self.clock.now(), limit))

    async def bring(self) -> list[Push]:
        """Take up what is due, and bring it."""
        pushing = await self.container.get(PushingService)
        return [await pushing.bring(each) for each in await self.claimed()]

    async def bring_when_due(self, push: Push) -> Push:
        """Wait until a push is due again, and bring it."""
        assert push.next_attempt_at is not None
        self.clock.move(seconds=(push.next_attempt_at - self.clock.now()).total_seconds())
        (after,) = await self.bring()
        return after

    async def jobs(self) -> list[Job]:
        """Take up the jobs that make outputs."""
        self._catch_up()
        queue = await self.container.get(JobQueue)
        return list(await queue.claim([OUTPUT_JOB], self.clock.now(), 10))

    async def work(self) -> None:
        """Make outputs."""
        service = await self.container.get(OutputService)
        for job in await self.jobs():
            await service.carry_out(job)

    def _catch_up(self) -> None:
        """On a slow machine the service's clock may have overtaken ours."""
        behind = (datetime.now(UTC) - self.clock.now()).total_seconds()
        self.clock.move(seconds=max(behind, 0.0))

    async def told(self, workspace: str = "default") -> list[Event]:
        """What the log has of sessions."""
        async with open_store(self.service.database_url) as store, store.transactions.read(workspace) as tx:
            return [event for event in await tx.events.of_workspace(0, 500) if event.type.startswith("session.")]


@asynccontextmanager
async def ticket_desk(database_url: str, folder: Path, *providers: Provider, **settings: Any) -> AsyncGenerator[Desk]:
    """Open one. Its clock is a second ahead, so that what is set down now is due."""
    idle = Provider(Scope.APP)
    idle.provide(IdleWorker, provides=PushWorker)
    idle.provide(IdleJobs, provides=JobWorker)
    mine = (Impatient(), *providers)
    async with running_service(database_url, folder, idle, *mine, tickets=TICKETS, **settings) as service:
        clock = SettableClock(datetime.now(UTC) + timedelta(seconds=1))
        container = make_container(service.settings, StoppedClock(clock), *mine)
        try:
            yield Desk(service, container, clock)
        finally:
            await container.close()


async def pushes(who: httpx.AsyncClient, path: str) -> list[dict[str, Any]]:
    """The notes of a session."""
    answer = await who.get(f"{path}/psa-pushes")
    assert answer.status_code == 200, answer.text
    return answer.json()["items"]


def id_of(path: str) -> UUID:
    """A session's id."""
    return UUID(path.rpartition("/")[2])
