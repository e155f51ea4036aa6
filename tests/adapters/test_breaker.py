"""The circuit breaker: opens after failures in a row, lets one probe through, closes on success."""

import pytest

from workbench.adapters.assistants.breaker import BreakerPolicy, CircuitBreakers
from workbench.domain.errors import NotCalledError

BOT = "bot.example"


class Time:
    """Seconds that a test moves."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def breakers(time: Time) -> CircuitBreakers:
    return CircuitBreakers(BreakerPolicy(failures=3, first_open_seconds=5, max_open_seconds=12), time)


def fail(breakers: CircuitBreakers, times: int = 1, service: str = BOT) -> None:
    for _ in range(times):
        breakers.enter(service)
        breakers.failed(service)


def refusal(breakers: CircuitBreakers) -> int:
    with pytest.raises(NotCalledError) as caught:
        breakers.enter(BOT)
    assert caught.value.detail.startswith(f"Assistant service {BOT} has failed repeatedly")
    return caught.value.retry_after_seconds


def test_it_opens_after_so_many_failures_in_a_row(breakers: CircuitBreakers) -> None:
    fail(breakers, 2)
    breakers.succeeded(BOT)
    fail(breakers, 2)
    assert breakers.state(BOT) == "closed"
    fail(breakers)
    assert breakers.state(BOT) == "open"
    assert refusal(breakers) == 5
    breakers.enter("other.example")


def test_one_probe_is_let_through_and_closes_it(breakers: CircuitBreakers, time: Time) -> None:
    fail(breakers, 3)
    time.seconds += 4.2
    assert refusal(breakers) == 1
    time.seconds += 0.9
    assert breakers.state(BOT) == "half_open"
    breakers.enter(BOT)
    assert refusal(breakers) == 1
    breakers.succeeded(BOT)
    assert breakers.state(BOT) == "closed"
    breakers.enter(BOT)


def test_each_probe_that_fails_doubles_the_wait_up_to_a_bound(breakers: CircuitBreakers, time: Time) -> None:
    fail(breakers, 3)
    waits: list[int] = []
    for _ in range(4):
        waits.append(refusal(breakers))
        time.seconds += waits[-1]
        fail(breakers)
    assert waits == [5, 10, 12, 12]


def test_calls_that_were_under_way_do_not_lengthen_the_wait(breakers: CircuitBreakers) -> None:
    fail(breakers, 3)
    for _ in range(10):
        breakers.failed(BOT)
    assert refusal(breakers) == 5


def test_a_sign_of_life_makes_the_next_call_a_probe(breakers: CircuitBreakers) -> None:
    fail(breakers, 3)
    breakers.heard(BOT)
    breakers.heard("never.failed")
    assert breakers.state(BOT) == "half_open"
    breakers.enter(BOT)
    breakers.succeeded(BOT)
    assert breakers.state(BOT) == "closed"
