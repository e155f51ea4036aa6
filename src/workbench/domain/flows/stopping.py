"""The end of a flow: its callers' last words, its services' release, and the topics that nobody else needs."""

import asyncio
import time
from collections.abc import Sequence
from datetime import timedelta

import msgspec

from workbench.domain.bus.errors import BusError
from workbench.domain.bus.model import TopicName
from workbench.domain.flows.calling import FlowGateway
from workbench.domain.flows.means import FlowMeans
from workbench.domain.flows.model import StoredFlow
from workbench.domain.flows.ports import DoomedTopic
from workbench.domain.flows.roster import Roster

FIRST_BACKOFF_SECONDS = 2.0
MAX_BACKOFF_SECONDS = 3600.0
DELETE_AT_ONCE = 8
DELETE_SECONDS = 8.0
LOOK_SECONDS = 0.1
LEARN_SECONDS = 2.0
"""How long after a flow began to stop another process may not know it yet."""


class TopicRemover:
    """Deletes topics from the bus, and keeps at it."""

    def __init__(self, means: FlowMeans) -> None:
        self._ledger = means.ledger
        self._bus = means.bus
        self._clock = means.clock
        self._meter = means.meter
        self._times = means.times

    async def remove(self, doomed: Sequence[DoomedTopic], tries: int | None = None) -> None:
        """Delete topics that were taken up, with a few tries; for what is left there will be more later."""
        left = list(doomed)
        for attempt in range(tries or self._times.tries):
            if attempt and left:
                await asyncio.sleep(self._times.pause_seconds)
            left = await self._try(left)
        for topic in left:
            wait = min(FIRST_BACKOFF_SECONDS * 2 ** min(topic.attempts, 20), MAX_BACKOFF_SECONDS)
            await self._ledger.not_deleted(topic.topic, self._clock.now() + timedelta(seconds=wait))

    async def round(self) -> None:
        """Try once what is due."""
        await self.remove(await self._ledger.claim_doomed(None, self._clock.now()), 1)

    async def _try(self, doomed: Sequence[DoomedTopic]) -> list[DoomedTopic]:
        at_once = asyncio.Semaphore(DELETE_AT_ONCE)

        async def one(topic: DoomedTopic) -> DoomedTopic | None:
            async with at_once:
                return None if await self._delete(topic) else topic

        return [left for left in await asyncio.gather(*map(one, doomed)) if left is not None]

    async def _delete(self, doomed: DoomedTopic) -> bool:
        topic_class = TopicName.parse(doomed.topic).topic_class
        try:
            async with asyncio.timeout(DELETE_SECONDS):
                await self._bus.delete_topic(doomed.topic, doomed.subscriptions)
        except (BusError, TimeoutError):
            self._meter.topics(topic_class, "failed", 1)
            return False
        await self._ledger.deleted(doomed.topic)
        self._meter.topics(topic_class, "deleted", 1)
        return True


class StopService:
    """Brings flows that are stopping to their end, from wherever somebody left off."""

    def __init__(self, means: FlowMeans, gateway: FlowGateway, roster: Roster, remover: TopicRemover) -> None:
        self._ledger = means.ledger
        self._gateway = gateway
        self._roster = roster
        self._remover = remover
        self._changes = means.changes
        self._clock = means.clock
        self._meter = means.meter
        self._times = means.times
        self._ends: dict[tuple[str, str, int], asyncio.Task[StoredFlow | None]] = {}

    def begin(self, flow: StoredFlow) -> "asyncio.Task[StoredFlow | None]":
        """Have it happen, once in this process however often it is asked for; gives what can be waited for."""
        key = flow.key
        task = self._ends.get(key)
        if task is None:
            task = self._ends[key] = asyncio.create_task(self.finish(flow))
            task.add_done_callback(lambda _: self._ends.pop(key, None))
        return task

    async def settle(self) -> None:
        """Wait for all ends that are under way in this process."""
        if self._ends:
            await asyncio.wait(list(self._ends.values()))

    async def close(self) -> None:
        """Leave what is under way to the next process."""
        tasks = list(self._ends.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def finish(self, flow: StoredFlow) -> StoredFlow | None:
        """Every step that is still to be done."""
        if not flow.is_withdrawn:
            await self._drained(flow)
            await self._ledger.withdraw(flow.key, self._clock.now())
            self._changes.ring()
        await self._gateway.release(flow.key)
        cleanup = flow.cleanup
        if cleanup is None:
            await self._released(flow)
            cleanup = await self._ledger.sweep(flow.key, self._clock.now())
            for topic in cleanup.kept:
                self._meter.topics(TopicName.parse(topic).topic_class, "kept", 1)
        # Where another process has taken them up, it deletes them.
        await self._remover.remove(await self._ledger.claim_doomed(cleanup.pending, self._clock.now()))
        pending = sorted(await self._ledger.still_doomed(cleanup.pending))
        deleted = sorted({*cleanup.deleted, *cleanup.pending} - set(pending))
        after = msgspec.structs.replace(cleanup, deleted=deleted, pending=pending)
        stopped = await self._ledger.finish(flow.key, after, self._clock.now())
        if stopped is not None:
            self._meter.transitioned("stopping", "stopped")
        self._changes.ring()
        return stopped

    async def _drained(self, flow: StoredFlow) -> None:
        """Until nobody waits for the flow any more, here or elsewhere, or until its time is up."""
        until = time.monotonic() + flow.drain_seconds
        if flow.stopping_at is not None:
            until -= min((self._clock.now() - flow.stopping_at).total_seconds(), flow.drain_seconds)
        while time.monotonic() < until:
            if not self._gateway.in_flight(flow.key) and not await self._calls_elsewhere(flow):
                return
            await asyncio.sleep(LOOK_SECONDS)

    async def _calls_elsewhere(self, flow: StoredFlow) -> bool:
        key = "/".join(map(str, flow.key))
        hosts = await self._roster.hosts(fresh=True)
        others = [host for host in hosts if host.host_id != self._roster.host_id and not host.is_outside]
        learned = (flow.stopping_at or self._clock.now()) + timedelta(seconds=LEARN_SECONDS)
        if others and self._clock.now() < learned:
            return True
        return any(key in host.calling for host in others)

    async def _released(self, flow: StoredFlow) -> None:
        """Until no live host holds what only this flow had, or has had its time to let go."""
        until = time.monotonic() + self._times.release_seconds
        while time.monotonic() < until:
            wanted = {
                service.key
                for other in await self._ledger.holding()
                if other.key != flow.key and not other.is_withdrawn
                for service in other.snapshot.services
            }
            held = {key for host in await self._roster.hosts(fresh=True) for key in host.held}
            if not held & ({service.key for service in flow.snapshot.services} - wanted):
                return
            await asyncio.sleep(LOOK_SECONDS)
