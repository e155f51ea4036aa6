"""The SQL adapters, and the slices of a transaction that each capability sees of them.

A slice's method returns the SQL transactions as they are: the type checker proves there that they offer
everything that the capability asks for.
"""

from collections.abc import AsyncIterator, Sequence

from dishka import Provider, Scope, provide  # pyright: ignore[reportUnknownVariableType]

from workbench.adapters.sql.assistants import SqlDirectory, SqlPresenceWatch
from workbench.adapters.sql.contents import SqlContentLedger
from workbench.adapters.sql.database import Database, open_database
from workbench.adapters.sql.deliveries import SqlDeliveryQueue
from workbench.adapters.sql.erasures import SqlUnfinishedErasures
from workbench.adapters.sql.events import SqlEventKeeping
from workbench.adapters.sql.figures import SqlFigures
from workbench.adapters.sql.group_commit import GroupCommit
from workbench.adapters.sql.idempotency import SqlExpiredKeys
from workbench.adapters.sql.jobs import SqlJobQueue
from workbench.adapters.sql.leases import SqlLeases
from workbench.adapters.sql.pushes import SqlPushQueue
from workbench.adapters.sql.rates import SqlRateKeeping
from workbench.adapters.sql.remembered import Remembered
from workbench.adapters.sql.retention import SqlAgedMessages
from workbench.adapters.sql.session_watch import SqlSessionWatch
from workbench.adapters.sql.snapshots import SqlSnapshots
from workbench.adapters.sql.tickets import SqlSealedSecrets
from workbench.adapters.sql.transactions import SqlTransactions
from workbench.adapters.sql.turn_watch import SqlTurnWatch
from workbench.adapters.sql.vector_memory import VectorMemory
from workbench.adapters.sql.wakeups import SqlWakeups
from workbench.domain.archive.ports import CopyTx, ExportTx, ImportTx, Snapshots
from workbench.domain.assistant_services.ports import RegistrationTx
from workbench.domain.assistants.ports import AssistantTx, PresenceWatch
from workbench.domain.audit.ports import AuditTx
from workbench.domain.budgets.ports import LimitTx
from workbench.domain.bus.ports import MessageBus
from workbench.domain.clock import Clock
from workbench.domain.contents.ports import ContentLedger, ContentStore, ContentTx
from workbench.domain.conversations.ports import ConversationTx
from workbench.domain.delivery.ports import DeliveryQueue, DeliveryTx
from workbench.domain.events.model import Event
from workbench.domain.events.ports import EventKeeping, EventTx
from workbench.domain.files.ports import FileTx
from workbench.domain.flow_assistants.ports import FlowAssistantTx
from workbench.domain.idempotency.ports import ExpiredKeys, IdempotencyTx
from workbench.domain.identity.ports import AssistantDirectory
from workbench.domain.jobs.ports import JobQueue, Leases
from workbench.domain.lifecycle.ports import (
    AgedMessages,
    ErasureTx,
    ExpiryTx,
    Figures,
    RetentionTx,
    UnfinishedErasures,
)
from workbench.domain.messages.ports import MessageTx
from workbench.domain.model_assistants.ports import ModelAssistantTx
from workbench.domain.participants.ports import ParticipantTx
from workbench.domain.playbooks.ports import PlaybookTx
from workbench.domain.rates.ports import RateKeeping
from workbench.domain.shares.ports import ShareTx
from workbench.domain.tickets.ports import PushQueue, SealedSecrets, TicketSystemTx
from workbench.domain.titles.ports import TitleTx
from workbench.domain.transactions import Transactions
from workbench.domain.troubleshooting.ports import ChatTx, GenerationTx, SessionTx
from workbench.domain.troubleshooting.watching import SessionWatch
from workbench.domain.turns.ports import TurnTx, TurnWatch
from workbench.domain.usage.ports import UsageReadTx
from workbench.domain.users.ports import UserTx
from workbench.wiring.announcements import Announcements
from workbench.wiring.connecting import on_connection
from workbench.wiring.readiness import Readiness
from workbench.wiring.roles import require_plain_role
from workbench.wiring.settings import Settings
from workbench.wiring.wakeups import Wakeups


