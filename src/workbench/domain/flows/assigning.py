"""What hosts outside of the service are to run: they ask again and again, and are told when it changes."""

import asyncio
import hashlib
import re
import time
from collections.abc import Sequence

import msgspec

from workbench.domain.bus.services import Assignment
from workbench.domain.errors import NotFoundError, UnprocessableError
from workbench.domain.flows.calling import FlowGateway
from workbench.domain.flows.hosting import assignments_of
from workbench.domain.flows.means import FlowMeans
from workbench.domain.flows.model import NAME_PATTERN, AssignedTopic, AssignmentList, GivenAssignment, Host
from workbench.domain.flows.sealing import opened
from workbench.domain.identity.model import Principal, require_role

MAX_WAIT_SECONDS = 25.0
MAX_SERVICES = 100
MAX_KEYS = 10_000
LOOK_SECONDS = 1.0
"""How often another process' changes are looked for."""

_HOST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


class HostPoll(msgspec.Struct, frozen=True, kw_only=True):
    """What a host asks: who it is, what it could run, the list that it goes by, and how long it would wait for another."""

    host_id: str
    services: list[str]
    version: int = 0
    wait_seconds: float = MAX_WAIT_SECONDS


class AssignmentService:
    """Acts of hosts that are processes of their own. Asking is also their sign of life."""

    def __init__(self, means: FlowMeans, gateway: FlowGateway) -> None:
        self._ledger = means.ledger
        self._changes = means.changes
        self._clock = means.clock
        self._sealer = means.sealer
        self._gateway = gateway

    async def assignments(self, principal: Principal, poll: HostPoll) -> AssignmentList | None:
        """What the host is to run, as soon as that is not what it goes by; None where the time is up before.

        Who comes back with a version holds all that this version named, but for what it has said to have released.
        Raises UnprocessableError.
        """
        require_role(principal, "host")
        _check(poll)
        host = await self._heard(poll)
        until, bell = time.monotonic() + poll.wait_seconds, asyncio.Event()
        while True:
            version = await self._ledger.version()
            if version != poll.version:
                return await self._offered(host, version)
            left = until - time.monotonic()
            if left <= 0 or self._gateway.is_draining:
                await self._say_alive(host)
                return None
            await self._changes.wait(bell, min(left, LOOK_SECONDS))

    async def _heard(self, poll: HostPoll) -> Host:
        known = await self._ledger.host(poll.host_id)
        host = Host(host_id=poll.host_id, services=[], held=[], calling=[], seen_at=self._clock.now())
        if known is not None:
            held = known.offered if poll.version and poll.version == known.offered_version else known.held
            host = msgspec.structs.replace(known, held=held)
        return await self._say_alive(msgspec.structs.replace(host, services=sorted(set(poll.services))))

    async def _say_alive(self, host: Host) -> Host:
        alive = msgspec.structs.replace(host, seen_at=self._clock.now())
        await self._ledger.heard(alive)
        return alive

    async def _offered(self, host: Host, version: int) -> AssignmentList:
        # Read behind the version: what came in between is in the list already, and the version will say so.
        wanted = [one for one in assignments_of(await self._ledger.holding()) if one.service in host.services]
        keys = sorted(one.key for one in wanted)
        await self._say_alive(msgspec.structs.replace(host, offered=keys, offered_version=version))
        return AssignmentList(version=version, assignments=[self._given(one) for one in wanted])

    def _given(self, assignment: Assignment) -> GivenAssignment:
        return GivenAssignment(
            key=assignment.key,
            workspace_id=assignment.workspace_id,
            flow_id=assignment.flow_id,
            generation=assignment.generation,
            service=assignment.service,
            hash=_hash(assignment),
            topics={
                name: AssignedTopic(topic=topic, crosses_workspaces=name in assignment.crossing)
                for name, topic in assignment.topics.items()
            },
            parameters=opened(assignment.parameters, self._sealer),
        )

    async def released(self, principal: Principal, host_id: str, keys: Sequence[str]) -> None:
        """Note what a host does not hold: it could not begin it, or let go of it before it was told to.

        Raises NotFoundError for a host that never asked.
        """
        require_role(principal, "host")
        host = await self._ledger.host(host_id)
        if host is None:
            raise NotFoundError(code="host_not_found")
        gone = frozenset(keys)
        left = msgspec.structs.replace(
            host,
            held=[key for key in host.held if key not in gone],
            offered=[key for key in host.offered if key not in gone],
            seen_at=self._clock.now(),
        )
        await self._ledger.heard(left)


def _check(poll: HostPoll) -> None:
    if not _HOST_ID.fullmatch(poll.host_id):
        raise UnprocessableError(
            "host_id has up to 64 letters, digits, points, _ and -", code="invalid_name", field="host_id"
        )
    if not poll.services or len(poll.services) > MAX_SERVICES:
        raise UnprocessableError(f"service is given 1 to {MAX_SERVICES} times", code="too_many", field="service")
    if wrong := [name for name in poll.services if not re.fullmatch(NAME_PATTERN, name)]:
        raise UnprocessableError(f"{wrong[0][:60]!r} is no name of a service", code="invalid_name", field="service")
    if not 0 <= poll.wait_seconds <= MAX_WAIT_SECONDS:
        raise UnprocessableError(f"wait is from 0 to {MAX_WAIT_SECONDS:g}", code="invalid_wait", field="wait")


def _hash(assignment: Assignment) -> str:
    """A mark of all that it says; of what is sealed, as it is stored."""
    return hashlib.sha256(msgspec.json.encode(assignment, order="deterministic")).hexdigest()[:16]
