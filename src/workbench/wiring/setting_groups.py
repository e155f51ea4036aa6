"""The groups of settings. Descriptions, bounds and examples feed the reference page and the error texts."""

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal, cast
from zoneinfo import ZoneInfoNotFoundError

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    IPvAnyNetwork,
    SecretStr,
    ValidationInfo,
    field_validator,
    model_validator,
)

from workbench.adapters.prices.files import read_prices
from workbench.domain.budgets.model import MAX_AMOUNT, Measure, Period, Scope
from workbench.domain.budgets.windows import zone_named
from workbench.wiring.session_settings import Serving
from workbench.wiring.setting_names import MisfitError
from workbench.wiring.setting_values import (
    Group,
    folder,
    from_json,
    list_from_text,
    require_azure,
    require_otel,
    upper,
    with_driver,
)

Algorithm = Literal[
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "HS256", "HS384", "HS512"
]

LOCAL_MODE_CONSENT = "i-understand-that-anyone-can-call-as-any-assistant"
ENTRA_KEYS_URL = "https://login.microsoftonline.com/common/discovery/v2.0/keys"
SECRET_BYTES = 32


class Db(Group):
    """Where records are kept."""

    url: SecretStr | None = Field(
        default=None,
        description="The database. Unset: a SQLite file `workbench.db` in the data folder.",
        examples=["sqlite:///.data/workbench.db", "postgresql://user:password@host/database"],
    )
    postgresql_direct_url: SecretStr | None = Field(
        default=None,
        description=(
            "The same PostgreSQL past a proxy that pools transactions, such as PgBouncer: for listening to other "
            "processes' commits, and for bringing the schema up to date. Unset: as `url`."
        ),
        examples=["postgresql://user:password@host:5432/database"],
    )
    postgresql_owner_url: SecretStr | None = Field(
        default=None,
        description=(
            "The same PostgreSQL, past any proxy, as the role that owns the tables: for bringing the schema up to date, "
            "and for nothing else. The service works as the role of `url`, which owns nothing, so that the database itself "
            "keeps workspaces apart; that role is made, and is given its rights, when the schema is brought up to date."
        ),
        examples=["postgresql://owner:password@host:5432/database"],
    )
    postgresql_ssl_mode: Literal["disable", "allow", "prefer", "require", "verify-ca", "verify-full"] = Field(
        default="prefer", description="How the connection to PostgreSQL is encrypted, in libpq's words."
    )
    postgresql_pool_size: int = Field(
        default=8, ge=1, le=200, description="Connections to PostgreSQL that each worker process keeps open."
    )
    migrate_at_start: bool = Field(default=True, description="Bring the database's schema up to date before serving.")
    wait_seconds: float = Field(
        default=60.0,
        ge=0,
        le=3600,
        description=(
            "How long a start waits for a PostgreSQL that cannot be reached yet, and for a schema that others bring up to "
            "date, before it fails. 0: not at all."
        ),
    )
    sqlite_synchronous: Literal["FULL", "NORMAL"] = Field(
        default="FULL",
        description="FULL: what was answered survives a power cut. NORMAL: faster, but the last commits may not.",
    )

    @field_validator("url")
    @classmethod
    def _is_supported(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None:
            with_driver(url.get_secret_value())
        return url

    @field_validator("postgresql_direct_url", "postgresql_owner_url")
    @classmethod
    def _leads_to_postgresql(cls, direct: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        if direct is None or "url" not in info.data:
            return direct
        given = [direct, info.data["url"]]
        if not all(url and with_driver(url.get_secret_value()).get_backend_name() == "postgresql" for url in given):
            raise ValueError("is for PostgreSQL, which WORKBENCH__DB__URL has to name as well")
        return direct

    @field_validator("sqlite_synchronous", mode="before")
    @classmethod
    def _in_capitals(cls, value: Any) -> Any:
        return upper(value)


class Storage(Group):
    """Where uploaded files are kept."""

    root: Path | None = Field(
        default=None,
        description="Folder of uploaded files. Unset: `files` in the data folder.",
        examples=["/var/lib/workbench/files"],
    )

    url: str | None = Field(
        default=None,
        pattern=r"^(s3|s3a|gs|az|azure|abfs|abfss)://[^/?#]+",
        description="Object store that keeps files instead: S3, Google Cloud Storage or Azure Blob Storage.",
        examples=["s3://bucket/workbench", "gs://bucket/workbench", "az://container/workbench"],
    )
    options: Annotated[dict[str, SecretStr], BeforeValidator(from_json)] = Field(
        default={},
        description=(
            "Options of that store, a JSON object of texts by the names that obstore has for them. What is not here "
            "comes from the provider's own environment variables, or from the identity of the machine."
        ),
        examples=['{"endpoint": "https://minio.example.com", "region": "us-east-1"}'],
    )

    @field_validator("root")
    @classmethod
    def _absolute(cls, root: Path | None) -> Path | None:
        return None if root is None else folder(root)


class AssistantApiKey(Group):
    """Where the keys of assistant services are kept."""

    key_vault_url: str | None = Field(
        default=None,
        pattern=r"^https://[^/?#]+/?$",
        description=(
            "Azure Key Vault that keeps the keys of assistant services, which are then secured. Unset: the database "
            "keeps them, encrypted."
        ),
        examples=["https://workbench.vault.azure.net"],
    )

    @field_validator("key_vault_url")
    @classmethod
    def _can_be_asked(cls, url: str | None) -> str | None:
        if url is not None:
            require_azure()
        return url


def _names_vault(group: Mapping[str, Any]) -> bool:
    """Whether a key vault is set, in members of Service that may not have been checked yet."""
    place = group.get("assistant_api_key")
    return bool(place.get("key_vault_url") if isinstance(place, Mapping) else getattr(place, "key_vault_url", None))  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]


class DefaultAssistant(Group):
    """An assistant that every user is to have."""

    assistant_service_id: str = Field(min_length=1, description="The service that hosts it.")
    template_id: str = Field(default="default", description="Which of the service's templates.")
    name: str = Field(min_length=1, description="What it is called.")


class Service(Group):
    """Where the service listens, and whom it lets in without asking."""

    host: str = Field(
        default="127.0.0.1",
        min_length=1,
        description="Address to listen on. Anything but a loopback address needs secured assistant keys.",
        examples=["127.0.0.1", "::1", "192.0.2.10"],
    )
    port: int = Field(default=3000, ge=0, le=65535, description="TCP port to listen on; 0 takes a free one.")
    anonymous_paths: Annotated[tuple[str, ...], BeforeValidator(from_json)] = Field(
        default=("/", "/docs", "/openapi.json", "/livez", "/readyz", "/metrics"),
        description="Paths answered without credentials, compared exactly.",
        examples=['["/", "/livez"]'],
    )
    assistant_api_key: AssistantApiKey = AssistantApiKey()
    assistant_keys: Literal["local", "secured"] = Field(
        default="local",
        description=(
            "local: assistant services call without a key, for development on one machine. "
            "secured: each service shows the key of its registration. Always so with a key vault."
        ),
    )
    allow_local_mode_on_network: Literal["i-understand-that-anyone-can-call-as-any-assistant"] | None = Field(
        default=None,
        description="Consent, in words, to listen on a network address while assistant keys are in local mode.",
    )
    allowed_networks: Annotated[tuple[IPvAnyNetwork, ...], BeforeValidator(list_from_text)] = Field(
        default=(),
        description=(
            "Networks of your own in which assistant services may be called while assistant keys are secured, "
            "as a JSON list or with commas. Without it only public addresses are called."
        ),
        examples=['["10.0.0.0/8"]', "10.0.0.0/8,fd12:3456:789a::/48"],
    )
    assistant_key_overlap_hours: float = Field(
        default=24,
        ge=0,
        le=720,
        description="Hours that a service's old key stays valid after a reset that does not say so itself.",
    )
    assistant_service_online_check_interval_seconds: float = Field(
        default=10, gt=0, le=3600, description="Seconds between two looks for services whose heartbeat has stopped."
    )
    default_assistants: Annotated[tuple[DefaultAssistant, ...], BeforeValidator(from_json)] = Field(
        default=(),
        description="Assistants made for every user who has none of that service and template (a JSON list).",
        examples=['[{"assistant_service_id": "echo.workbench.example", "name": "Echo"}]'],
    )
    azure_openai_endpoint: str | None = Field(
        default=None,
        pattern=r"^https?://",
        description=(
            "Azure OpenAI resource whose deployment chooses titles, unless `WORKBENCH__TITLES__PROVIDER` is set; also "
            "read as `AZURE_OPENAI_ENDPOINT`, and so are the next two."
        ),
        examples=["https://workbench.openai.azure.com"],
    )
    azure_openai_deployment: str | None = Field(
        default=None, min_length=1, description="Name of the deployment in that resource."
    )
    azure_openai_model: str = Field(
        default="gpt-4o-mini", min_length=1, description="The model that the deployment serves."
    )
    drain_seconds: float = Field(
        default=10,
        gt=0,
        le=600,
        description="Time in seconds that requests in flight get to finish once the service is told to stop.",
    )
    drain_delay_seconds: float = Field(
        default=0,
        ge=0,
        le=300,
        description=(
            "Seconds before that in which requests are still taken while `/readyz` already answers 503, so that a load "
            "balancer notices. More than the time between two of its looks."
        ),
    )

    @model_validator(mode="before")
    @classmethod
    def _a_vault_secures(cls, values: Any) -> Any:
        """Take a key vault for the wish to secure keys, as the wire contract does."""
        if not isinstance(values, Mapping):
            return values
        group = cast("Mapping[str, Any]", values)
        return {"assistant_keys": "secured", **group} if _names_vault(group) else group

    @field_validator("assistant_keys")
    @classmethod
    def _a_vault_is_secured(cls, mode: str, info: ValidationInfo) -> str:
        if mode == "local" and _names_vault(info.data):
            raise ValueError("contradicts WORKBENCH__SERVICE__ASSISTANT_API_KEY__KEY_VAULT_URL")
        return mode

    @field_validator("anonymous_paths")
    @classmethod
    def _are_paths(cls, paths: tuple[str, ...]) -> tuple[str, ...]:
        wrong = [path for path in paths if not path.startswith("/")]
        if wrong:
            raise ValueError(f"{wrong[0]!r} does not begin with /")
        return paths


class Logging(Group):
    """What is logged, and how."""

    log_level: Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"], BeforeValidator(upper)] = Field(
        default="INFO", description="The least severe entries that are logged."
    )
    json_format: bool = Field(
        default=False, description="One JSON object per line, for machines, instead of coloured text for people."
    )