class Sql(Provider):
    """Everything stored."""

    scope = Scope.APP

    @provide
    async def database(self, settings: Settings) -> AsyncIterator[Database]:
        """Open the database, and close it at the end. Raises ForbiddenError where it would not keep workspaces apart."""
        if settings.database_file is None:
            await on_connection(settings, require_plain_role)
        else:
            settings.database_file.parent.mkdir(parents=True, exist_ok=True)
        database = open_database(
            settings.sqlalchemy_url,
            synchronous=settings.db.sqlite_synchronous,
            pool_size=settings.db.postgresql_pool_size,
            ssl_mode=settings.db.postgresql_ssl_mode,
            direct_url=settings.direct_url,
        )
        yield database
        await database.close()

    @provide
    async def group(
        self, database: Database, announcements: Announcements, remembered: Remembered
    ) -> AsyncIterator[GroupCommit]:
        """Share commits, and let what is stored be known."""

        def announce(events: Sequence[Event]) -> None:
            announcements.tell(events)

        group = GroupCommit(database, announce, announcements.tell_of_turn, remembered)
        yield group
        await group.close()

    @provide
    def transactions(self, database: Database, group: GroupCommit, clock: Clock) -> SqlTransactions:
        """Open blocks."""
        return SqlTransactions(database, group, clock)

    @provide
    def remembered(self, settings: Settings) -> Remembered:
        """Keep in mind what is asked for all the time."""
        chosen = settings.embeddings
        return Remembered(vectors=VectorMemory(chosen.memory_mib << 20, chosen.index))

    @provide
    def directory(self, database: Database, remembered: Remembered) -> AssistantDirectory:
        """Find the workspace of a service."""
        return SqlDirectory(database, remembered)

    @provide
    def presence(self, database: Database, clock: Clock) -> PresenceWatch:
        """Notice services that have gone silent."""
        return SqlPresenceWatch(database, clock)

    @provide
    def leases(self, database: Database) -> Leases:
        """Keep each duty to one worker."""
        return SqlLeases(database)

    @provide
    def jobs(self, database: Database) -> JobQueue:
        """Hand jobs to workers."""
        return SqlJobQueue(database)

    @provide
    def queue(self, database: Database) -> DeliveryQueue:
        """Find what waits to be delivered."""
        return SqlDeliveryQueue(database)

    @provide
    def wakeups(self, database: Database, remembered: Remembered) -> Wakeups:
        """Hear of other processes' commits."""
        wakeups = SqlWakeups(database)
        wakeups.listen_to_turns(remembered.turns.forget)
        return wakeups

    @provide
    def readiness(self, database: Database, store: ContentStore, bus: MessageBus, remembered: Remembered) -> Readiness:
        """Know whether what requests need answers."""
        return Readiness(database, store, bus, remembered.vectors)

    @provide
    def keeping(self, database: Database) -> EventKeeping:
        """Forget old events."""
        return SqlEventKeeping(database)

    @provide
    def user_tx(self, sql: SqlTransactions) -> Transactions[UserTx]:
        """See users only."""
        return sql

    @provide
    def participant_tx(self, sql: SqlTransactions) -> Transactions[ParticipantTx]:
        """See what participants need."""
        return sql

    @provide
    def message_tx(self, sql: SqlTransactions) -> Transactions[MessageTx]:
        """See what messages need."""
        return sql

    @provide
    def conversation_tx(self, sql: SqlTransactions) -> Transactions[ConversationTx]:
        """See what conversations need."""
        return sql

    @provide
    def content_tx(self, sql: SqlTransactions) -> Transactions[ContentTx]:
        """See contents only."""
        return sql

    @provide
    def ledger(self, database: Database) -> ContentLedger:
        """Go over the contents of all workspaces."""
        return SqlContentLedger(database)

    @provide
    def file_tx(self, sql: SqlTransactions) -> Transactions[FileTx]:
        """See what files need."""
        return sql

    @provide
    def share_tx(self, sql: SqlTransactions) -> Transactions[ShareTx]:
        """See what shares need."""
        return sql

    @provide
    def copy_tx(self, sql: SqlTransactions) -> Transactions[CopyTx]:
        """See what copies need."""
        return sql

    @provide
    def export_tx(self, sql: SqlTransactions) -> Transactions[ExportTx]:
        """See what exports need."""
        return sql

    @provide
    def import_tx(self, sql: SqlTransactions) -> Transactions[ImportTx]:
        """See what imports need."""
        return sql

    @provide
    def snapshots(self, database: Database) -> Snapshots:
        """Read from one moment."""
        return SqlSnapshots(database)

    @provide
    def event_tx(self, sql: SqlTransactions) -> Transactions[EventTx]:
        """See the log."""
        return sql

    @provide
    def registration_tx(self, sql: SqlTransactions) -> Transactions[RegistrationTx]:
        """See registrations."""
        return sql

    @provide
    def assistant_tx(self, sql: SqlTransactions) -> Transactions[AssistantTx]:
        """See what assistants need."""
        return sql

    @provide
    def delivery_tx(self, sql: SqlTransactions) -> Transactions[DeliveryTx]:
        """See what delivery needs."""
        return sql

    @provide
    def audit_tx(self, sql: SqlTransactions) -> Transactions[AuditTx]:
        """See the record of administrative acts."""
        return sql

    @provide
    def title_tx(self, sql: SqlTransactions) -> Transactions[TitleTx]:
        """See what titles need."""
        return sql

    @provide
    def turn_tx(self, sql: SqlTransactions) -> Transactions[TurnTx]:
        """See what turns need."""
        return sql

    @provide
    def model_assistant_tx(self, sql: SqlTransactions) -> Transactions[ModelAssistantTx]:
        """See what model assistants need."""
        return sql

    @provide
    def flow_assistant_tx(self, sql: SqlTransactions) -> Transactions[FlowAssistantTx]:
        """See what assistants of flows need."""
        return sql

    @provide
    def playbook_tx(self, sql: SqlTransactions) -> Transactions[PlaybookTx]:
        """See playbooks."""
        return sql

    @provide
    def session_tx(self, sql: SqlTransactions) -> Transactions[SessionTx]:
        """See what troubleshooting sessions need."""
        return sql

    @provide
    def chat_tx(self, sql: SqlTransactions) -> Transactions[ChatTx]:
        """See what chats of sessions need."""
        return sql

    @provide
    def generation_tx(self, sql: SqlTransactions) -> Transactions[GenerationTx]:
        """See what using models for sessions takes."""
        return sql

    @provide
    def session_watch(self, database: Database) -> SessionWatch:
        """Find sessions that something is due for."""
        return SqlSessionWatch(database)

    @provide
    def ticket_system_tx(self, sql: SqlTransactions) -> Transactions[TicketSystemTx]:
        """See what connections need."""
        return sql

    @provide
    def pushes(self, database: Database) -> PushQueue:
        """Hand notes to tickets to workers."""
        return SqlPushQueue(database)

    @provide
    def sealed_secrets(self, database: Database) -> SealedSecrets:
        """Seal secrets anew."""
        return SqlSealedSecrets(database)

    @provide
    def turn_watch(self, database: Database, clock: Clock) -> TurnWatch:
        """Find turns that nobody looks after."""
        return SqlTurnWatch(database, clock)

    @provide
    def limit_tx(self, sql: SqlTransactions) -> Transactions[LimitTx]:
        """See what budgets need."""
        return sql

    @provide
    def usage_tx(self, sql: SqlTransactions) -> Transactions[UsageReadTx]:
        """See what usage needs."""
        return sql

    @provide
    def retention_tx(self, sql: SqlTransactions) -> Transactions[RetentionTx]:
        """See rules of retention."""
        return sql

    @provide
    def expiry_tx(self, sql: SqlTransactions) -> Transactions[ExpiryTx]:
        """See what age makes due."""
        return sql

    @provide
    def erasure_tx(self, sql: SqlTransactions) -> Transactions[ErasureTx]:
        """See everything that may name a person."""
        return sql

    @provide
    def aged(self, database: Database) -> AgedMessages:
        """Remove what is too old."""
        return SqlAgedMessages(database)

    @provide
    def unfinished(self, database: Database) -> UnfinishedErasures:
        """Find erasures that nobody goes on with."""
        return SqlUnfinishedErasures(database)

    @provide
    def idempotency_tx(self, sql: SqlTransactions) -> Transactions[IdempotencyTx]:
        """See the keys of requests."""
        return sql

    @provide
    def rate_keeping(self, database: Database) -> RateKeeping:
        """Forget what was counted."""
        return SqlRateKeeping(database)

    @provide
    def expired_keys(self, database: Database) -> ExpiredKeys:
        """Forget old keys."""
        return SqlExpiredKeys(database)

    @provide
    def figures(self, database: Database) -> Figures:
        """Count everything."""
        return SqlFigures(database)
