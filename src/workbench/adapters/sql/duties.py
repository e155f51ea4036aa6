"""What may look across workspaces, and why: the only way to run a statement that keeps to none.

An entry is a duty of the service, not of a caller: nobody's request chooses what it looks at. A test compares the places
with the code, so that nothing is unscoped that is not named here, and nothing is named here that is gone.
"""

from workbench.adapters.sql.walls import Duty

CLAIM_JOBS = Duty(
    name="claim_jobs",
    places=("jobs:_DUE", "jobs:_OLDEST"),
    reason="Workers serve all workspaces: they look for whose job is due. Each job is then run within its workspace.",
)
KEEP_CONTENTS = Duty(
    name="keep_contents",
    places=("contents:SqlContentLedger.behind", "contents:_NAMED"),
    reason="The file store is one for all: what it holds is compared with what all workspaces name, by keys and times.",
)
COUNT_ROWS = Duty(
    name="count_rows",
    places=("figures:_COUNTS", "figures:_FILE_BYTES"),
    reason="Operators are told how many rows each workspace has; counts alone are read.",
)
KEEP_KEYS = Duty(
    name="keep_keys",
    places=("service_keys:_FIND", "service_keys:_PUT"),
    reason="A service's key is looked at to learn who calls, before any workspace is known; ids are unique over all.",
)
FIND_WORKSPACE = Duty(
    name="find_workspace",
    places=("assistants:_SERVICE_WORKSPACE", "assistants:_ASSISTANT_WORKSPACE"),
    reason="A service's call names no workspace: it is found from the service's or the assistant's id, and only it.",
)
NOTICE_SILENCE = Duty(
    name="notice_silence",
    places=("assistants:_GONE",),
    reason="One worker watches the heartbeats of all services. Each that is gone is told of within its workspace.",
)
WATCH_TURNS = Duty(
    name="watch_turns",
    places=(
        "turn_watch:SqlTurnWatch.watched",
        "turn_watch:SqlTurnWatch.abandoned",
        "turn_watch:SqlTurnWatch.due",
        "turn_watch:SqlTurnWatch.long",
        "turn_watch:SqlTurnWatch.forget_up_to",
        "turn_watch:SqlTurnWatch.unstarted",
        "turn_watch:SqlTurnWatch.unbilled",
        "turn_watch:SqlTurnWatch.gone_unbilled",
        "turn_watch:SqlTurnWatch.forget_gone",
        "turn_watch:SqlTurnWatch.forget_events",
        "turn_watch:_forget_whole",
    ),
    reason="One worker ends what is overdue and forgets old logs for all: it compares times and names turns, no more.",
)
FIND_DELIVERIES = Duty(
    name="find_deliveries",
    places=("deliveries:_WAITING", "deliveries:_BACKLOG", "deliveries:_ALL_LETTERS"),
    reason="Workers deliver for all workspaces: they look for what waits. Each delivery is made within its workspace.",
)
FIND_ERASURES = Duty(
    name="find_erasures",
    places=("erasures:_LEFT",),
    reason="Erasures that a process left are gone on with by another: only their workspaces and ids are read.",
)
KEEP_TERMS = Duty(
    name="keep_terms",
    places=("retention:_WORKSPACES", "retention:_oldest", "retention:_COUNT_AUDIT"),
    reason="Retention goes over all workspaces one by one, and removes what is old from the record of acts of all.",
)
LEAD_FLOWS = Duty(
    name="lead_flows",
    places=(
        "flow_ledger:_HOLDING",
        "flow_ledger:_COUNTS",
        "flow_ledger:SqlFlowLedger.forget",
        "flow_ledger:_require_topics",
        "flow_ledger:_let_go",
        "flow_ledger:_note",
    ),
    reason="Topics on the bus are one space for all workspaces: whether one is still needed is asked of all flows.",
)
CLAIM_PUSHES = Duty(
    name="claim_pushes",
    places=("pushes:SqlPushQueue.claim", "pushes:_OLDEST"),
    reason="Workers bring notes to the tickets of all workspaces: they look for what is due. Each is then taken in its own.",
)
RENEW_SECRETS = Duty(
    name="renew_secrets",
    places=("tickets:_EVERY_SECRET",),
    reason="Operators seal all secrets of ticket systems anew, from the command line, where the service's key changes.",
)
WATCH_SESSIONS = Duty(
    name="watch_sessions",
    places=(
        "session_watch:SqlSessionWatch._found",
        "session_watch:_BY_STATUS",
        "session_watch:_WAITING",
    ),
    reason="One worker finds sessions that something is due for: workspace and id alone. Each is dealt with in its own.",
)
FORGET_KEYS = Duty(
    name="forget_keys",
    places=("idempotency:_EXPIRED", "idempotency:_REMOVE_EXPIRED"),
    reason="One worker forgets the answers that were kept for a day, of all workspaces: it compares times, no more.",
)
FORGET_RATES = Duty(
    name="forget_rates",
    places=("rates:_OLD", "rates:_REMOVE_OLD"),
    reason="One worker forgets what was counted of callers long ago, in all workspaces: it compares times, no more.",
)
COUNT_SHARERS = Duty(
    name="count_sharers",
    places=("flows:SqlFlows.topics_of",),
    reason="A flow's topics are shown with the number of other flows that use them, of whatever workspace; none is named.",
)
KEEP_SYSTEM_BLUEPRINTS = Duty(
    name="keep_system_blueprints",
    places=("transactions:SqlTransactions._duty",),
    reason="Operators change, from the command line, what all workspaces are given.",
)
COPY_DATABASE = Duty(
    name="copy_database",
    places=("whole_tables:WholeTable.__init__", "whole_tables:WholeTable.count"),
    reason="Operators copy a whole database into another, from the command line, and compare both.",
)
MOVE_IN = Duty(
    name="move_in",
    places=(
        "semantic_workbench.moving:_HEAD",
        "semantic_workbench.rows:add_missing",
        "semantic_workbench.rows:Comparing.take",
        "semantic_workbench.files:FileMover._there",
    ),
    reason="Operators move another service's data in, from the command line: rows are looked for by the keys they have.",
)

