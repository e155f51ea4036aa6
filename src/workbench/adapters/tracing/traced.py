"""Adapters and duties with spans around what they do."""

from contextlib import AbstractContextManager
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from workbench.adapters.assistants.client import HttpAssistantClient
from workbench.adapters.sql.group_commit import Commits
from workbench.adapters.sql.remembered import Remembered
from workbench.adapters.sql.writes import Writes
from workbench.adapters.tracing.spans import Spans
from workbench.domain.assistant_services.model import AssistantAddress, ServiceAddress
from workbench.domain.bus.ports import BusTracer
from workbench.domain.jobs.model import Job
from workbench.domain.jobs.ports import JobHandler


class TracedCommits(Commits):
    """A span for the time that a block waits until what it set down is stored."""

    def __init__(self, commits: Commits, spans: Spans, dialect_name: str) -> None:
        self._commits = commits
        self._spans = spans
        self._attributes = {"db.system.name": dialect_name, "db.operation.name": "COMMIT"}

    @property
    def remembered(self) -> Remembered:
        """What was just stored."""
        return self._commits.remembered

    async def commit(self, writes: Writes) -> None:
        """Store the writes."""
        with self._spans.inner("COMMIT", {**self._attributes, "workbench.events": len(writes.events)}):
            await self._commits.commit(writes)


class TracedAssistantClient(HttpAssistantClient):
    """A span for each call to an assistant service, and one for each delivery of an event."""

    spans: Spans
    """Set once, right after it is made."""

    async def post_event(self, address: AssistantAddress, conversation_id: UUID, envelope: bytes) -> None:
        """Bring an event, in the trace of the request that caused it."""
        attributes = {
            "messaging.operation.type": "process",
            "workbench.assistant_id": str(address.assistant_id),
            "workbench.conversation_id": str(conversation_id),
        }
        with self.spans.consumer("deliver event", attributes):
            await super().post_event(address, conversation_id, envelope)

    async def _call(
        self,
        method: str,
        service: ServiceAddress,
        *path: object,
        limit: int,
        headers: dict[str, str] | None = None,
        **request: Any,
    ) -> bytes:
        """Call, and let the service go on with the trace."""
        called = urlsplit(service.join())
        attributes: dict[str, str | int] = {
            "server.address": called.hostname or "",
            "workbench.assistant_service_id": service.assistant_service_id,
        }
        if called.port is not None:
            attributes["server.port"] = called.port
        with self.spans.client(method, attributes) as carried:
            return await super()._call(
                method, service, *path, limit=limit, headers={**(headers or {}), **carried}, **request
            )


class TracedBus(BusTracer):
    """Spans of requests to interfaces of flows, and of what services do for them."""

    def __init__(self, spans: Spans) -> None:
        self._spans = spans

    def call(self, interface: str) -> AbstractContextManager[str | None]:
        """Around the request."""
        return self._spans.caller(f"ask {interface}", {"workbench.flow.interface": interface})

    def run(self, service: str, input_name: str) -> AbstractContextManager[None]:
        """Around the handler, in the trace of the request."""
        named = {"workbench.flow.service": service, "workbench.flow.input": input_name}
        return self._spans.consumer(f"serve {service}", named)


class TracedJob(JobHandler):
    """A span for each try of a job, in the trace of the request that set it down."""

    def __init__(self, handler: JobHandler, spans: Spans) -> None:
        self._handler = handler
        self._spans = spans

    async def carry_out(self, job: Job) -> None:
        """Do the job."""
        with self._spans.consumer(f"job {job.kind}", {"workbench.attempt": job.attempts}):
            await self._handler.carry_out(job)
