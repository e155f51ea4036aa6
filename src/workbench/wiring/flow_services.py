"""The services that settings name: found in their modules, and handed to the domain in its own words."""

import contextlib
import importlib
import inspect
from collections.abc import AsyncIterator, Callable, Generator, Iterable
from typing import Any

from msgspec import UNSET

from workbench.domain.bus import services
from workbench.domain.bus.calls import Usage
from workbench.domain.bus.errors import BusyError, ServiceFailure
from workbench.domain.flows.hosting import HostedServices
from workbench.sdk import flows
from workbench.wiring.setting_names import SettingsError

SETTING = "WORKBENCH__FLOWS__SERVICES"


def load_services(places: Iterable[str]) -> HostedServices:
    """Import what the setting names. Raises SettingsError."""
    found = [service for place in places for service in _services_at(place)]
    names = [service.name for service in found]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise SettingsError({SETTING: f"there are two services called {', '.join(twice)}"})
    return hosted(*found)


def hosted(*found: flows.FlowService) -> HostedServices:
    """Services that a program brings along itself."""
    return HostedServices(tuple(map(definition_of, found)))


def _services_at(place: str) -> list[flows.FlowService]:
    module, _, attribute = place.partition(":")
    try:
        value = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise SettingsError({SETTING: f"{place} cannot be loaded: {error}"}) from error
    values: list[Any] = [value] if isinstance(value, flows.FlowService) else list(value)
    if wrong := [each for each in values if not isinstance(each, flows.FlowService)]:
        raise SettingsError({SETTING: f"{place} has a {type(wrong[0]).__name__}, which is no FlowService"})
    return values


def definition_of(service: flows.FlowService) -> services.ServiceDefinition:
    """What an author declared, as the host takes it."""
    return services.ServiceDefinition(
        name=service.name,
        inputs=tuple(
            services.Input(
                name=each.name,
                handler=_translated(each.handler),
                reply=each.reply,
                concurrency=each.concurrency,
                on_overflow=each.on_overflow,
            )
            for each in service.inputs
        ),
        outputs=tuple(service.outputs),
        calls=tuple(
            services.Calls(name=each.name, request=each.request, response=each.response, optional=each.optional)
            for each in service.calls
        ),
    )


def _translated(handler: Callable[..., Any]) -> services.Handler:
    """The same handler, whose errors and results are the domain's."""
    if inspect.isasyncgenfunction(handler):
        return _generating(handler)
    if inspect.iscoroutinefunction(handler):

        async def run(data: Any, context: Any) -> Any:
            with _failing():
                return _result(await handler(data, context))

        return run

    def call(data: Any, context: Any) -> Any:
        with _failing():
            return _result(handler(data, context))

    return call


def _generating(handler: Callable[..., Any]) -> services.Handler:
    async def generate(data: Any, context: Any) -> AsyncIterator[Any]:
        said = handler(data, context)
        try:
            with _failing():
                async for item in said:
                    yield _result(item)
        finally:
            await said.aclose()

    return generate


@contextlib.contextmanager
def _failing() -> Generator[None]:
    """Turn what a handler raises on purpose into the domain's words."""
    try:
        yield
    except flows.BusyError as error:
        raise BusyError(error.message, retry_after_seconds=error.retry_after_seconds) from error
    except flows.ServiceError as error:
        raise ServiceFailure(
            error.code,
            error.message,
            retryable=error.retryable,
            category=error.category,
            retry_after_seconds=error.retry_after_seconds,
        ) from error


def _result(item: Any) -> Any:
    if not isinstance(item, flows.Final):
        return item
    usage = item.usage
    told = UNSET if usage is None else Usage(**usage._asdict())
    return services.Final(data=item.data[0] if item.data else UNSET, usage=told)
