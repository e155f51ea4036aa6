"""Which kind of ticket system is reached how."""

from typing import Any

import msgspec

from workbench.adapters.tickets.calls import TicketHttp
from workbench.adapters.tickets.connectwise import Account, Codebases, ConnectWise, api_url
from workbench.adapters.tickets.webhook import Webhook, key_bytes
from workbench.domain.rates.ports import RateLimiter
from workbench.domain.tickets.model import (
    Connection,
    ConnectWiseConfig,
    ConnectWiseSecret,
    WebhookConfig,
    WebhookSecret,
)
from workbench.domain.tickets.ports import SecretBox, TicketSystem, TicketSystems
from workbench.domain.tickets.service import owner_of


class HttpTicketSystems(TicketSystems):
    """All of them over one client."""

    def __init__(self, http: TicketHttp, box: SecretBox, rates: RateLimiter) -> None:
        self._http = http
        self._box = box
        self._rates = rates
        self._codebases = Codebases()

    def require_callable(self, connection: Connection) -> None:
        """By the rules of the client."""
        config = connection.config
        self._http.require_callable(config["url"] if connection.kind == "webhook" else api_url(config["site"]))

    def require_secret(self, connection: Connection, secret: dict[str, Any]) -> None:
        """Keys of webhooks have a form of their own."""
        if connection.kind == "webhook":
            for key in secret["keys"]:
                key_bytes(key)

    def open(self, workspace_id: str, connection: Connection, sealed: str) -> TicketSystem:
        """Open the box."""
        secret = self._box.open(owner_of(workspace_id, connection.id), sealed)
        if connection.kind == "webhook":
            config = msgspec.convert(connection.config, WebhookConfig)
            return Webhook(self._http, workspace_id, config, msgspec.convert(secret, WebhookSecret))
        account = Account(
            workspace_id=workspace_id,
            connection_id=connection.id,
            config=msgspec.convert(connection.config, ConnectWiseConfig),
            secret=msgspec.convert(secret, ConnectWiseSecret),
        )
        return ConnectWise(self._http, account, self._codebases, self._rates)
