"""Which model is asked, and how it is reached."""

from collections.abc import Awaitable, Callable

import msgspec
from pydantic import SecretStr

NO_KEY = "none"
"""What servers that ask for no key are sent: the libraries insist on one."""

TokenSource = Callable[[], Awaitable[str]]


class ModelChoice(msgspec.Struct, frozen=True, kw_only=True):
    """A model by its name, at the provider's own address or another."""

    model: str
    base_url: str | None = None
    api_key: SecretStr | None = None

    @property
    def key(self) -> str:
        """The key to be sent."""
        return NO_KEY if self.api_key is None else self.api_key.get_secret_value()


class AzureChoice(ModelChoice, frozen=True, kw_only=True):
    """A deployment of a model in an Azure OpenAI resource; with a `token_source` an identity stands for the key."""

    endpoint: str
    deployment: str
    api_version: str
    token_source: TokenSource | None = None
