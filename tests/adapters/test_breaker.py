"""Circuit breakers, by a watch that the test sets."""

import asyncio
from contextlib import suppress

import pytest

from workbench.adapters.assistants.breaker import MAX_SERVICES, BreakerPolicy, CircuitBreakers
from workbench.adapters.assistants.network import RefusedAddressError
from workbench.domain.assistant_services.model import ServiceAddress
from workbench.domain.errors import BadAnswerError, UpstreamError

POLICY = BreakerPolicy(failures=3, first_seconds=5, max_seconds=60, patience_seconds=10)
BOT = "bot.example"
ADDRESS = ServiceAddress(assistant_service_id=BOT, url="https://bot/", knows_its_key=True)


class Line:
    """A line to services: each call ends as told."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.breakers = CircuitBreakers(POLICY, lambda: self.now)

    def call(self, outcome: BaseException | None = None, *, service_id: str = BOT, url: str = "https://bot/") -> None:
        address = ServiceAddress(assistant_service_id=service_id, url=url, knows_its_key=True)
        with self.breakers.calling(address):
            if outcome is not None:
                raise outcome

    def fail(self, times: int = 1, status: int | None = None) -> None:
        for _ in range(times):
            with pytest.raises(UpstreamError) as failure:
                self.call(UpstreamError("no answer", status=status))
            assert failure.value.retry_after_seconds is None

    def pause(self) -> float:
        """For how long a call is refused now."""
        with pytest.raises(UpstreamError) as failure:
            self.call(AssertionError("it was called"))
        assert (
            failure.value.detail
            == f"Assistant service {BOT} has failed repeatedly and is not called until a probe passes"
        )
        assert failure.value.retry_after_seconds is not None
        return failure.value.retry_after_seconds


@pytest.fixture
def line() -> Line:
    return Line()


@pytest.mark.parametrize("status", [None, 500, 503, 599])
def test_failures_in_a_row_open_it(line: Line, status: int | None) -> None:
    line.fail(2, status)
    assert line.breakers.state(BOT) == "closed"
    line.fail(1, status)
    assert line.breakers.state(BOT) == "open"
    assert line.breakers.last_error(BOT) == "no answer"
    assert line.pause() == 5


@pytest.mark.parametrize("alive", [None, UpstreamError("no", status=404), UpstreamError("x", status=302)])
def test_an_answer_of_any_kind_ends_the_row(line: Line, alive: UpstreamError | None) -> None:
    for _ in range(3):
        line.fail(2)
        if alive is None:
            line.call()
        else:
            with pytest.raises(UpstreamError):
                line.call(alive)
    assert (line.breakers.state(BOT), line.breakers.last_error(BOT)) == ("closed", None)


def test_an_answer_that_cannot_be_understood_is_an_answer(line: Line) -> None:
    line.fail(2)
    with pytest.raises(BadAnswerError):
        line.call(BadAnswerError("what?"))
    assert line.breakers.last_error(BOT) is None


def test_a_service_that_was_not_called_has_not_failed(line: Line) -> None:
    for _ in range(5):
        with pytest.raises(RefusedAddressError):
            line.call(RefusedAddressError("not there"))
    assert line.breakers.state(BOT) == "closed"


def test_a_defect_of_ours_says_nothing_of_the_service(line: Line) -> None:
    for _ in range(5):
        with pytest.raises(ZeroDivisionError):
            line.call(ZeroDivisionError())
    assert line.breakers.state(BOT) == "closed"


def test_a_probe_that_passes_closes_it(line: Line) -> None:
    line.fail(3)
    line.now += 5
    assert line.breakers.state(BOT) == "half-open"
    line.call()
    assert line.breakers.state(BOT) == "closed"
    line.fail(2)
    assert line.breakers.state(BOT) == "closed"


def test_pauses_double_up_to_the_longest(line: Line) -> None:
    line.fail(3)
    pauses: list[float] = []
    for _ in range(6):
        pauses.append(line.pause())
        line.now += pauses[-1]
        line.fail()
    assert pauses == [5, 10, 20, 40, 60, 60]


async def test_one_call_at_a_time_is_the_probe(line: Line) -> None:
    line.fail(3)
    line.now += 5
    with line.breakers.calling(ADDRESS):
        assert line.breakers.state(BOT) == "half-open"
        assert line.pause() == 5
    line.call()


def test_a_probe_that_ends_without_a_verdict_lets_the_next_one_pass(line: Line) -> None:
    line.fail(3)
    line.now += 5
    with pytest.raises(asyncio.CancelledError):
        line.call(asyncio.CancelledError())
    line.call()
    assert line.breakers.state(BOT) == "closed"


def test_what_was_under_way_when_it_opened_makes_nothing_worse(line: Line) -> None:
    with suppress(UpstreamError), line.breakers.calling(ADDRESS):
        line.fail(3)
        line.now += 1
        raise UpstreamError("late")
    assert line.pause() == 4


def test_what_was_under_way_and_succeeds_closes_it(line: Line) -> None:
    with line.breakers.calling(ADDRESS):
        line.fail(3)
    assert line.breakers.state(BOT) == "closed"


def test_a_sign_of_life_lets_the_next_call_probe_at_once(line: Line) -> None:
    line.fail(3)
    line.breakers.heard("other.example")
    assert line.breakers.state(BOT) == "open"
    line.breakers.heard(BOT)
    assert line.breakers.state(BOT) == "half-open"
    line.fail()
    assert line.pause() == 10


def test_a_service_that_has_moved_is_called(line: Line) -> None:
    line.fail(3)
    line.call(url="https://elsewhere/")
    assert line.breakers.state(BOT) == "closed"


def test_failures_at_two_urls_are_not_added_up(line: Line) -> None:
    line.fail(2)
    with pytest.raises(UpstreamError):
        line.call(UpstreamError("x"), url="https://elsewhere/")
    assert line.breakers.state(BOT) == "closed"


@pytest.mark.parametrize(("waited", "state"), [(9, "closed"), (10, "open")])
def test_a_call_that_its_caller_gave_up_counts_after_a_long_wait(line: Line, waited: float, state: str) -> None:
    for _ in range(3):
        with suppress(asyncio.CancelledError), line.breakers.calling(ADDRESS):
            line.now += waited
            raise asyncio.CancelledError
    assert line.breakers.state(BOT) == state


def test_services_do_not_share_a_breaker(line: Line) -> None:
    line.fail(3)
    line.call(service_id="other.example")
    assert line.breakers.state("other.example") == "closed"


def test_so_many_failing_services_are_remembered_and_no_more(line: Line) -> None:
    line.fail(3)
    for number in range(MAX_SERVICES - 1):
        with pytest.raises(UpstreamError):
            line.call(UpstreamError("x"), service_id=f"bot{number}.example")
    assert line.breakers.state(BOT) == "open"
    with pytest.raises(UpstreamError):
        line.call(UpstreamError("x"), service_id="last.example")
    assert line.breakers.state(BOT) == "closed"
    assert line.breakers.last_error("last.example") == "x"
