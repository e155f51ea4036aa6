"""Speech tokens: one for all users, renewed in time, and silence where there is none."""

import asyncio

import pytest
from structlog.testing import capture_logs
from tests.support.clocks import Seconds
from tests.support.credentials import GivenToken

from workbench.adapters.speech.azure import FAILURE_PAUSE_SECONDS, RENEWAL_SECONDS, AzureSpeechTokens
from workbench.domain.speech.model import SpeechToken

LIFETIME = 3600.0


@pytest.fixture
def seconds() -> Seconds:
    return Seconds()


@pytest.fixture
def credential(seconds: Seconds) -> GivenToken:
    return GivenToken("one", lifetime_seconds=LIFETIME, now=seconds)


@pytest.fixture
def tokens(credential: GivenToken, seconds: Seconds) -> AzureSpeechTokens:
    return AzureSpeechTokens(credential, "/the/resource", "westeurope", seconds)


async def test_the_token_has_the_form_that_the_speech_sdk_takes(
    tokens: AzureSpeechTokens, credential: GivenToken
) -> None:
    assert await tokens.find() == SpeechToken(token="aad#/the/resource#one", region="westeurope")
    assert credential.scopes == ["https://cognitiveservices.azure.com/.default"]


async def test_a_token_is_kept_until_shortly_before_its_end(
    tokens: AzureSpeechTokens, credential: GivenToken, seconds: Seconds
) -> None:
    await tokens.find()
    credential.token = "two"
    seconds.now += LIFETIME - RENEWAL_SECONDS - 1
    assert await tokens.find() == SpeechToken(token="aad#/the/resource#one", region="westeurope")
    seconds.now += 1
    assert await tokens.find() == SpeechToken(token="aad#/the/resource#two", region="westeurope")
    assert len(credential.scopes) == 2


async def test_users_who_come_together_share_one_renewal(tokens: AzureSpeechTokens, credential: GivenToken) -> None:
    found = await asyncio.gather(*(tokens.find() for _ in range(5)))
    assert {token.token for token in found if token} == {"aad#/the/resource#one"}
    assert len(credential.scopes) == 1


async def test_without_an_identity_there_is_no_token_and_one_line_in_the_log(
    tokens: AzureSpeechTokens, credential: GivenToken, seconds: Seconds
) -> None:
    credential.token = None
    with capture_logs() as logs:
        assert [await tokens.find() for _ in range(3)] == [None] * 3
    assert [(entry["event"], entry["reason"]) for entry in logs] == [("no speech token", "ClientAuthenticationError")]
    assert "secret-detail" not in str(logs)
    credential.token = "two"
    seconds.now += FAILURE_PAUSE_SECONDS
    assert await tokens.find() == SpeechToken(token="aad#/the/resource#two", region="westeurope")


async def test_an_old_token_serves_on_until_its_end(
    tokens: AzureSpeechTokens, credential: GivenToken, seconds: Seconds
) -> None:
    await tokens.find()
    credential.token = None
    seconds.now += LIFETIME - RENEWAL_SECONDS
    assert await tokens.find() == SpeechToken(token="aad#/the/resource#one", region="westeurope")
    seconds.now += RENEWAL_SECONDS
    assert await tokens.find() is None
