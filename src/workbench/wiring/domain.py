"""The domain's services, each from the ports that its constructor names."""

from collections.abc import AsyncIterator
from datetime import timedelta

from dishka import Provider, Scope, provide  # pyright: ignore[reportUnknownVariableType]

from workbench.domain.archive.copying import CopyService
from workbench.domain.archive.duplicating import DuplicateService
from workbench.domain.archive.exporting import ExportService
from workbench.domain.archive.importing import ImportService
from workbench.domain.archive.making import ArchiveMaker
from workbench.domain.archive.operating import OperatorExportService, OperatorImportService
from workbench.domain.archive.rehearsing import RehearsalService
from workbench.domain.archive.storing import ArchivedFiles
from workbench.domain.assistant_services.infos import ServiceInfoService
from workbench.domain.assistant_services.ports import Residents
from workbench.domain.assistant_services.service import RegistrationPolicy, RegistrationService
from workbench.domain.assistants.founding import FoundingService
from workbench.domain.assistants.inspection import InspectionService
from workbench.domain.assistants.model import DefaultAssistant
from workbench.domain.assistants.oversight import OversightService
from workbench.domain.assistants.presence import PresenceService
from workbench.domain.assistants.removal import RemovalService
from workbench.domain.assistants.seating import SeatingService
from workbench.domain.assistants.service import AssistantPolicy, AssistantService
from workbench.domain.audit.service import AuditService
from workbench.domain.budgets.book import BudgetPolicy, LimitBook
from workbench.domain.budgets.model import Limit
from workbench.domain.budgets.service import BudgetService
from workbench.domain.budgets.windows import zone_named
from workbench.domain.contents.service import DisposalService, SweepService
from workbench.domain.contents.verification import VerificationService
from workbench.domain.conversations.service import ConversationService
from workbench.domain.delivery.model import DeliveryPolicy
from workbench.domain.delivery.service import DeliveryService
from workbench.domain.events.hub import EventHub
from workbench.domain.events.ports import EventTx
from workbench.domain.events.service import EventService, ReaderPolicy
from workbench.domain.files.model import FileLimits
from workbench.domain.files.service import FileService
from workbench.domain.files.uploading import UploadService
from workbench.domain.flow_assistants.hosting import FlowAssistantHost
from workbench.domain.flow_assistants.offering import FlowTemplates, ResidentOffers
from workbench.domain.flow_assistants.speaking import FlowSpeaker
from workbench.domain.idempotency.service import IdempotencyService, KeyExpiry
from workbench.domain.identity.model import FLOW_SERVICE_ID, MODEL_SERVICE_ID
from workbench.domain.identity.service import Authenticator
from workbench.domain.jobs.model import RetryPolicy
from workbench.domain.lifecycle.content import ContentErasure
from workbench.domain.lifecycle.erasure import ErasureService
from workbench.domain.lifecycle.expiry import ExpiryService
from workbench.domain.lifecycle.leaving import Leaving
from workbench.domain.lifecycle.model import RetentionPolicy, Terms
from workbench.domain.lifecycle.retention import RetentionService
from workbench.domain.lifecycle.stats import StatsService
from workbench.domain.messages.service import MessageService
from workbench.domain.model_assistants.briefing import BriefingService
from workbench.domain.model_assistants.hosting import ModelHost
from workbench.domain.model_assistants.speaking import ModelSpeaker
from workbench.domain.model_assistants.tools import ToolService
from workbench.domain.participants.service import ParticipantService
from workbench.domain.playbooks.confidence import Thresholds
from workbench.domain.playbooks.service import PlaybookService
from workbench.domain.playbooks.shelf import Shelves
from workbench.domain.rates.model import Pace, Rate
from workbench.domain.residents.answering import AnsweringService
from workbench.domain.residents.running import RunningService
from workbench.domain.shares.service import SharePolicy, ShareService
from workbench.domain.sizes import SizeLimits
from workbench.domain.speech.service import SpeechService
from workbench.domain.transactions import Transactions
from workbench.domain.troubleshooting.authoring import StepAuthor
from workbench.domain.troubleshooting.chatting import ChattingService
from workbench.domain.troubleshooting.continuing import ContinuingService
from workbench.domain.troubleshooting.duties import UpkeepPolicy
from workbench.domain.troubleshooting.escalating import EscalatingService
from workbench.domain.troubleshooting.first_steps import FirstStepService
from workbench.domain.troubleshooting.generating import GeneratingService
from workbench.domain.troubleshooting.generations import GenerationPolicy
from workbench.domain.troubleshooting.guides import Guides
from workbench.domain.troubleshooting.handling import HandlingService
from workbench.domain.troubleshooting.owning import OwningService
from workbench.domain.troubleshooting.prose import ProseService
from workbench.domain.troubleshooting.replying import Replying
from workbench.domain.troubleshooting.responding import RespondingService
from workbench.domain.troubleshooting.sourcing import SupplyService
from workbench.domain.troubleshooting.starting import StartingService
from workbench.domain.troubleshooting.taking_over import TakingOverService
from workbench.domain.troubleshooting.telling import TellingPolicy, TellingService
from workbench.domain.troubleshooting.upkeep import (
    DeletedSessions,
    IdleSessions,
    OverdueEscalations,
    SessionDispatcher,
)
from workbench.domain.turns.attending import AttendanceService
from workbench.domain.turns.controlling import ControlService
from workbench.domain.turns.hub import TurnHub
from workbench.domain.turns.opening import OpeningService
from workbench.domain.turns.posting import PostingService
from workbench.domain.turns.producing import ProducingService
from workbench.domain.turns.reading import ReadingService
from workbench.domain.turns.reaping import ReapingService, TurnPolicy
from workbench.domain.turns.shortening import ShorteningService
from workbench.domain.usage.bookkeeping import Bookkeeping
from workbench.domain.usage.service import UsageService
from workbench.domain.users.service import UserService
from workbench.wiring.session_settings import generation_policy, usual_limits, workspace_limits
from workbench.wiring.settings import Settings


