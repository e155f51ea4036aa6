"""Requests and runs without traces, as it is unless settings want them."""

from contextlib import AbstractContextManager, nullcontext

from workbench.domain.bus.ports import BusTracer


class Untraced(BusTracer):
    """Leaves traces as they are."""

    def call(self, interface: str) -> AbstractContextManager[str | None]:  # noqa: ARG002 - the port has it
        """Say nothing of it."""
        return nullcontext()

    def run(self, service: str, input_name: str) -> AbstractContextManager[None]:  # noqa: ARG002 - the port has it
        """Say nothing of it."""
        return nullcontext()
