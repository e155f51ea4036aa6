"""What is counted of requests: by the template of their path, each once, and nothing for ever."""

from collections.abc import Mapping

from tests.support.service import Service

COUNT = "workbench_requests_total"
TOOK = "workbench_request_duration_seconds_count"
UNDER_WAY = "workbench_requests_in_progress"


async def measured(service: Service) -> Mapping[str, float]:
    answer = await service.client().get("/metrics")
    lines = (line.rsplit(" ", 1) for line in answer.text.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, value in lines}


def grown(before: Mapping[str, float], after: Mapping[str, float], name: str) -> dict[str, float]:
    """What the series of a metric grew by; the process may have served others before."""
    differences = {series: value - before.get(series, 0) for series, value in after.items() if series.startswith(name)}
    return {series.removeprefix(name): value for series, value in differences.items() if value}


async def test_a_request_is_counted_once_by_template_and_status(service: Service) -> None:
    ann = service.user()
    before = await measured(service)
    assert (await ann.get("/conversations/00000000-0000-4000-8000-000000000000")).status_code == 404
    after = await measured(service)
    series = '{method="GET",path="/conversations/{conversation_id}",status_code="404"}'
    assert grown(before, after, COUNT) == {series: 1}
    assert grown(before, after, TOOK) == {series: 1}
    assert grown(before, after, UNDER_WAY) == {}


async def test_looks_at_the_service_itself_are_not_counted(service: Service) -> None:
    before = await measured(service)
    for path in ("/livez", "/readyz", "/metrics"):
        await service.client().get(path)
    assert grown(before, await measured(service), COUNT) == {}


async def test_methods_that_nobody_knows_make_no_series_of_their_own(service: Service) -> None:
    ann = service.user()
    before = await measured(service)
    await ann.request("BREW", "/conversations")
    assert not [series for series in grown(before, await measured(service), COUNT) if "BREW" in series]
