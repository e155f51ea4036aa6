"""A lease: the right of one worker to do a duty, until a time."""

import msgspec

LEASE_SECONDS = 30.0
RENEWAL_SECONDS = 8.0


class Lease(msgspec.Struct, frozen=True, kw_only=True):
    """A duty held by this process. `good_until` is on this process's monotonic clock, in seconds."""

    name: str
    good_until: float