class Domain(Provider):
    """One line a service."""

    scope = Scope.APP

    authenticator = provide(Authenticator)
    idempotency = provide(IdempotencyService)
    key_expiry = provide(KeyExpiry)
    users = provide(UserService)
    conversations = provide(ConversationService)
    participants = provide(ParticipantService)
    messages = provide(MessageService)
    shares = provide(ShareService)
    founding = provide(FoundingService)
    duplicates = provide(DuplicateService)
    copies = provide(CopyService)
    archive_maker = provide(ArchiveMaker)
    exports = provide(ExportService)
    operator_exports = provide(OperatorExportService)
    imports = provide(ImportService)
    rehearsals = provide(RehearsalService)
    operator_imports = provide(OperatorImportService)
    archived_files = provide(ArchivedFiles)
    files = provide(FileService)
    uploads = provide(UploadService)
    sweeping = provide(SweepService)
    disposal = provide(DisposalService)
    verification = provide(VerificationService)
    events = provide(EventService)
    registrations = provide(RegistrationService)
    infos = provide(ServiceInfoService)
    residents = provide(ResidentOffers, provides=Residents)
    presence = provide(PresenceService)
    assistants = provide(AssistantService)
    inspection = provide(InspectionService)
    removal = provide(RemovalService)
    oversight = provide(OversightService)
    seating = provide(SeatingService)
    delivery = provide(DeliveryService)
    speech = provide(SpeechService)
    audit = provide(AuditService)
    usage = provide(UsageService)
    bookkeeping = provide(Bookkeeping)
    limit_book = provide(LimitBook)
    budgets = provide(BudgetService)
    retention = provide(RetentionService)
    expiry = provide(ExpiryService)
    leaving = provide(Leaving)
    content_erasure = provide(ContentErasure)
    erasure = provide(ErasureService)
    stats = provide(StatsService)
    turn_hub = provide(TurnHub)
    opening = provide(OpeningService)
    posting = provide(PostingService)
    producing = provide(ProducingService)
    control = provide(ControlService)
    reading = provide(ReadingService)
    reaping = provide(ReapingService)
    attendance = provide(AttendanceService)
    shortening = provide(ShorteningService)
    answering = provide(AnsweringService)
    model_host = provide(ModelHost)
    flow_host = provide(FlowAssistantHost)
    flow_templates = provide(FlowTemplates)
    briefing = provide(BriefingService)
    tools = provide(ToolService)
    model_speaker = provide(ModelSpeaker)
    flow_speaker = provide(FlowSpeaker)
    shelves = provide(Shelves)
    playbooks = provide(PlaybookService)
    starting = provide(StartingService)
    responding = provide(RespondingService)
    handling = provide(HandlingService)
    escalating = provide(EscalatingService)
    taking_over = provide(TakingOverService)
    generating = provide(GeneratingService)
    step_author = provide(StepAuthor)
    guides = provide(Guides)
    first_steps = provide(FirstStepService)
    continuing = provide(ContinuingService)
    replying = provide(Replying)
    supplies = provide(SupplyService)
    chatting = provide(ChattingService)
    prose = provide(ProseService)
    telling = provide(TellingService)
    owning = provide(OwningService)
    dispatcher = provide(SessionDispatcher)
    idle_sessions = provide(IdleSessions)
    overdue_escalations = provide(OverdueEscalations)
    deleted_sessions = provide(DeletedSessions)

    @provide
    async def hub(self, transactions: Transactions[EventTx]) -> AsyncIterator[EventHub]:
        """Hand events out for as long as there is a database to read them from."""
        hub = EventHub(transactions)
        yield hub
        await hub.close()

    @provide
    def running(
        self,
        models: ModelSpeaker,
        flows: FlowSpeaker,
        producing: ProducingService,
        participants: ParticipantService,
    ) -> RunningService:
        """Have each service's assistants spoken for by whom it is for."""
        return RunningService({MODEL_SERVICE_ID: models, FLOW_SERVICE_ID: flows}, producing, participants)


