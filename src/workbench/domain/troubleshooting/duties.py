"""What is done about sessions without anybody asking, and how long each is waited for (11)."""

from datetime import timedelta

import msgspec

from workbench.domain.troubleshooting.transitions import IDLE, REOPENABLE

IDLE_JOB = "session.idle"
ALARM_JOB = "session.alarm"
PURGE_JOB = "session.purge"


class UpkeepPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """How long a session may be idle before it is given up, a resolved one can be reopened, and a deleted one is kept."""

    idle: timedelta = IDLE
    reopen: timedelta = REOPENABLE
    purge: timedelta = timedelta(days=30)
