"""All settings in one frozen object, read from the environment and `.env`; a wrong one stops the start."""

import ipaddress
import os
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    EnvSettingsSource,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)
from sqlalchemy.engine import URL

from workbench.wiring.embedding_settings import Embeddings
from workbench.wiring.flow_settings import Bus, Flows
from workbench.wiring.model_settings import McpServer, Models, Titles, azure_titles, require_mcp_names
from workbench.wiring.session_settings import require_serving_models
from workbench.wiring.setting_groups import (
    ENTRA_KEYS_URL,
    LOCAL_MODE_CONSENT,
    Auth,
    AzureSpeech,
    Budgets,
    Db,
    Delivery,
    Events,
    Issuer,
    Limits,
    Logging,
    Retention,
    Service,
    Sessions,
    Storage,
    Tracing,
    Turns,
    Usage,
)
from workbench.wiring.setting_names import (
    DELIMITER,
    PREFIX,
    MisfitError,
    SettingEntry,
    SettingsError,
    faults_of,
    known_settings,
    setting_names,
    unknown_names,
)
from workbench.wiring.setting_values import folder, shown, with_driver
from workbench.wiring.ticket_settings import Tickets

PRIVATE_FOLDER = 0o700
ENV_FILE = Path(".env")


class Settings(BaseModel):
    """The settings of one service.

    This class reads nothing by itself: programs that embed the service, and tests, say `Settings.of(...)`;
    the command line says `load_settings()`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, hide_input_in_errors=True)

    data_root: Path = Field(
        default=Path(".data"),
        description="The data folder: local keys, and by default the database and uploaded files.",
        examples=[".data", "/var/lib/workbench"],
    )
    db: Db = Db()
    storage: Storage = Storage()
    service: Service = Service()
    logging: Logging = Logging()
    tracing: Tracing = Tracing()
    auth: Auth = Auth()
    events: Events = Events()
    retention: Retention = Retention()
    delivery: Delivery = Delivery()
    limits: Limits = Limits()
    titles: Titles = Titles()
    models: Models = Models()
    mcp: dict[str, McpServer] = {}
    turns: Turns = Turns()
    usage: Usage = Usage()
    sessions: Sessions = Sessions()
    tickets: Tickets = Tickets()
    embeddings: Embeddings = Embeddings()
    bus: Bus = Bus()
    flows: Flows = Flows()
    budgets: Budgets = Budgets()
    azure_speech: AzureSpeech = AzureSpeech()

    @classmethod
    def of(cls, **values: Any) -> "Settings":
        """Make settings from these values and the defaults alone; the environment and `.env` are not looked at.

        A group is given as a dict or as its own class: `Settings.of(data_root=folder, db={"url": url})`.
        Raises SettingsError.
        """
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise SettingsError(faults_of(error, known_settings(Settings))) from None

    @field_validator("data_root")
    @classmethod
    def _absolute(cls, path: Path) -> Path:
        return folder(path)

    @model_validator(mode="after")
    def _events_outlive_delivery(self) -> "Settings":
        if self.delivery.give_up_after_hours > self.events.retention_days * 24:
            raise MisfitError(
                "WORKBENCH__DELIVERY__GIVE_UP_AFTER_HOURS",
                f"is longer than events are kept: WORKBENCH__EVENTS__RETENTION_DAYS is {self.events.retention_days:g}",
            )
        return self

    @model_validator(mode="after")
    def _messages_outlive_delivery(self) -> "Settings":
        days = self.retention.messages_days
        if days is not None and self.delivery.give_up_after_hours > days * 24:
            raise MisfitError(
                "WORKBENCH__RETENTION__MESSAGES_DAYS",
                "is shorter than delivery may take: "
                f"WORKBENCH__DELIVERY__GIVE_UP_AFTER_HOURS is {self.delivery.give_up_after_hours:g}",
            )
        return self

    @model_validator(mode="after")
    def _titles_are_complete(self) -> "Settings":
        _ = self.title_model
        return self

    @model_validator(mode="after")
    def _models_of_sessions_are_there(self) -> "Settings":
        require_serving_models(self.sessions, self.models)
        return self

    @model_validator(mode="after")
    def _mcp_servers_have_names(self) -> "Settings":
        require_mcp_names(self.mcp)
        return self

    @property
    def title_model(self) -> Titles | None:
        """The model that chooses titles, by whichever names it was set; None where titles are not chosen."""
        service = self.service
        if self.titles.provider is not None:
            return self.titles
        if service.azure_openai_endpoint is None or service.azure_openai_deployment is None:
            return None
        return azure_titles(
            service.azure_openai_endpoint, service.azure_openai_deployment, service.azure_openai_model, self.titles
        )

    @property
    def sqlalchemy_url(self) -> URL:
        """The database for SQLAlchemy, with its async driver; printing it hides the password."""
        if self.db.url is None:
            return URL.create("sqlite+aiosqlite", database=str(self.data_root / "workbench.db"))
        return with_driver(self.db.url.get_secret_value())

    @property
    def direct_url(self) -> URL:
        """The same past any proxy, for what needs a session of its own."""
        direct = self.db.postgresql_direct_url
        return self.sqlalchemy_url if direct is None else with_driver(direct.get_secret_value())

    @property
    def needs_owner(self) -> bool:
        """Whether the schema can be changed by somebody else alone, who is not named here."""
        return self.database_kind == "postgresql" and self.db.postgresql_owner_url is None

    @property
    def owner_url(self) -> URL:
        """The same as the role that owns the tables, past any proxy."""
        owner = self.db.postgresql_owner_url
        return self.direct_url if owner is None else with_driver(owner.get_secret_value())

    @property
    def database_url(self) -> str:
        """The same as text. It may hold a password: never print it."""
        return self.sqlalchemy_url.render_as_string(hide_password=False)

    @property
    def database_shown(self) -> str:
        """The database for people: no driver, and stars in place of the password."""
        return shown(self.sqlalchemy_url)

    @property
    def database_kind(self) -> Literal["sqlite", "postgresql"]:
        """Which of the two databases this is."""
        return "sqlite" if self.sqlalchemy_url.get_backend_name() == "sqlite" else "postgresql"

    @property
    def database_file(self) -> Path | None:
        """The file of a SQLite database; None for PostgreSQL."""
        return Path(self.sqlalchemy_url.database or "") if self.database_kind == "sqlite" else None

    @property
    def storage_root(self) -> Path:
        """The folder of uploaded files."""
        return self.storage.root or self.data_root / "files"

    @property
    def issuers(self) -> tuple[Issuer, ...]:
        """The issuers listed; with none listed, Microsoft Entra for the allowed application."""
        if self.auth.issuers or self.auth.allowed_app_id is None:
            return self.auth.issuers
        entra = Issuer(
            name="entra",
            jwks_url=ENTRA_KEYS_URL,
            app_id=self.auth.allowed_app_id,
            algorithms=self.auth.allowed_jwt_algorithms,
        )
        return (entra,)

    @property
    def is_open_to_network(self) -> bool:
        """Whether the service would listen on anything but a loopback address."""
        if self.service.host.lower() == "localhost":
            return False
        try:
            return not ipaddress.ip_address(self.service.host.strip("[]")).is_loopback
        except ValueError:
            return True

    def require_safe_address(self) -> None:
        """Refuse to let a network call as any assistant, unless a setting says so in words.

        Raises SettingsError.
        """
        service = self.service
        if service.assistant_keys == "local" and self.is_open_to_network and not service.allow_local_mode_on_network:
            raise SettingsError({"WORKBENCH__SERVICE__HOST": _exposed(service.host)})

    def make_data_root(self) -> Path:
        """Make the data folder, open to its owner alone, and return it."""
        self.data_root.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
        return self.data_root


class EnvironmentSettings(Settings, BaseSettings):
    """The same settings, read from the environment and `.env`."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        validate_default=True,
        hide_input_in_errors=True,
        env_prefix=PREFIX,
        env_nested_delimiter=DELIMITER,
        env_ignore_empty=True,
        enable_decoding=False,
        dotenv_filtering="match_prefix",
    )

    @classmethod
    def settings_customise_sources(
        cls, settings_cls: type[BaseSettings], *sources: PydanticBaseSettingsSource, **named: PydanticBaseSettingsSource
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read the names that the wire contract gives without a prefix after all others, which win over them."""
        return (*sources, *named.values(), InitSettingsSource(settings_cls, _without_prefix()))


def load_settings(*, env_file: Path | None = ENV_FILE, **overrides: Any) -> Settings:
    """Read the settings; `overrides` (`service={"port": 0}`) win over the environment, that over the file.

    An empty variable counts as unset. Raises SettingsError with a line for every fault.
    """
    unknown = unknown_names(_names_given(env_file), setting_names(Settings))
    values: dict[str, Any] = {"_env_file": env_file, **overrides}
    try:
        settings = EnvironmentSettings(**values)
    except ValidationError as error:
        found = faults_of(error, known_settings(Settings))
        hidden = [name for name in found for other in unknown if other.startswith(name + DELIMITER)]
        raise SettingsError({name: found[name] for name in found if name not in hidden} | unknown) from None
    if unknown:
        raise SettingsError(unknown)
    return settings


def settings_reference() -> list[SettingEntry]:
    """Every setting with its description, default and allowed values, for the reference page."""
    return known_settings(Settings)


def _without_prefix() -> dict[str, Any]:
    speech = {name: f"AZURE_SPEECH__{name.upper()}" for name in AzureSpeech.model_fields}
    titles = {name: name.upper() for name in Service.model_fields if name.startswith("azure_openai_")}
    return {"azure_speech": _given(speech), "service": _given(titles)}


def _given(names: dict[str, str]) -> dict[str, str]:
    return {name: os.environ[full] for name, full in names.items() if os.environ.get(full)}


def _names_given(env_file: Path | None) -> list[str]:
    environment = EnvSettingsSource(EnvironmentSettings).env_vars
    file = DotEnvSettingsSource(EnvironmentSettings, env_file=env_file).env_vars
    return [*environment, *file]


def _exposed(host: str) -> str:
    return (
        f"{host} can be reached from the network, and in local mode anyone who reaches it can call as any assistant. "
        "Set WORKBENCH__SERVICE__ASSISTANT_KEYS=secured, or listen on 127.0.0.1, or set "
        f"WORKBENCH__SERVICE__ALLOW_LOCAL_MODE_ON_NETWORK to {LOCAL_MODE_CONSENT}"
    )
