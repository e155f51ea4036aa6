"""Transactions in SQL: reads happen at once, writes when the block ends."""

from types import TracebackType
from typing import Any, TypeVar

from workbench.adapters.sql.assistants import SqlAssistants, SqlRecipients
from workbench.adapters.sql.audit import SqlAuditLog
from workbench.adapters.sql.budgets import SqlBudgets
from workbench.adapters.sql.choices import SqlWorkspaceChoices
from workbench.adapters.sql.contents import SqlContents
from workbench.adapters.sql.conversations import SqlConversations
from workbench.adapters.sql.copies import SqlCopies
from workbench.adapters.sql.database import Database
from workbench.adapters.sql.deliveries import SqlDeliveries
from workbench.adapters.sql.duties import KEEP_SYSTEM_BLUEPRINTS
from workbench.adapters.sql.erasures import SqlErasures, SqlEstate
from workbench.adapters.sql.events import SqlEventLog
from workbench.adapters.sql.exports import SqlExports
from workbench.adapters.sql.file_versions import SqlFileVersions
from workbench.adapters.sql.files import SqlFiles
from workbench.adapters.sql.flows import SqlBlueprints, SqlFlows, SqlParameterTypes
from workbench.adapters.sql.group_commit import Commits
from workbench.adapters.sql.idempotency import SqlIdempotencyKeys
from workbench.adapters.sql.imports import SqlImports
from workbench.adapters.sql.jobs import SqlJobs
from workbench.adapters.sql.messages import SqlMessages
from workbench.adapters.sql.model_assistants import SqlModelConfigs
from workbench.adapters.sql.occupants import SqlOccupants
from workbench.adapters.sql.outputs import SqlOutputs
from workbench.adapters.sql.overheard import SqlOverheard
from workbench.adapters.sql.participants import SqlParticipants
from workbench.adapters.sql.playbooks import SqlPlaybooks
from workbench.adapters.sql.pushes import SqlPushes
from workbench.adapters.sql.registrations import SqlRegistrations
from workbench.adapters.sql.repository import Context, Repository
from workbench.adapters.sql.retention import SqlRetentionRules
from workbench.adapters.sql.searches import SqlSearches
from workbench.adapters.sql.session_steps import SqlEscalations, SqlSessionSteps
from workbench.adapters.sql.sessions import SqlLanes, SqlSessions
from workbench.adapters.sql.shares import SqlShares
from workbench.adapters.sql.tickets import SqlConnections, SqlSessionTickets
from workbench.adapters.sql.traced import SqlTraces
from workbench.adapters.sql.turns import SqlTurns
from workbench.adapters.sql.usage import SqlUsageLedger
from workbench.adapters.sql.users import SqlUsers
from workbench.adapters.sql.vectors import SqlSpaces, SqlVectors
from workbench.adapters.sql.walls import Duty
from workbench.adapters.sql.writes import Writes
from workbench.domain.clock import Clock
from workbench.domain.flows.model import SYSTEM

R = TypeVar("R", bound=Repository)


