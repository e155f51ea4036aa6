"""Who is calling: which credentials count, in which order, and what the others are told."""

from uuid import UUID

import pytest

from workbench.adapters.clock import SystemClock
from workbench.adapters.keys.local import LocalModeKeys
from workbench.domain.errors import UnauthenticatedError, UnavailableError
from workbench.domain.identity.model import (
    EVERYWHERE,
    HOST_ID,
    Credentials,
    HostTokens,
    Principal,
    Role,
    ServiceKeys,
    require_role,
)
from workbench.domain.identity.service import Authenticator

SERVICE, KEY = "echo.workbench.example", "k3y_of-the.service"
ASSISTANT = UUID("11111111-2222-4333-8444-555555555555")
FOREIGN_ASSISTANT = UUID("99999999-2222-4333-8444-555555555555")
HOST_TOKEN = "a-token-that-operators-gave-to-hosts"
ANN = Principal(workspace_id="team", role="user", id="ann", name="Ann")


class Tokens:
    """One token that is good, and one whose issuer is away."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    async def verify(self, token: str) -> Principal:
        self.seen.append(token)
        if token == "away":
            raise UnavailableError("away")
        if token != "good":
            raise UnauthenticatedError("Invalid token", code="invalid_token")
        return ANN


class Keys:
    """The keys of two services, one of which is not registered yet."""

    async def find(self, assistant_service_id: str) -> ServiceKeys | None:
        key = {SERVICE: KEY, "unregistered": KEY, "umlaut": "schlüssel"}.get(assistant_service_id)
        return ServiceKeys(current=key) if key else None

    async def put(self, assistant_service_id: str, keys: ServiceKeys) -> None:
        raise NotImplementedError

    async def remove(self, assistant_service_id: str) -> None:
        raise NotImplementedError


class Directory:
    """One registered service in the workspace `team`, with one assistant."""

    async def workspace_of_service(self, assistant_service_id: str) -> str | None:
        return "team" if assistant_service_id == SERVICE else None

    async def workspace_of_assistant(self, assistant_id: UUID, assistant_service_id: str) -> str | None:
        return "team" if (assistant_id, assistant_service_id) == (ASSISTANT, SERVICE) else None


@pytest.fixture
def tokens() -> Tokens:
    return Tokens()


@pytest.fixture
def authenticator(tokens: Tokens) -> Authenticator:
    return Authenticator(tokens, Keys(), Directory(), SystemClock(), HostTokens((HOST_TOKEN,)))


async def refusal(authenticator: Authenticator, credentials: Credentials) -> tuple[str, str]:
    with pytest.raises(UnauthenticatedError) as caught:
        await authenticator.authenticate(credentials)
    return caught.value.detail, caught.value.error_code


async def test_a_token_brings_its_user(authenticator: Authenticator) -> None:
    assert await authenticator.authenticate(Credentials(bearer_token="good")) == ANN


async def test_what_the_token_s_issuer_says_is_passed_on(authenticator: Authenticator) -> None:
    assert await refusal(authenticator, Credentials(bearer_token="bad")) == ("Invalid token", "invalid_token")
    with pytest.raises(UnavailableError):
        await authenticator.authenticate(Credentials(bearer_token="away"))


@pytest.mark.parametrize(
    "credentials",
    [
        Credentials(),
        Credentials(bearer_token="", service_id="", api_key="", assistant_id=""),
        Credentials(api_key=KEY),
        Credentials(assistant_id=str(ASSISTANT)),
        Credentials(api_key=KEY, assistant_id=str(ASSISTANT)),
    ],
)
async def test_without_usable_credentials_nobody_is_known(
    authenticator: Authenticator, credentials: Credentials
) -> None:
    assert await refusal(authenticator, credentials) == ("Not authenticated", "unauthenticated")


async def test_a_service_with_its_key_is_in_its_workspace(authenticator: Authenticator) -> None:
    assert await authenticator.authenticate(Credentials(service_id=SERVICE, api_key=KEY)) == Principal(
        workspace_id="team", role="service", id=SERVICE, service_id=SERVICE
    )


async def test_a_service_that_is_not_registered_anywhere_is_in_the_default_workspace(
    authenticator: Authenticator,
) -> None:
    principal = await authenticator.authenticate(Credentials(service_id="unregistered", api_key=KEY))
    assert (principal.workspace_id, principal.role) == ("default", "service")


@pytest.mark.parametrize("key", ["", "wrong", KEY[:-1], KEY + " ", KEY.upper(), "ключ", "\xff"])
async def test_a_wrong_key_is_refused(authenticator: Authenticator, key: str) -> None:
    for service_id in (SERVICE, "unknown"):
        refused = await refusal(authenticator, Credentials(service_id=service_id, api_key=key))
        assert refused == ("Invalid credentials", "invalid_credentials")


async def test_an_unknown_service_is_refused_whatever_it_shows(authenticator: Authenticator) -> None:
    for key in ("", KEY):
        refused = await refusal(authenticator, Credentials(service_id="unknown", api_key=key))
        assert refused == ("Invalid credentials", "invalid_credentials")


async def test_a_key_of_any_letters_is_compared(authenticator: Authenticator) -> None:
    principal = await authenticator.authenticate(Credentials(service_id="umlaut", api_key="schlüssel"))
    assert principal.service_id == "umlaut"


async def test_a_service_s_headers_win_over_any_token(authenticator: Authenticator, tokens: Tokens) -> None:
    both = Credentials(bearer_token="good", service_id=SERVICE, api_key=KEY)
    assert (await authenticator.authenticate(both)).role == "service"
    wrong = Credentials(bearer_token="good", service_id=SERVICE, api_key="wrong")
    assert (await refusal(authenticator, wrong))[0] == "Invalid credentials"
    assert tokens.seen == []


async def test_an_empty_service_id_is_as_good_as_none(authenticator: Authenticator) -> None:
    credentials = Credentials(bearer_token="good", service_id="", api_key=KEY, assistant_id=str(ASSISTANT))
    assert await authenticator.authenticate(credentials) == ANN


@pytest.mark.parametrize("spelling", [str(ASSISTANT), str(ASSISTANT).upper(), ASSISTANT.hex])
async def test_a_service_may_speak_for_its_assistant(authenticator: Authenticator, spelling: str) -> None:
    credentials = Credentials(service_id=SERVICE, api_key=KEY, assistant_id=spelling)
    assert await authenticator.authenticate(credentials) == Principal(
        workspace_id="team", role="assistant", id=str(ASSISTANT), service_id=SERVICE
    )


@pytest.mark.parametrize("assistant_id", [None, "", "not-a-uuid", "1", str(ASSISTANT) + "0"])
async def test_without_a_readable_assistant_id_the_caller_is_only_a_service(
    authenticator: Authenticator, assistant_id: str | None
) -> None:
    credentials = Credentials(service_id=SERVICE, api_key=KEY, assistant_id=assistant_id)
    assert (await authenticator.authenticate(credentials)).role == "service"


@pytest.mark.parametrize(("service_id", "assistant_id"), [(SERVICE, FOREIGN_ASSISTANT), ("unregistered", ASSISTANT)])
async def test_no_service_speaks_for_the_assistant_of_another(
    authenticator: Authenticator, service_id: str, assistant_id: UUID
) -> None:
    credentials = Credentials(service_id=service_id, api_key=KEY, assistant_id=str(assistant_id))
    assert await refusal(authenticator, credentials) == ("Invalid credentials", "invalid_credentials")


async def test_the_key_is_asked_for_before_the_assistant(authenticator: Authenticator) -> None:
    credentials = Credentials(service_id=SERVICE, api_key="wrong", assistant_id=str(ASSISTANT))
    assert (await refusal(authenticator, credentials))[0] == "Invalid credentials"


async def test_a_host_is_known_by_a_token_that_no_issuer_is_asked_for(
    authenticator: Authenticator, tokens: Tokens
) -> None:
    principal = await authenticator.authenticate(Credentials(bearer_token=HOST_TOKEN))
    assert principal == Principal(workspace_id=EVERYWHERE, role="host", id=HOST_ID)
    assert tokens.seen == []
    assert (await refusal(authenticator, Credentials(bearer_token=HOST_TOKEN + "x")))[1] == "invalid_token"


async def test_in_local_mode_every_service_has_the_empty_key(tokens: Tokens) -> None:
    authenticator = Authenticator(tokens, LocalModeKeys(), Directory(), SystemClock(), HostTokens())
    for service_id in (SERVICE, "anything"):
        assert (await authenticator.authenticate(Credentials(service_id=service_id))).id == service_id
        refused = await refusal(authenticator, Credentials(service_id=service_id, api_key="x"))
        assert refused[0] == "Invalid credentials"
    credentials = Credentials(service_id="anything", assistant_id=str(ASSISTANT))
    assert (await refusal(authenticator, credentials))[0] == "Invalid credentials"


@pytest.mark.parametrize("role", ["user", "assistant", "service"])
def test_a_caller_of_the_wrong_kind_is_unauthorized(role: Role) -> None:
    kinds: set[Role] = {"user", "assistant", "service"}
    caller = Principal(workspace_id="team", role=role, id="x")
    require_role(caller, role)
    require_role(caller, *kinds)
    with pytest.raises(UnauthenticatedError, match="Unauthorized") as caught:
        require_role(caller, *(kinds - {role}))
    assert caught.value.error_code == "wrong_kind_of_caller"
