"""A rate: so many times in so many seconds."""

import msgspec


class Rate(msgspec.Struct, frozen=True, kw_only=True):
    """How often an act is allowed, counted apart for each act by its name and for each caller."""

    act: str
    times: int
    seconds: int
