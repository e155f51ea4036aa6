"""What the doctor sees of the message bus."""

from prometheus_client import CollectorRegistry

from workbench.adapters.metrics.flows import PrometheusFlows
from workbench.domain.bus.errors import BusError
from workbench.wiring.flow_services import load_services
from workbench.wiring.flows import open_bus
from workbench.wiring.setting_names import SettingsError
from workbench.wiring.settings import Settings

INSIDE = "inside each process: with several workers or replicas, each has its own, and only its own services"


async def look_at_bus(settings: Settings) -> tuple[bool, str, str]:
    """Whether the bus can be used, what was seen, and what to do where it cannot."""
    if settings.bus.url.get_secret_value().startswith("inprocess:"):
        return True, INSIDE, ""
    bus = open_bus(settings, PrometheusFlows(CollectorRegistry()))
    try:
        await bus.start()
        state = bus.state()
    except BusError as error:
        return False, str(error), "Correct WORKBENCH__BUS__URL."
    finally:
        await bus.close()
    if state != "up":
        return False, "RabbitMQ cannot be reached", "Start it, or correct WORKBENCH__BUS__URL."
    return True, "RabbitMQ answers", ""


def look_at_services(settings: Settings) -> tuple[bool, str, str]:
    """The same of the services that this process runs."""
    try:
        found = [service.name for service in load_services(settings.flows.services).definitions]
    except SettingsError as error:
        return False, str(error), "Install the module, or correct WORKBENCH__FLOWS__SERVICES."
    return True, f"runs {', '.join(found)}" if found else "runs none", ""