class Tracing(Group):
    """Traces of requests, commits, deliveries and jobs, with OpenTelemetry."""

    enabled: bool = Field(
        default=False,
        description=(
            "Make spans, and send them where OpenTelemetry's own variables say, such as `OTEL_EXPORTER_OTLP_ENDPOINT`."
        ),
    )

    @field_validator("enabled")
    @classmethod
    def _can_be_done(cls, enabled: bool) -> bool:
        if enabled:
            require_otel()
        return enabled


def _algorithms_for(values: dict[str, Any]) -> tuple[Algorithm, ...]:
    return ("HS256",) if values.get("secret") is not None else ("RS256",)


class Issuer(Group):
    """Who signs user tokens that we accept, and how their claims are read."""

    name: str = Field(min_length=1, max_length=100, description="Short name, for logs and errors.")
    issuer: str | None = Field(default=None, description="Required value of the claim `iss`. Unset: any.")
    jwks_url: str | None = Field(
        default=None, pattern=r"^https?://", description="Address of the issuer's public keys (a JWK set)."
    )
    jwks_file: Path | None = Field(default=None, description="File with the issuer's public keys (a JWK set).")
    secret: SecretStr | None = Field(
        default=None, description="Shared secret of at least 32 bytes, for the algorithms HS256, HS384 and HS512."
    )
    algorithms: tuple[Algorithm, ...] = Field(
        default_factory=_algorithms_for,
        min_length=1,
        description="Signature algorithms accepted. Unset: HS256 with a secret, otherwise RS256.",
    )
    app_id: str | None = Field(
        default=None, description="Application that tokens must be made for (`appid`, `aud` or `azp`). Unset: any."
    )
    audience_required: bool = Field(default=False, description="Refuse tokens without the claim `aud`.")
    tenants: tuple[str, ...] = Field(default=(), description="Accepted values of the claim `tid`. Empty: any.")
    workspace_claim: str | None = Field(
        default=None,
        description="Claim that names the user's workspace; a token without it is refused. Unset: everybody is in `default`.",
    )
    user_prefix: str = Field(
        default="", max_length=50, description="Put before user ids, so that two issuers cannot name the same user."
    )
    admin_role: str | None = Field(
        default=None,
        min_length=1,
        description=(
            "Value in the claim `roles` that makes a user an admin of their workspace, who sees what everybody used and sets "
            "budgets. Unset: nobody is."
        ),
    )
    engineer_role: str | None = Field(
        default=None,
        min_length=1,
        description=(
            "Value in the claim `roles` that lets a user work on troubleshooting sessions; admins may too. "
            "Unset: everybody may."
        ),
    )
    author_role: str | None = Field(
        default=None,
        min_length=1,
        description="Value in the claim `roles` that lets a user import and publish playbooks; admins may too. Unset: everybody may.",
    )
    team_claim: str | None = Field(
        default=None,
        min_length=1,
        description="Claim with the list of a user's teams, whom a session can be escalated to. Unset: nobody is in any.",
    )
    connector_role: str | None = Field(
        default=None,
        min_length=1,
        description="Value in the claim `roles` that lets a user connect ticket systems; admins may too. Unset: only admins may.",
    )

    @model_validator(mode="after")
    def _has_one_key_source(self) -> "Issuer":
        sources = [self.jwks_url, self.jwks_file, self.secret]
        if sum(source is not None for source in sources) != 1:
            raise ValueError("needs exactly one of jwks_url, jwks_file and secret")
        if self.jwks_file is not None and not self.jwks_file.is_file():
            raise ValueError(f"jwks_file: there is no file {self.jwks_file}")
        return self

    @model_validator(mode="after")
    def _algorithms_fit_the_keys(self) -> "Issuer":
        symmetric = [name for name in self.algorithms if name.startswith("HS")]
        if self.secret is None and symmetric:
            raise ValueError(f"{symmetric[0]} needs a secret: a public key must never serve as one")
        if self.secret is None:
            return self
        if len(symmetric) < len(self.algorithms):
            raise ValueError("a secret serves only the algorithms HS256, HS384 and HS512")
        # RFC 7518, 3.2: the key has at least as many bits as the hash.
        needed = max(SECRET_BYTES, *(int(name[2:]) // 8 for name in symmetric))
        if len(self.secret.get_secret_value().encode()) < needed:
            raise ValueError(f"the secret for {symmetric[-1]} needs at least {needed} bytes")
        return self


class Auth(Group):
    """Whose user tokens are accepted."""

    issuers: Annotated[tuple[Issuer, ...], BeforeValidator(from_json)] = Field(
        default=(),
        description="Issuers of user tokens, as a JSON list of objects, each with one key source.",
        examples=['[{"name": "company", "jwks_url": "https://id.example.com/keys", "app_id": "workbench"}]'],
    )
    allowed_jwt_algorithms: Annotated[tuple[Algorithm, ...], BeforeValidator(from_json)] = Field(
        default=("RS256",),
        min_length=1,
        description="Signature algorithms of tokens for `allowed_app_id`. Listed issuers name their own.",
    )
    allowed_app_id: str | None = Field(
        default=None,
        min_length=1,
        description="Application id in Microsoft Entra. With no issuers listed, Entra's tokens for it are accepted.",
        examples=["22cb77c3-ca98-4a26-b4db-ac4dcecba690"],
    )
    local_issuer: bool = Field(
        default=True, description="Accept tokens made by `workbench token`, signed with a key in the data folder."
    )

    @field_validator("issuers")
    @classmethod
    def _names_are_unique(cls, issuers: tuple[Issuer, ...]) -> tuple[Issuer, ...]:
        names = [issuer.name for issuer in issuers]
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise ValueError(f"two issuers are named {repeated[0]!r}")
        return issuers

    @field_validator("allowed_jwt_algorithms")
    @classmethod
    def _symmetric_needs_a_secret(cls, names: tuple[Algorithm, ...], info: ValidationInfo) -> tuple[Algorithm, ...]:
        symmetric = [name for name in names if name.startswith("HS")]
        if symmetric and "issuers" in info.data:
            raise ValueError(f"{symmetric[0]} needs a secret: list an issuer with one in WORKBENCH__AUTH__ISSUERS")
        return names


class Events(Group):
    """How long events are kept, and how streams are fed."""

    retention_days: float = Field(
        default=7, gt=0, le=3650, description="Days for which a reader can come back and find what it missed."
    )
    keep_alive_seconds: float = Field(
        default=15, gt=0, le=300, description="Seconds between two signs of life on a silent stream."
    )
    reader_buffer: int = Field(
        default=256, ge=1, le=65536, description="Frames kept for a slow reader before it has to read from the log."
    )


class Retention(Group):
    """For how long things are kept where a workspace or a conversation has no rule of its own. Unset: for ever.

    Events have their own setting, `WORKBENCH__EVENTS__RETENTION_DAYS`.
    """

    messages_days: float | None = Field(
        default=None, gt=0, le=36_500, description="Days for which messages are kept, with their debug data."
    )
    files_days: float | None = Field(
        default=None, gt=0, le=36_500, description="Days for which versions of files are kept."
    )
    audit_days: float | None = Field(
        default=None, gt=0, le=36_500, description="Days for which the record of administrative acts is kept."
    )


class Turns(Group):
    """Answers that are streamed."""

    events_kept_seconds: float = Field(
        default=3600,
        ge=60,
        le=30 * 86_400,
        description="Seconds after its end for which a turn can be watched again event by event; later, as a whole.",
    )
    model_answers_at_once: int = Field(
        default=64,
        ge=1,
        le=10_000,
        description="Answers of the service's own assistants that one process makes at once; what is more waits.",
    )


class Usage(Group):
    """What models cost."""

    prices_file: Path | None = Field(
        default=None,
        description="A TOML file with prices of your own, which win over those that come with the service.",
        examples=["/etc/workbench/prices.toml"],
    )

    @field_validator("prices_file")
    @classmethod
    def _can_be_read(cls, path: Path | None) -> Path | None:
        if path is None:
            return None
        read_prices(folder(path))
        return folder(path)


class BudgetLimit(Group):
    """What a workspace, each user or each assistant may use in a day or a month."""

    scope: Scope = Field(description="Whose: of the `workspace`, of each `user`, or of each `assistant`.")
    measure: Measure = Field(
        description="`turns`, `tokens`, `generations` for sessions, or `cost_micros`: millionths of a dollar."
    )
    period: Period = Field(description="In a `day` or a `month`.")
    amount: int = Field(ge=0, le=MAX_AMOUNT, description="How much, at most.")
    anchor: date | None = Field(
        default=None, description="The day from which months are counted. Unset: the first of a month."
    )

    @model_validator(mode="after")
    def _only_months_have_anchors(self) -> "BudgetLimit":
        if self.anchor is not None and self.period != "month":
            raise ValueError("only months have an anchor")
        return self


def _time_zone(name: str) -> str:
    """Let pass what the machine knows."""
    try:
        zone_named(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"{name!r} is no time zone that this machine knows") from None
    return name


TimeZone = Annotated[str, AfterValidator(_time_zone)]


class Budgets(Group):
    """How much may be spent on models where nobody stored other limits. Without limits there is no end to it."""

    limits: Annotated[tuple[BudgetLimit, ...], BeforeValidator(from_json)] = Field(
        default=(),
        description="Limits of every workspace, user and assistant (a JSON list).",
        examples=['[{"scope": "user", "measure": "turns", "period": "day", "amount": 200}]'],
    )
    time_zone: TimeZone = Field(
        default="UTC", description="Where the days of budgets begin at midnight.", examples=["Europe/Vienna"]
    )
    workspace_time_zones: Annotated[dict[str, TimeZone], BeforeValidator(from_json)] = Field(
        default={},
        description="The same for single workspaces, by their ids (a JSON object).",
        examples=['{"research": "America/New_York"}'],
    )

    @field_validator("limits")
    @classmethod
    def _are_no_two_of_a_kind(cls, limits: tuple[BudgetLimit, ...]) -> tuple[BudgetLimit, ...]:
        kinds = [(limit.scope, limit.measure, limit.period) for limit in limits]
        if len(set(kinds)) < len(kinds):
            raise ValueError("has two limits of the same scope, measure and period")
        return limits


class Delivery(Group):
    """How events are brought to assistant services."""

    timeout_seconds: float = Field(
        default=15, gt=0, le=20, description="Seconds that one call may take; less than a worker's lease lasts."
    )
    first_retry_seconds: float = Field(default=1, gt=0, le=3600, description="Seconds before the first repetition.")
    max_retry_seconds: float = Field(
        default=300, gt=0, le=86400, description="Longest wait in seconds between two repetitions."
    )
    give_up_after_hours: float = Field(
        default=24, gt=0, description="Hours after which an event that cannot be delivered is set aside."
    )
    breaker_failures: int = Field(
        default=5, ge=1, le=1000, description="Failed calls in a row after which a service is left alone for a while."
    )
    breaker_first_seconds: float = Field(
        default=5, gt=0, le=3600, description="Seconds until such a service is probed; doubled after a failed probe."
    )
    breaker_max_seconds: float = Field(
        default=60, gt=0, le=3600, description="Longest wait in seconds between two probes."
    )

    @field_validator("max_retry_seconds")
    @classmethod
    def _not_before_the_first(cls, seconds: float, info: ValidationInfo) -> float:
        first = info.data.get("first_retry_seconds", 0)
        if seconds < first:
            raise ValueError(f"is shorter than WORKBENCH__DELIVERY__FIRST_RETRY_SECONDS ({first:g})")
        return seconds

    @field_validator("breaker_max_seconds")
    @classmethod
    def _not_before_the_first_probe(cls, seconds: float, info: ValidationInfo) -> float:
        first = info.data.get("breaker_first_seconds", 0)
        if seconds < first:
            raise ValueError(f"is shorter than WORKBENCH__DELIVERY__BREAKER_FIRST_SECONDS ({first:g})")
        return seconds


class Limits(Group):
    """How large requests and files may be."""

    body_bytes: int = Field(
        default=8 << 20,
        ge=1024,
        le=1 << 30,
        description="Largest request body, in bytes, of routes without a limit of their own.",
    )
    message_bytes: int = Field(default=1 << 20, ge=1, le=1 << 30, description="Largest message content, in bytes.")
    metadata_bytes: int = Field(
        default=256 << 10, ge=2, le=1 << 30, description="Largest metadata of one record, in bytes of JSON."
    )

    file_bytes: int = Field(default=100 << 20, ge=1, le=1 << 40, description="Largest file, in bytes.")
    conversation_file_bytes: int = Field(
        default=1 << 30, ge=1, le=1 << 50, description="All versions of all files of a conversation together, in bytes."
    )
    workspace_file_bytes: int = Field(
        default=100 << 30, ge=1, le=1 << 60, description="All versions of all files of a workspace together, in bytes."
    )

    archive_bytes: int = Field(default=1 << 30, ge=1, le=1 << 40, description="Largest archive to import, in bytes.")
    archive_unpacked_bytes: int = Field(
        default=4 << 30, ge=1, le=1 << 42, description="The most that an archive may unpack to, in bytes."
    )
    redemptions_per_minute: int = Field(
        default=30,
        ge=1,
        le=1_000_000,
        description="How often a user may try to redeem shares; on SQLite, in each process.",
    )

    pace: float = Field(
        default=1.0,
        gt=0,
        le=1_000_000,
        description="How often routes of sessions and playbooks may be used, as a multiple of what is usual.",
    )

    @field_validator("message_bytes", "metadata_bytes")
    @classmethod
    def _fits_the_body(cls, size: int, info: ValidationInfo) -> int:
        body = info.data.get("body_bytes", size)
        if size > body:
            raise ValueError(f"is more than WORKBENCH__LIMITS__BODY_BYTES ({body})")
        return size


class Sessions(Serving):
    """Troubleshooting sessions: how well a playbook must fit what is reported, who reads what, and what models write."""

    guided_from: float = Field(
        default=0.60,
        gt=0,
        le=1,
        description="Score from which on a playbook is followed unasked, and a step is `guided`.",
    )
    exploring_from: float = Field(
        default=0.35, gt=0, le=1, description="Score from which on playbooks are offered, and a step is `exploring`."
    )
    lead: float = Field(
        default=0.10, ge=0, le=1, description="How far a playbook must be ahead of the next one to be followed unasked."
    )
    idle_days: float = Field(
        default=30, gt=0, le=3650, description="Days without anything happening after which a session is given up."
    )
    reopen_days: float = Field(
        default=7,
        ge=0,
        le=3650,
        description="Days for which a session can be reopened that is resolved from now on; 0: not at all.",
    )
    purge_days: float = Field(
        default=30,
        ge=0,
        le=3650,
        description="Days after which a deleted session, hidden at once, is removed for good.",
    )
    documentation_access: Literal["owner", "owner_and_handler"] = Field(
        default="owner", description="Who reads the documentation of a session."
    )
    share_resolutions: Annotated[tuple[str, ...], BeforeValidator(list_from_text)] = Field(
        default=(),
        description=(
            "Workspaces in which everybody who looks for similar sessions is told how others solved theirs, without "
            "what these were and whose, as far as they have not decided otherwise by `workbench workspaces set`; `*` is "
            "all of them. Given with commas or as a JSON list."
        ),
        examples=["support,network", "*"],
    )

    @field_validator("exploring_from")
    @classmethod
    def _is_below_guided(cls, score: float, info: ValidationInfo) -> float:
        guided = info.data.get("guided_from", score)
        if score > guided:
            raise ValueError(f"is more than WORKBENCH__SESSIONS__GUIDED_FROM ({guided:g})")
        return score


class AzureSpeech(Group):
    """Tokens for Azure's speech service, which clients then call themselves. Both members are set, or none.

    The names also work without their prefix in the environment: `AZURE_SPEECH__RESOURCE_ID`, `AZURE_SPEECH__REGION`.
    """

    resource_id: str | None = Field(
        default=None,
        min_length=1,
        description="Azure's full resource id of the speech service. Unset: clients get no tokens.",
        examples=[
            "/subscriptions/<id>/resourceGroups/<group>/providers/Microsoft.CognitiveServices/accounts/<name>",
        ],
    )
    region: str | None = Field(
        default=None, min_length=1, description="Region of the speech service.", examples=["westeurope"]
    )

    @model_validator(mode="after")
    def _is_whole(self) -> "AzureSpeech":
        if self.resource_id is None and self.region is None:
            return self
        for name in ("resource_id", "region"):
            if getattr(self, name) is None:
                raise MisfitError(f"WORKBENCH__AZURE_SPEECH__{name.upper()}", "is needed together with the other one")
        require_azure()
        return self
