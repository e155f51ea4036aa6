"""A circuit breaker per assistant service: one that fails again and again is not called until a probe passes.

Own code, since what there is for asyncio either counts exceptions of decorated functions, without saying when to come
back, or is no longer kept.
"""

import math
import time
from collections import OrderedDict
from collections.abc import Callable

import msgspec

from workbench.domain.assistant_services.model import CircuitState
from workbench.domain.errors import NotCalledError

MAX_SERVICES = 10_000


class BreakerPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """After how many failures in a row calls stop, and for how many seconds, at first and at most."""

    failures: int = 5
    first_open_seconds: float = 5.0
    max_open_seconds: float = 60.0


class Circuit:
    """The circuit to one service."""

    def __init__(self) -> None:
        self.failures = 0
        self.openings = 0
        self.probe_at = 0.0
        self.is_open = False
        self.is_probing = False


class CircuitBreakers:
    """All circuits of this process. Only those that have seen a failure are kept, the oldest go first."""

    def __init__(self, policy: BreakerPolicy, now: Callable[[], float] = time.monotonic) -> None:
        """`now` gives seconds of a clock that never goes back."""
        self._policy = policy
        self._now = now
        self._circuits: OrderedDict[str, Circuit] = OrderedDict()

    def state(self, service_id: str) -> CircuitState:
        """Whether calls go through; half open: the next one is the probe."""
        circuit = self._circuits.get(service_id)
        if circuit is None or not circuit.is_open:
            return "closed"
        return "half_open" if circuit.is_probing or self._now() >= circuit.probe_at else "open"

    def enter(self, service_id: str) -> None:
        """Let a call through, or one as the probe. Raises NotCalledError."""
        circuit = self._circuits.get(service_id)
        if circuit is None or not circuit.is_open:
            return
        wait = circuit.probe_at - self._now()
        if wait > 0 or circuit.is_probing:
            raise NotCalledError(
                f"Assistant service {service_id} has failed repeatedly and is not called until a probe passes",
                retry_after_seconds=max(math.ceil(wait), 1),
            )
        circuit.is_probing = True

    def succeeded(self, service_id: str) -> None:
        """The service answered: forget its failures."""
        self._circuits.pop(service_id, None)

    def failed(self, service_id: str) -> None:
        """The service did not answer, or with an error of its own."""
        circuit = self._circuits.setdefault(service_id, Circuit())
        self._circuits.move_to_end(service_id)
        circuit.failures += 1
        # Calls that began before it opened still come in: only a probe's failure lengthens the wait.
        if circuit.is_probing or (not circuit.is_open and circuit.failures >= self._policy.failures):
            doubled = self._policy.first_open_seconds * 2.0 ** min(circuit.openings, 30)
            circuit.probe_at = self._now() + min(doubled, self._policy.max_open_seconds)
            circuit.openings += 1
            circuit.is_open, circuit.is_probing = True, False
        if len(self._circuits) > MAX_SERVICES:
            self._circuits.popitem(last=False)

    def heard(self, service_id: str) -> None:
        """The service gave a sign of life: the next call is a probe."""
        circuit = self._circuits.get(service_id)
        if circuit is not None:
            circuit.probe_at = self._now()
