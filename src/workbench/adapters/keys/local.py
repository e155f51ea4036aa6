"""Keys in local mode: there are none, so every service shows the empty one."""


class LocalModeKeys:
    """Lets every service in that says a name; for loopback only."""

    async def find(self, assistant_service_id: str) -> str | None:  # noqa: ARG002 - the port's
        """Answer with the empty key, whoever it is."""
        return ""
