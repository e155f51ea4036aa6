"""What is done about sessions without anybody asking, and after how long (11)."""

from datetime import timedelta

import msgspec

from workbench.domain.troubleshooting.transitions import IDLE

IDLE_JOB = "session.idle"
ALARM_JOB = "session.alarm"
PURGE_JOB = "session.purge"


class UpkeepPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """How long a session may be idle before it is given up, and how long a deleted one is kept before it is removed."""

    idle: timedelta = IDLE
    purge: timedelta = timedelta(days=30)
