"""Settings of the models that the service itself asks."""

from typing import Literal

from pydantic import Field, SecretStr, model_validator

from workbench.wiring.setting_names import MisfitError
from workbench.wiring.setting_values import Group, require_azure

DEFAULT_AZURE_MODEL = "gpt-4o-mini"
PREFIX = "WORKBENCH__TITLES__"


class Titles(Group):
    """Which model chooses titles for conversations that nobody named. Without a provider, none does."""

    provider: Literal["openai", "azure", "anthropic", "google"] | None = Field(
        default=None,
        description=(
            "Who serves the model that chooses titles: `openai` is also every server that speaks its language, by "
            "`base_url`. Unset: titles are not chosen, unless `WORKBENCH__SERVICE__AZURE_OPENAI_ENDPOINT` is set."
        ),
    )
    model: str | None = Field(
        default=None,
        min_length=1,
        description=f"The model's name. For Azure OpenAI, what the deployment serves; unset, {DEFAULT_AZURE_MODEL}.",
        examples=["gpt-4o-mini", "claude-haiku-4-5", "gemini-2.5-flash"],
    )
    base_url: str | None = Field(
        default=None,
        pattern=r"^https?://",
        description="Where the provider's interface begins, if not at the provider's own address. Not for `azure`.",
        examples=["http://127.0.0.1:11434/v1"],
    )
    api_key: SecretStr | None = Field(
        default=None,
        min_length=1,
        description="Key for the provider. Not needed by some servers; for Azure OpenAI unset: the process's identity.",
    )
    azure_endpoint: str | None = Field(
        default=None,
        pattern=r"^https?://",
        description="Address of the Azure OpenAI resource.",
        examples=["https://workbench.openai.azure.com"],
    )
    azure_deployment: str | None = Field(
        default=None, min_length=1, description="Name of the deployment in the Azure OpenAI resource."
    )
    azure_api_version: str = Field(
        default="2024-10-21", pattern=r"^\d{4}-\d\d-\d\d", description="Version of Azure OpenAI's interface."
    )
    timeout_seconds: float = Field(
        default=30, gt=0, le=50, description="Seconds that one answer of the model may take."
    )

    @model_validator(mode="after")
    def _is_complete(self) -> "Titles":
        needed, unfit = _needs(self)
        for name in needed:
            if getattr(self, name) is None:
                raise MisfitError(f"{PREFIX}{name.upper()}", f"is needed with the provider {self.provider}")
        for name in unfit:
            if getattr(self, name) is not None:
                text = "has no effect without WORKBENCH__TITLES__PROVIDER" if self.provider is None else "does not fit"
                raise MisfitError(f"{PREFIX}{name.upper()}", f"{text} ({self.provider})" if self.provider else text)
        if self.provider == "azure" and self.api_key is None:
            _require_identity(f"{PREFIX}API_KEY")
        return self


def azure_titles(endpoint: str, deployment: str, model: str, given: Titles) -> Titles:
    """Say in this group's words what the wire contract's names of settings say; the key, if any, is this group's.

    Raises MisfitError.
    """
    if given.api_key is None:
        _require_identity("WORKBENCH__SERVICE__AZURE_OPENAI_ENDPOINT")
    azure = {"provider": "azure", "azure_endpoint": endpoint, "azure_deployment": deployment, "model": model}
    return given.model_copy(update=azure)


def _needs(titles: Titles) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Which settings the provider needs, and which do not fit it."""
    azure = ("azure_endpoint", "azure_deployment")
    match titles.provider:
        case None:
            return (), ("model", "base_url", *azure)
        case "azure":
            return azure, ("base_url",)
        case "openai" if titles.base_url is not None:
            return ("model",), azure
        case _:
            return ("model", "api_key"), azure


def _require_identity(setting: str) -> None:
    try:
        require_azure()
    except ValueError as error:
        raise MisfitError(setting, f"without a key, Azure OpenAI {error}") from None