MIGRATE = Duty(
    name="migrate",
    places=("wiring.migrations:_move",),
    reason="A change of the schema is of all rows; the owner of the tables alone can make one.",
)

CROSS_TENANT_REGISTRY: tuple[Duty, ...] = (
    CLAIM_JOBS,
    CLAIM_PUSHES,
    FORGET_KEYS,
    FORGET_RATES,
    RENEW_SECRETS,
    WATCH_SESSIONS,
    KEEP_CONTENTS,
    COUNT_ROWS,
    KEEP_KEYS,
    FIND_WORKSPACE,
    NOTICE_SILENCE,
    WATCH_TURNS,
    FIND_DELIVERIES,
    FIND_ERASURES,
    KEEP_TERMS,
    LEAD_FLOWS,
    COUNT_SHARERS,
    KEEP_SYSTEM_BLUEPRINTS,
    COPY_DATABASE,
    MOVE_IN,
    MIGRATE,
)

WORKSPACE_IN_ROWS = {
    "store:_ADD_MESSAGES": "rows as a block's Writes give them",
    "store:_ADD_EVENTS": "rows as a block's Writes give them",
    "store:_ADD_TURN_EVENTS": "rows as a block's Writes give them",
    "store:_insert_all": "rows as a block's Writes give them",
    "store:_place_events": "rows as a block's Writes give them",
    "positions:_NEW_WORKSPACE": "the workspace's own row, as the caller says",
    "rates:_begin": "the caller's own row, as the caller's principal says",
}
"""Inserts of whole rows, which say themselves of which workspace they are; at each run that is compared."""

ELSEWHERE = {
    "semantic_workbench.steps:_plain": "reads the database of the service that is moved in, not ours",
    "word_search:_ranked_of_sqlite": "asks an index over words, where the workspace is one of the words it is asked for",
}
"""Statements that are not for our database, or not for its tables."""

GLOBAL_TABLES = {
    "leases": "which process has which duty: of processes, not of workspaces",
    "bus_topics": "topics that exist on the bus, which is one for all workspaces",
    "flow_hosts": "which processes host services of flows",
    "flow_versions": "one row that counts the changes of all flows, for hosts to notice them",
}
"""Tables whose rows belong to no workspace, and why."""
