"""The container: from settings to everything that runs; the same for the server, its workers and the CLI."""

from dishka import AsyncContainer, Provider, Scope, make_async_container
from litestar.types import ASGIApp

from workbench.wiring.announcements import Announcements
from workbench.wiring.domain import Domain, Policies
from workbench.wiring.embeddings import Finding
from workbench.wiring.flows import FlowAdapters, FlowDomain
from workbench.wiring.jobs import Jobs
from workbench.wiring.model_gateway import ModelsOfSettings
from workbench.wiring.outbound import Outbound
from workbench.wiring.playbooks import PlaybookTexts
from workbench.wiring.session_models import SessionModelsOfSettings
from workbench.wiring.settings import Settings
from workbench.wiring.sql import Sql
from workbench.wiring.storage import Storage
from workbench.wiring.tickets import Tickets
from workbench.wiring.titles import titles_of
from workbench.wiring.tokens import Tokens


class Given(Provider):
    """What is there from the start."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(scope=Scope.APP)
        self.provide(lambda: settings, provides=Settings)
        self.provide(Announcements)


def make_container(settings: Settings, *overrides: Provider) -> AsyncContainer:
    """Make the container; a later provider overrides an earlier one, so `overrides` swap any adapter."""
    return make_async_container(
        *(
            Given(settings),
            Policies(),
            Domain(),
            Sql(),
            Storage(),
            Outbound(),
            titles_of(settings),
            ModelsOfSettings(),
            SessionModelsOfSettings(),
            PlaybookTexts(),
            Finding(),
            Jobs(),
            Tickets(),
            Tokens(),
            FlowDomain(),
            FlowAdapters(),
        ),
        *_tracing_of(settings),
        *overrides,
    )


def traced(app: ASGIApp, settings: Settings, container: AsyncContainer) -> ASGIApp:
    """Put spans around the requests of an application, where settings want traces."""
    if not settings.tracing.enabled:
        return app
    from workbench.wiring.tracing import traced_requests  # noqa: PLC0415 - needs the extra `otel`

    return traced_requests(app, container)


def _tracing_of(settings: Settings) -> tuple[Provider, ...]:
    if not settings.tracing.enabled:
        return ()
    from workbench.wiring.tracing import Tracing  # noqa: PLC0415 - needs the extra `otel`

    return (Tracing(),)
