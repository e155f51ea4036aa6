"""Circuit breakers: a service that failed again and again is left alone until a single probe has passed.

Own code: the libraries let every call through at once when half open, or keep one fixed pause, or are not kept up.
"""

import asyncio
from collections.abc import Callable, Generator
from contextlib import contextmanager
from http import HTTPStatus

import msgspec

from workbench.adapters.assistants.network import NotCalledError
from workbench.domain.assistant_services.model import CircuitState, ServiceAddress
from workbench.domain.errors import BadAnswerError, UpstreamError

MAX_SERVICES = 10_000
"""How many failing services are remembered; beyond it the one that began to fail first is forgotten."""


class BreakerPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """After how many failures in a row a service is left alone, and for how long at first and at last.

    A call that its caller gave up counts as a failure if it had waited for `patience_seconds`.
    """

    failures: int = 5
    first_seconds: float = 5.0
    max_seconds: float = 60.0
    patience_seconds: float = 13.0


class _Breaker(msgspec.Struct, kw_only=True):
    """A service that has failed since it last answered; `open_seconds` is 0 while calls are still made."""

    url: str
    failures: int = 0
    open_seconds: float = 0.0
    probe_at: float = 0.0
    is_probing: bool = False
    last_error: str = ""


class CircuitBreakers:
    """The breakers of all services, for one process. Services that answer well take no memory here."""

    def __init__(self, policy: BreakerPolicy, monotonic: Callable[[], float]) -> None:
        self._policy = policy
        self._monotonic = monotonic
        self._breakers: dict[str, _Breaker] = {}

    @contextmanager
    def calling(self, service: ServiceAddress) -> Generator[None]:
        """Call the service in this block; how the block ends is what is learnt of it.

        Raises UpstreamError with `retry_after_seconds` where the service is left alone. An answer of 4xx says
        that the service is alive.
        """
        started = self._monotonic()
        probed = self._enter(service)
        try:
            yield
        except NotCalledError:
            raise
        except UpstreamError as error:
            self._learn(service, error, is_probe=probed is not None)
            raise
        except asyncio.CancelledError:
            if self._monotonic() - started >= self._policy.patience_seconds:
                self._failed(service, "no answer before the caller gave up", is_probe=probed is not None)
            raise
        else:
            self._breakers.pop(service.assistant_service_id, None)
        finally:
            if probed is not None:
                probed.is_probing = False

    def heard(self, assistant_service_id: str) -> None:
        """The service says that it is there: the next call is the probe."""
        breaker = self._breakers.get(assistant_service_id)
        if breaker is not None:
            breaker.probe_at = min(breaker.probe_at, self._monotonic())

    def state(self, assistant_service_id: str) -> CircuitState:
        """Whether the service is called, left alone, or due for a probe."""
        breaker = self._breakers.get(assistant_service_id)
        if breaker is None or not breaker.open_seconds:
            return "closed"
        return "open" if self._monotonic() < breaker.probe_at else "half-open"

    def last_error(self, assistant_service_id: str) -> str | None:
        """Why the last call failed; None where it did not."""
        breaker = self._breakers.get(assistant_service_id)
        return breaker.last_error if breaker else None

    def _enter(self, service: ServiceAddress) -> _Breaker | None:
        """Let a call pass, as the probe if a breaker is returned."""
        key = service.assistant_service_id
        breaker = self._breakers.get(key)
        if breaker is None or not breaker.open_seconds:
            return None
        if breaker.url != service.url:
            # It has moved: what failed was elsewhere.
            del self._breakers[key]
            return None
        # While the probe is under way it is not known yet when the next one would be.
        wait = self._policy.first_seconds if breaker.is_probing else breaker.probe_at - self._monotonic()
        if wait > 0:
            raise UpstreamError(
                f"Assistant service {key} has failed repeatedly and is not called until a probe passes",
                retry_after_seconds=wait,
            )
        breaker.is_probing = True
        return breaker

    def _learn(self, service: ServiceAddress, error: UpstreamError, *, is_probe: bool) -> None:
        answered = error.status is not None and error.status < HTTPStatus.INTERNAL_SERVER_ERROR
        if answered or isinstance(error, BadAnswerError):
            self._breakers.pop(service.assistant_service_id, None)
        else:
            self._failed(service, error.detail, is_probe=is_probe)

    def _failed(self, service: ServiceAddress, reason: str, *, is_probe: bool) -> None:
        key = service.assistant_service_id
        breaker = self._breakers.get(key)
        if breaker is None or breaker.url != service.url:
            self._breakers.pop(key, None)
            if len(self._breakers) >= MAX_SERVICES:
                del self._breakers[next(iter(self._breakers))]
            breaker = self._breakers[key] = _Breaker(url=service.url)
        breaker.failures += 1
        breaker.last_error = reason
        is_open = bool(breaker.open_seconds)
        # What was under way when the breaker opened says nothing new; only a probe that failed does.
        if (is_open and is_probe) or (not is_open and breaker.failures >= self._policy.failures):
            longer = breaker.open_seconds * 2 or self._policy.first_seconds
            breaker.open_seconds = min(longer, self._policy.max_seconds)
            breaker.probe_at = self._monotonic() + breaker.open_seconds
