"""What is left of budgets, in the fields of draft-ietf-httpapi-ratelimit-headers-10."""

from collections.abc import Sequence

from workbench.domain.budgets.model import Standing

POLICY = "RateLimit-Policy"
LEFT = "RateLimit"


def budget_headers(standings: Sequence[Standing]) -> dict[str, str]:
    """Name each limit with its amount (`q`), unit and seconds, and say what remains (`r`) for how long (`t`)."""
    if not standings:
        return {}
    return {POLICY: ", ".join(map(_policy, standings)), LEFT: ", ".join(map(_left, standings))}


def _policy(standing: Standing) -> str:
    seconds = int((standing.resets_at - standing.starts_at).total_seconds())
    return f'"{standing.name}";q={standing.limit};qu="{standing.measure}";w={seconds}'


def _left(standing: Standing) -> str:
    return f'"{standing.name}";r={standing.left};t={standing.resets_in_seconds}'
