"""The application: everything that answers HTTP, from settings."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from dishka import AsyncContainer, Provider, Scope, provide  # pyright: ignore[reportUnknownVariableType]
from litestar import Litestar, MediaType, Request, Response
from litestar.params import FromPath

from workbench.domain.contents.ports import ContentStore
from workbench.domain.errors import NotFoundError
from workbench.domain.events.hub import EventHub
from workbench.domain.flows.calling import FlowGateway
from workbench.domain.identity.service import Authenticator
from workbench.domain.rates.ports import RateMeter
from workbench.domain.speech.service import SpeechService
from workbench.domain.turns.hub import TurnHub
from workbench.entrypoints.http.archives import ArchiveController
from workbench.entrypoints.http.assistant_services import RegistrationController, ServiceInfoController
from workbench.entrypoints.http.assistants import AssistantController
from workbench.entrypoints.http.budgets import BudgetController
from workbench.entrypoints.http.choices import ChoiceController
from workbench.entrypoints.http.conversations import ConversationController
from workbench.entrypoints.http.deliveries import DeliveryController
from workbench.entrypoints.http.document import document_config
from workbench.entrypoints.http.drain import Drain
from workbench.entrypoints.http.errors import EXCEPTION_HANDLERS
from workbench.entrypoints.http.events import EventController
from workbench.entrypoints.http.files import FileController
from workbench.entrypoints.http.flow_blueprints import BlueprintController, ParameterTypeController
from workbench.entrypoints.http.flow_calls import FlowCallController
from workbench.entrypoints.http.flow_hosts import FlowHostController
from workbench.entrypoints.http.flows import FlowController
from workbench.entrypoints.http.gate import Gate
from workbench.entrypoints.http.health import HealthController
from workbench.entrypoints.http.messages import MessageController
from workbench.entrypoints.http.metering import Metering
from workbench.entrypoints.http.metrics import metrics
from workbench.entrypoints.http.participants import ParticipantController
from workbench.entrypoints.http.playbooks import PlaybookController
from workbench.entrypoints.http.refusals import count_refusal, limited_routes
from workbench.entrypoints.http.requests import WorkbenchRequest
from workbench.entrypoints.http.retention import RetentionController
from workbench.entrypoints.http.routing import get, route
from workbench.entrypoints.http.session_acts import EscalationController, SessionActController
from workbench.entrypoints.http.session_chats import ChatController
from workbench.entrypoints.http.session_finding import SessionFindingController
from workbench.entrypoints.http.session_tickets import SessionTicketController
from workbench.entrypoints.http.sessions import SessionController
from workbench.entrypoints.http.shares import ShareController
from workbench.entrypoints.http.speech import SpeechController
from workbench.entrypoints.http.streams import Heartbeats
from workbench.entrypoints.http.tickets import ConnectionController
from workbench.entrypoints.http.turns import ActiveTurnController, TurnController
from workbench.entrypoints.http.usage import UsageController
from workbench.entrypoints.http.users import UserController
from workbench.entrypoints.workers.attending import AttendanceWorker
from workbench.entrypoints.workers.delivery import DeliveryWorker
from workbench.entrypoints.workers.flows import FlowTools, FlowUpkeepWorker, FlowWorker
from workbench.entrypoints.workers.jobs import JobWorker
from workbench.entrypoints.workers.presence import OnlineCheck, PresenceWorker
from workbench.entrypoints.workers.pruning import PruningWorker
from workbench.entrypoints.workers.pushing import PushWorker
from workbench.entrypoints.workers.reaping import ReapingWorker
from workbench.entrypoints.workers.running import RunnerPolicy, RunningWorker
from workbench.entrypoints.workers.shortening import ShorteningWorker
from workbench.entrypoints.workers.supervisor import FlowDuties, Hubs, OtherDuties, Others, Supervisor, Workers
from workbench.entrypoints.workers.turn_duties import TurnDuties
from workbench.entrypoints.workers.upkeep import UpkeepWorker
from workbench.wiring import migrations
from workbench.wiring.container import make_container, traced
from workbench.wiring.measures import Measures
from workbench.wiring.settings import Settings, load_settings
from workbench.wiring.starting import patiently

CONTROLLERS = [
    HealthController,
    UserController,
    RegistrationController,
    ServiceInfoController,
    AssistantController,
    DeliveryController,
    ConversationController,
    RetentionController,
    ParticipantController,
    MessageController,
    FileController,
    ShareController,
    ArchiveController,
    EventController,
    TurnController,
    ActiveTurnController,
    PlaybookController,
    SessionController,
    SessionActController,
    ChatController,
    SessionFindingController,
    EscalationController,
    SessionTicketController,
    ConnectionController,
    SpeechController,
    UsageController,
    BlueprintController,
    ParameterTypeController,
    FlowController,
    FlowCallController,
    FlowHostController,
    BudgetController,
    ChoiceController,
]


class Http(Provider):
    """What only the server process needs."""

    scope = Scope.APP

    def __init__(self, drain: Drain) -> None:
        super().__init__()
        self.provide(lambda: drain, provides=Drain)

    delivery = provide(DeliveryWorker)
    jobs = provide(JobWorker)
    pruning = provide(PruningWorker)
    presence = provide(PresenceWorker)
    running = provide(RunningWorker)
    reaping = provide(ReapingWorker)
    attending = provide(AttendanceWorker)
    shortening = provide(ShorteningWorker)
    turn_duties = provide(TurnDuties)
    upkeep = provide(UpkeepWorker)
    pushing = provide(PushWorker)
    hubs = provide(Hubs)
    flow_tools = provide(FlowTools)
    flows = provide(FlowWorker)
    flow_upkeep = provide(FlowUpkeepWorker)
    flow_duties = provide(FlowDuties)
    all_others = provide(Others)
    workers = provide(Workers)
    supervisor = provide(Supervisor)

    @provide
    def others(
        self,
        pruning: PruningWorker,
        presence: PresenceWorker,
        turns: TurnDuties,
        upkeep: UpkeepWorker,
        measures: Measures,
        pushing: PushWorker,
    ) -> OtherDuties:
        """List what else goes on."""
        return OtherDuties((pruning, presence, *turns.all, upkeep, measures, pushing))

    @provide
    def beats(self, settings: Settings) -> Heartbeats:
        """Keep silent streams alive."""
        return Heartbeats(settings.events.keep_alive_seconds)

    @provide
    def runners(self, settings: Settings) -> RunnerPolicy:
        """Say how many answers are made at once."""
        return RunnerPolicy(at_once=settings.turns.model_answers_at_once)

    @provide
    def online_check(self, settings: Settings) -> OnlineCheck:
        """Say how often to look."""
        return OnlineCheck(seconds=settings.service.assistant_service_online_check_interval_seconds)


@get("/openapi.json", include_in_schema=False)
async def openapi_document(request: Request[Any, Any, Any]) -> Response[dict[str, Any]]:
    """Answer with the description of this interface."""
    return Response(request.app.openapi_schema.to_schema(), media_type=MediaType.JSON)


@route("/{path:path}", http_method=["DELETE", "GET", "PATCH", "POST", "PUT"], include_in_schema=False, status_code=200)
async def nothing_here(path: FromPath[str]) -> None:  # noqa: ARG001 - the route has it
    """Answer for every path that is not ours, behind the gate like all others."""
    raise NotFoundError


def _lifespan(container: AsyncContainer, settings: Settings, drain: Drain) -> Any:
    @asynccontextmanager
    async def lifespan(app: Litestar) -> AsyncGenerator[None]:
        if settings.db.migrate_at_start:
            await patiently(settings, lambda: asyncio.to_thread(migrations.upgrade, settings))
        # Made before the first request: keys that cannot be read, or a wrong identity, stop the start, not a caller.
        # Who takes a dead worker's place while the database is away waits for it, and does not take the others along.
        await patiently(settings, lambda: container.get(Authenticator))
        await container.get(SpeechService)
        await container.get(ContentStore)
        (await container.get(RateMeter)).expect_limits(limited_routes(app))
        supervisor = await container.get(Supervisor)
        hubs = await container.get(EventHub), await container.get(TurnHub)
        drain.attach(*hubs, await container.get(FlowGateway), await container.get(RunningWorker))
        try:
            async with supervisor.running():
                yield
        finally:
            await container.close()

    return lifespan


def create_app(settings: Settings | None = None, *providers: Provider) -> Litestar:
    """Make the application.

    Without settings they are read from the environment and `.env`. A provider may override any adapter:
    that is how test suites and embedding programs swap the clock or the assistants. Two applications with
    different settings can live in one process.
    """
    chosen = load_settings() if settings is None else settings
    drain = Drain()
    container = make_container(chosen, Http(drain), *providers)
    app = Litestar(
        [*CONTROLLERS, metrics, openapi_document, nothing_here],
        after_exception=[count_refusal],
        exception_handlers=EXCEPTION_HANDLERS,
        lifespan=[_lifespan(container, chosen, drain)],
        logging_config=None,
        middleware=[Metering],
        openapi_config=document_config(chosen.service.anonymous_paths),
        request_class=WorkbenchRequest,
        request_max_body_size=chosen.limits.body_bytes,
    )
    gate = Gate(app.asgi_handler, container, chosen.service.anonymous_paths, lambda: drain.is_on)
    app.asgi_handler = traced(gate, chosen, container)
    app.state.drain = drain
    return app