class SqlTransaction:
    """Every repository there is, all bound to one workspace and one set of writes, each made when first asked for."""

    def __init__(self, context: Context) -> None:
        self.writes = context.writes
        self._context = context
        self._made: dict[type[Repository], Any] = {}

    def _the(self, kind: type[R]) -> R:
        made: R | None = self._made.get(kind)
        if made is None:
            made = self._made[kind] = kind(self._context)
        return made

    @property
    def users(self) -> SqlUsers:
        """People."""
        return self._the(SqlUsers)

    @property
    def registrations(self) -> SqlRegistrations:
        """Assistant services."""
        return self._the(SqlRegistrations)

    @property
    def assistants(self) -> SqlAssistants:
        """Assistants."""
        return self._the(SqlAssistants)

    @property
    def recipients(self) -> SqlRecipients:
        """Assistants, as delivery sees them."""
        return self._the(SqlRecipients)

    @property
    def conversations(self) -> SqlConversations:
        """Conversations."""
        return self._the(SqlConversations)

    @property
    def occupants(self) -> SqlOccupants:
        """What stands on conversations."""
        return self._the(SqlOccupants)

    @property
    def untitled(self) -> SqlConversations:
        """Conversations that may be titled."""
        return self._the(SqlConversations)

    @property
    def participants(self) -> SqlParticipants:
        """Seats."""
        return self._the(SqlParticipants)

    @property
    def nameplates(self) -> SqlParticipants:
        """The names on seats."""
        return self._the(SqlParticipants)

    @property
    def sight(self) -> SqlParticipants:
        """What seats let see."""
        return self._the(SqlParticipants)

    @property
    def messages(self) -> SqlMessages:
        """Messages."""
        return self._the(SqlMessages)

    @property
    def overheard(self) -> SqlOverheard:
        """What people say in sessions."""
        return self._the(SqlOverheard)

    @property
    def turns(self) -> SqlTurns:
        """Turns."""
        return self._the(SqlTurns)

    @property
    def model_configs(self) -> SqlModelConfigs:
        """Configurations of model assistants."""
        return self._the(SqlModelConfigs)

    @property
    def playbooks(self) -> SqlPlaybooks:
        """Playbooks."""
        return self._the(SqlPlaybooks)

    @property
    def sessions(self) -> SqlSessions:
        """Troubleshooting sessions."""
        return self._the(SqlSessions)

    @property
    def session_steps(self) -> SqlSessionSteps:
        """Their steps."""
        return self._the(SqlSessionSteps)

    @property
    def escalations(self) -> SqlEscalations:
        """Who was asked to take them over."""
        return self._the(SqlEscalations)

    @property
    def lanes(self) -> SqlLanes:
        """The task lanes beside them."""
        return self._the(SqlLanes)

    @property
    def ticket_systems(self) -> SqlConnections:
        """Ticket systems that are connected."""
        return self._the(SqlConnections)

    @property
    def tickets(self) -> SqlSessionTickets:
        """The tickets of sessions."""
        return self._the(SqlSessionTickets)

    @property
    def pushes(self) -> SqlPushes:
        """What is brought to tickets."""
        return self._the(SqlPushes)

    @property
    def outputs(self) -> SqlOutputs:
        """What resolved sessions leave."""
        return self._the(SqlOutputs)

    @property
    def searches(self) -> SqlSearches:
        """Their words."""
        return self._the(SqlSearches)

    @property
    def choices(self) -> SqlWorkspaceChoices:
        """What workspaces decided for themselves."""
        return self._the(SqlWorkspaceChoices)

    @property
    def spaces(self) -> SqlSpaces:
        """What their vectors are in."""
        return self._the(SqlSpaces)

    @property
    def vectors(self) -> SqlVectors:
        """Their vectors."""
        return self._the(SqlVectors)

    @property
    def turn_slots(self) -> SqlTurns:
        """Which messages belong to turns."""
        return self._the(SqlTurns)

    @property
    def shares(self) -> SqlShares:
        """Invitations."""
        return self._the(SqlShares)

    @property
    def copies(self) -> SqlCopies:
        """Copies of conversations."""
        return self._the(SqlCopies)

    @property
    def imports(self) -> SqlImports:
        """What is brought along."""
        return self._the(SqlImports)

    @property
    def exports(self) -> SqlExports:
        """What is taken along."""
        return self._the(SqlExports)

    @property
    def files(self) -> SqlFiles:
        """Files."""
        return self._the(SqlFiles)

    @property
    def flows(self) -> SqlFlows:
        """Flows."""
        return self._the(SqlFlows)

    @property
    def blueprints(self) -> SqlBlueprints:
        """What flows are made of."""
        return self._the(SqlBlueprints)

    @property
    def parameter_types(self) -> SqlParameterTypes:
        """What values their parameters may have."""
        return self._the(SqlParameterTypes)

    @property
    def contents(self) -> SqlContents:
        """The bytes of files."""
        return self._the(SqlContents)

    @property
    def events(self) -> SqlEventLog:
        """The log."""
        return self._the(SqlEventLog)

    @property
    def idempotency_keys(self) -> SqlIdempotencyKeys:
        """Requests that can be repeated."""
        return self._the(SqlIdempotencyKeys)

    @property
    def jobs(self) -> SqlJobs:
        """Work to be done later."""
        return self._the(SqlJobs)

    @property
    def deliveries(self) -> SqlDeliveries:
        """Who is told of what."""
        return self._the(SqlDeliveries)

    @property
    def usage(self) -> SqlUsageLedger:
        """Model calls and bills."""
        return self._the(SqlUsageLedger)

    @property
    def budgets(self) -> SqlBudgets:
        """Limits, and what is reserved."""
        return self._the(SqlBudgets)

    @property
    def audit(self) -> SqlAuditLog:
        """Administrative acts."""
        return self._the(SqlAuditLog)

    @property
    def retention(self) -> SqlRetentionRules:
        """How long things are kept."""
        return self._the(SqlRetentionRules)

    @property
    def file_versions(self) -> SqlFileVersions:
        """Single versions of files."""
        return self._the(SqlFileVersions)

    @property
    def erasures(self) -> SqlErasures:
        """People who are being forgotten."""
        return self._the(SqlErasures)

    @property
    def estate(self) -> SqlEstate:
        """What a person has."""
        return self._the(SqlEstate)

    @property
    def traces(self) -> SqlTraces:
        """Where a person is named."""
        return self._the(SqlTraces)


class Block:
    """One block: opens a transaction's repositories, and commits what was set down when it is left in peace."""

    __slots__ = ("_group", "_transaction")

    def __init__(self, transaction: SqlTransaction, group: Commits | None) -> None:
        self._transaction = transaction
        self._group = group

    async def __aenter__(self) -> SqlTransaction:
        return self._transaction

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None and self._group is not None and self._transaction.writes:
            await self._group.commit(self._transaction.writes)


class SqlTransactions:
    """Opens blocks."""

    def __init__(self, database: Database, group: Commits, clock: Clock) -> None:
        self._database = database
        self._group = group
        self._clock = clock

    def read(self, workspace_id: str) -> Block:
        """Open a block that only reads; what it sets down is never stored."""
        return Block(SqlTransaction(self._context(workspace_id)), None)

    def write(self, workspace_id: str) -> Block:
        """Open a block that commits."""
        return Block(SqlTransaction(self._context(workspace_id)), self._group)

    def _context(self, workspace_id: str) -> Context:
        writes = Writes(workspace_id, self._duty(workspace_id))
        return Context(self._database, self._clock, self._group.remembered, writes)

    def _duty(self, workspace_id: str) -> Duty | None:
        """What all workspaces are given is nobody's own."""
        return KEEP_SYSTEM_BLUEPRINTS if workspace_id == SYSTEM else None