class Policies(Provider):
    """What settings say to the domain, in its own words."""

    scope = Scope.APP

    @provide
    def size_limits(self, settings: Settings) -> SizeLimits:
        """How large a message may be."""
        return SizeLimits(message_bytes=settings.limits.message_bytes, metadata_bytes=settings.limits.metadata_bytes)

    @provide
    def file_limits(self, settings: Settings) -> FileLimits:
        """How large files may be."""
        limits = settings.limits
        return FileLimits(
            file_bytes=limits.file_bytes,
            conversation_bytes=limits.conversation_file_bytes,
            workspace_bytes=limits.workspace_file_bytes,
        )

    @provide
    def pace(self, settings: Settings) -> Pace:
        """How often routes may be used."""
        return Pace(factor=settings.limits.pace)

    @provide
    def sharing(self, settings: Settings) -> SharePolicy:
        """How often a user may try to redeem."""
        return SharePolicy(redemptions=Rate(act="redeem", times=settings.limits.redemptions_per_minute, seconds=60))

    @provide
    def turns(self, settings: Settings) -> TurnPolicy:
        """How long turns can be watched again."""
        return TurnPolicy(events_kept=timedelta(seconds=settings.turns.events_kept_seconds))

    @provide
    def thresholds(self, settings: Settings) -> Thresholds:
        """How well a playbook must fit."""
        chosen = settings.sessions
        return Thresholds(guided=chosen.guided_from, exploring=chosen.exploring_from, lead=chosen.lead)

    @provide
    def generations(self, settings: Settings) -> GenerationPolicy:
        """Which models serve sessions, and on which plans."""
        return generation_policy(settings.sessions)

    @provide
    def telling_policy(self, settings: Settings) -> TellingPolicy:
        """Whose the documentation of a session is."""
        return TellingPolicy(documentation_for_handler=settings.sessions.documentation_access == "owner_and_handler")

    @provide
    def session_upkeep(self, settings: Settings) -> UpkeepPolicy:
        """How long sessions may be idle, can be reopened, and stay when they are deleted."""
        chosen = settings.sessions
        return UpkeepPolicy(
            idle=timedelta(days=chosen.idle_days),
            reopen=timedelta(days=chosen.reopen_days),
            purge=timedelta(days=chosen.purge_days),
        )

    @provide
    def budgets(self, settings: Settings) -> BudgetPolicy:
        """What may be spent where nobody says otherwise."""
        budgets, sessions = settings.budgets, settings.sessions
        limits = tuple(Limit(**limit.model_dump()) for limit in budgets.limits)
        return BudgetPolicy(
            defaults=usual_limits(sessions, limits),
            workspace_defaults=workspace_limits(sessions, limits),
            zone=zone_named(budgets.time_zone),
            zones={workspace: zone_named(zone) for workspace, zone in budgets.workspace_time_zones.items()},
        )

    @provide
    def readers(self, settings: Settings) -> ReaderPolicy:
        """How far a reader may be behind."""
        return ReaderPolicy(buffer=settings.events.reader_buffer)

    @provide
    def registration(self, settings: Settings) -> RegistrationPolicy:
        """Whether services need keys."""
        return RegistrationPolicy(
            secured=settings.service.assistant_keys == "secured",
            key_overlap_seconds=settings.service.assistant_key_overlap_hours * 3600,
        )

    @provide
    def assistants(self, settings: Settings) -> AssistantPolicy:
        """Which assistants every user is to have."""
        defaults = [
            DefaultAssistant(
                assistant_service_id=default.assistant_service_id, template_id=default.template_id, name=default.name
            )
            for default in settings.service.default_assistants
        ]
        return AssistantPolicy(defaults=tuple(defaults))

    @provide
    def retries(self) -> RetryPolicy:
        """How often to try jobs that fail."""
        return RetryPolicy()

    @provide
    def deliveries(self, settings: Settings) -> DeliveryPolicy:
        """How often and how long to try."""
        return DeliveryPolicy(
            first_retry_seconds=settings.delivery.first_retry_seconds,
            max_retry_seconds=settings.delivery.max_retry_seconds,
            give_up_after_hours=settings.delivery.give_up_after_hours,
            timeout_seconds=settings.delivery.timeout_seconds,
        )

    @provide
    def retention_policy(self, settings: Settings) -> RetentionPolicy:
        """How long things are kept where nobody says otherwise."""
        kept = settings.retention
        return RetentionPolicy(
            defaults=Terms(
                messages_days=kept.messages_days, files_days=kept.files_days, events_days=settings.events.retention_days
            ),
            audit_days=kept.audit_days,
            least_days=settings.delivery.give_up_after_hours / 24,
        )
