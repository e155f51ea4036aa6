"""Settings of the models that the service itself asks: which one, and how it is reached."""

import re
from typing import Annotated, Generic, Literal, TypeVar

from pydantic import BeforeValidator, Field, SecretStr, model_validator

from workbench.wiring.setting_names import DELIMITER, MisfitError, environment_name
from workbench.wiring.setting_values import Group, from_json, require_azure

DEFAULT_AZURE_MODEL = "gpt-4o-mini"
NAME = re.compile(r"[a-z0-9]([a-z0-9_-]{0,30}[a-z0-9])?")
"""A name is part of a variable's name, and for MCP servers of the names of tools, which providers keep short."""

Served = Literal["openai", "azure", "anthropic", "google"]
Provider = TypeVar("Provider", Served | None, Literal[Served, "demo"])


class ReachedModel(Group, Generic[Provider]):
    """Which model it is, and how it is reached."""

    provider: Provider
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

    @property
    def shown(self) -> str:
        """The model for people."""
        name = self.azure_deployment if self.provider == "azure" else self.model
        return f"{name} of {self.provider}" if name else str(self.provider)


class Titles(ReachedModel[Served | None]):
    """Which model chooses titles for conversations that nobody named. Without a provider, none does."""

    provider: Served | None = Field(
        default=None,
        description=(
            "Who serves the model that chooses titles: `openai` is also every server that speaks its language, by "
            "`base_url`. Unset: titles are not chosen, unless `WORKBENCH__SERVICE__AZURE_OPENAI_ENDPOINT` is set."
        ),
    )
    timeout_seconds: float = Field(
        default=30, gt=0, le=50, description="Seconds that one answer of the model may take."
    )

    @model_validator(mode="after")
    def _is_complete(self) -> "Titles":
        _require_complete(self, "titles")
        return self


class NamedModel(ReachedModel[Literal[Served, "demo"]]):
    """A model that assistants may use."""

    provider: Literal[Served, "demo"] = Field(
        description=(
            "Who serves the model: `openai` is also every server that speaks its language, by `base_url`. `demo` is a "
            "small script inside the service, which needs no key and is no language model."
        )
    )
    takes_images: bool = Field(default=False, description="Whether the model looks at pictures.")


class Models(Group):
    """The models that assistants of the service's own may use, each by a name of yours. Without one, there are none.

    The name stands in the variables' names, in small letters in the assistant's configuration:
    `WORKBENCH__MODELS__NAMED__FAST__PROVIDER` begins the model `fast`.
    """

    named: dict[str, NamedModel] = Field(default={})
    default: str | None = Field(
        default=None,
        description="The model of assistants that name none. Needed where there are several.",
        examples=["fast"],
    )
    fallback: str | None = Field(
        default=None,
        description="The model that is asked where another one is too busy. Unset: the answer fails.",
        examples=["spare"],
    )
    timeout_seconds: float = Field(
        default=120, gt=0, le=1800, description="Seconds for which a model may be silent before its answer is given up."
    )
    demo_pause_seconds: float = Field(
        default=0.03, ge=0, le=5, description="Seconds between two words of the model of the provider `demo`."
    )

    @model_validator(mode="after")
    def _are_complete(self) -> "Models":
        for name, model in self.named.items():
            _require_name(name, "models", "named")
            _require_complete(model, "models", "named", name)
        for setting in ("default", "fallback"):
            chosen = getattr(self, setting)
            if chosen is not None and chosen not in self.named:
                raise MisfitError(environment_name("models", setting), f"there is no model {chosen!r}")
        if len(self.named) > 1 and self.default is None:
            raise MisfitError("WORKBENCH__MODELS__DEFAULT", "is needed where several models are named")
        return self

    @property
    def in_order(self) -> dict[str, NamedModel]:
        """The models by name, the default one first."""
        return dict(sorted(self.named.items(), key=lambda item: (item[0] != self.default, item[0])))


class McpServer(Group):
    """A server of the Model Context Protocol, whose tools assistants may be allowed to use."""

    url: str = Field(
        pattern=r"^https?://",
        description="The server's address for streamable HTTP.",
        examples=["https://tools.example.com/mcp"],
    )
    headers: Annotated[dict[str, SecretStr], BeforeValidator(from_json)] = Field(
        default={},
        description="Headers that the server is sent, such as its key; a JSON object of texts.",
        examples=['{"Authorization": "Bearer <key>"}'],
    )
    timeout_seconds: float = Field(
        default=30, gt=0, le=600, description="Seconds that connecting, or one call of a tool, may take."
    )


def require_mcp_names(servers: dict[str, McpServer]) -> None:
    """Refuse a name that would not fit into those of tools. Raises MisfitError."""
    for name in servers:
        _require_name(name, "mcp")


def azure_titles(endpoint: str, deployment: str, model: str, given: Titles) -> Titles:
    """Say in this group's words what the wire contract's names of settings say; the key, if any, is this group's.

    Raises MisfitError.
    """
    if given.api_key is None:
        _require_identity("WORKBENCH__SERVICE__AZURE_OPENAI_ENDPOINT")
    azure = {"provider": "azure", "azure_endpoint": endpoint, "azure_deployment": deployment, "model": model}
    return given.model_copy(update=azure)


def _require_complete(reached: Titles | NamedModel, *path: str) -> None:
    """Refuse a model that lacks what its provider needs, or has what does not fit it. Raises MisfitError."""
    needed, unfit = _needs(reached)
    for name in needed:
        if getattr(reached, name) is None:
            raise MisfitError(environment_name(*path, name), f"is needed with the provider {reached.provider}")
    for name in unfit:
        if getattr(reached, name) is not None:
            text = (
                "does not fit" if reached.provider else f"has no effect without {environment_name(*path, 'provider')}"
            )
            raise MisfitError(
                environment_name(*path, name), f"{text} ({reached.provider})" if reached.provider else text
            )
    if reached.provider == "azure" and reached.api_key is None:
        _require_identity(environment_name(*path, "api_key"))


def _needs(reached: Titles | NamedModel) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Which settings the provider needs, and which do not fit it."""
    azure = ("azure_endpoint", "azure_deployment")
    match reached.provider:
        case None:
            return (), ("model", "base_url", *azure)
        case "demo":
            return (), ("model", "base_url", "api_key", *azure)
        case "azure":
            return azure, ("base_url",)
        case "openai" if reached.base_url is not None:
            return ("model",), azure
        case _:
            return ("model", "api_key"), azure


def _require_name(name: str, *path: str) -> None:
    if not NAME.fullmatch(name) or DELIMITER in name:
        text = "a name has up to 32 small letters, digits, dashes and underscores, and begins and ends with no sign"
        raise MisfitError(environment_name(*path, name), text)


def _require_identity(setting: str) -> None:
    try:
        require_azure()
    except ValueError as error:
        raise MisfitError(setting, f"without a key, Azure OpenAI {error}") from None
