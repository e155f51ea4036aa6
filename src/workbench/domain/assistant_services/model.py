"""An assistant service: its registration, its heartbeat and how it is reached."""

from datetime import datetime
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit
from uuid import UUID

import msgspec

from workbench.domain.errors import InvalidError
from workbench.domain.users.model import SERVICE_USER_ID, SERVICE_USER_NAME

ServiceId = Annotated[str, msgspec.Meta(min_length=4, max_length=255)]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=1024)]
Description = Annotated[str, msgspec.Meta(max_length=64 * 1024)]

KEY_BYTES = 32
SHOWN_OF_KEY = 4

CircuitState = Literal["closed", "open", "half-open"]
"""Whether a service that failed is called: closed: yes; open: no; half-open: once, to see."""

KeyLifetime = Annotated[float, msgspec.Meta(gt=0, le=10 * 366 * 86_400)]

DEFAULT_PORTS = {"http": 80, "https": 443}


class NewRegistration(msgspec.Struct, frozen=True, kw_only=True):
    """What a user sends to register a service before it first announces itself."""

    assistant_service_id: Annotated[ServiceId, msgspec.Meta(pattern=r"^\s*[A-Za-z0-9.-]+\s*$")]
    name: Name
    description: Description
    include_in_listing: bool = True
    api_key_expires_in_seconds: KeyLifetime | None = None


class RegistrationChange(msgspec.Struct, frozen=True, kw_only=True):
    """What is to change of a registration. Absent: unchanged; null is refused, with a text that names the field."""

    name: str | msgspec.UnsetType | None = msgspec.UNSET
    description: str | msgspec.UnsetType | None = msgspec.UNSET
    include_in_listing: bool | msgspec.UnsetType | None = msgspec.UNSET

    def values(self) -> dict[str, Any]:
        """What is given, by field. Raises InvalidError for a null."""
        given = {name: getattr(self, name) for name in self.__struct_fields__}
        for name, value in given.items():
            if value is None:
                raise InvalidError(f"{name} cannot be null", field=name)
        return {name: value for name, value in given.items() if value is not msgspec.UNSET}


class KeyReset(msgspec.Struct, frozen=True, kw_only=True):
    """How a key is replaced: for how long the old one stays valid (null: as the setting says; 0: not at all)."""

    overlap_seconds: Annotated[float, msgspec.Meta(ge=0, le=30 * 86_400)] | None = None
    expires_in_seconds: KeyLifetime | None = None


class RegistrationFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which registrations: those of some users, listed or not; or of all, but only the listed ones."""

    created_by: tuple[str, ...] = ()
    online: bool | None = None


class Heartbeat(msgspec.Struct, frozen=True, kw_only=True):
    """What a service says of itself, again and again."""

    name: str
    description: str
    url: Annotated[str, msgspec.Meta(max_length=2048)]
    online_expires_in_seconds: Annotated[float, msgspec.Meta(ge=0, le=7 * 86_400)]


class Registration(msgspec.Struct, frozen=True, kw_only=True):
    """A registered service. `api_key` is shown whole only where it was just made; otherwise masked, or null."""

    assistant_service_id: str
    created_by_user_id: str
    created_by_user_name: str
    created_datetime: datetime
    name: str
    description: str
    include_in_listing: bool
    api_key_name: str
    assistant_service_url: str
    assistant_service_online: bool
    assistant_service_online_expiration_datetime: datetime | None
    api_key: str | None = None
    api_key_last_used_datetime: datetime | None = None
    api_key_expiration_datetime: datetime | None = None

    @classmethod
    def created(cls, new: NewRegistration, creator_id: str, creator_name: str, now: datetime) -> "Registration":
        """A registration that has not been heard of yet; ids are trimmed and lower-case."""
        return cls(
            assistant_service_id=new.assistant_service_id.strip().lower(),
            created_by_user_id=creator_id,
            created_by_user_name=creator_name,
            created_datetime=now,
            name=new.name,
            description=new.description,
            include_in_listing=new.include_in_listing,
            api_key_name="",
            assistant_service_url="",
            assistant_service_online=False,
            assistant_service_online_expiration_datetime=None,
        )

    @classmethod
    def self_made(cls, service_id: str, heartbeat: Heartbeat, now: datetime) -> "Registration":
        """What an unknown service becomes by announcing itself in local mode."""
        new = NewRegistration(
            assistant_service_id=service_id, name=heartbeat.name or service_id, description=heartbeat.description
        )
        made = cls.created(new, SERVICE_USER_ID, SERVICE_USER_NAME, now)
        return msgspec.structs.replace(made, assistant_service_id=service_id)


class RegistrationList(msgspec.Struct, frozen=True, kw_only=True):
    """The wire's wrapper of a list."""

    assistant_service_registrations: list[Registration]


class Sign(msgspec.Struct, frozen=True, kw_only=True):
    """A sign of life: where the service is, until when it will be there, and whether it came with its current key."""

    assistant_service_id: str
    url: str
    at: datetime
    expires: datetime
    with_current_key: bool


class ServiceAddress(msgspec.Struct, frozen=True, kw_only=True):
    """Where a service is, and whether it has come with its current key yet, so that it knows it.

    `last_key` is for farewells: the key of a service whose registration, and with it its key, is gone.
    """

    assistant_service_id: str
    url: str
    knows_its_key: bool = True
    last_key: str | None = None

    def join(self, *parts: object) -> str:
        """The URL with path segments appended; a path of its own is kept."""
        return "/".join([self.url.strip("/"), *(str(part) for part in parts)])


class AssistantAddress(msgspec.Struct, frozen=True, kw_only=True):
    """An assistant, and the service that hosts it."""

    assistant_id: UUID
    service: ServiceAddress


def normal_url(text: str) -> str:
    """Bring a service's URL into the contract's form: lower-case scheme and host, no default port, a path.

    Raises InvalidError naming `url` for anything but an absolute http or https URL without credentials.
    """
    try:
        parts = urlsplit(text.strip())
        port, host = parts.port, parts.hostname
    except ValueError as error:
        raise InvalidError("url is not a URL", field="url") from error
    scheme = parts.scheme.lower()
    if scheme not in DEFAULT_PORTS or not host or parts.username is not None or parts.query or parts.fragment:
        raise InvalidError("url must be an http or https URL without credentials, query or fragment", field="url")
    name = f"[{host}]" if ":" in host else host
    netloc = name if port in (None, DEFAULT_PORTS[scheme]) else f"{name}:{port}"
    return f"{scheme}://{netloc}{parts.path or '/'}"


def masked(key: str) -> str:
    """The first characters of a key, and stars: enough to tell keys apart."""
    if len(key) <= SHOWN_OF_KEY:
        return "*" * KEY_BYTES
    return key[:SHOWN_OF_KEY] + "*" * (len(key) - SHOWN_OF_KEY)


def form_text(value: dict[str, Any]) -> str:
    """JSON text for a form field, as the contract's services expect it."""
    return msgspec.json.encode(value).decode()
