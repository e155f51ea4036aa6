"""What sessions are compared by, as settings say it."""

from typing import Any

import pytest

from workbench.wiring.setting_names import SettingsError
from workbench.wiring.settings import Settings

SECRET = "sk-very-secret"


def faults(**embeddings: Any) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        Settings.of(embeddings=embeddings)
    assert SECRET not in str(caught.value)
    return [name.removeprefix("WORKBENCH__EMBEDDINGS__") for name in caught.value.faults]


def test_without_a_word_texts_stay_on_the_machine() -> None:
    assert (Settings.of().embeddings.provider, Settings.of().embeddings.workspaces) == ("hashed", ())


def test_a_model_needs_a_name_and_the_length_of_its_vectors() -> None:
    assert faults(provider="openai", dimensions=3, api_key=SECRET) == ["MODEL"]
    assert faults(provider="openai", model="m", api_key=SECRET) == ["DIMENSIONS"]
    assert faults(provider="openai", model="m", dimensions=0) == ["DIMENSIONS"]
    assert faults(base_url="ftp://x") == ["BASE_URL"]
    chosen = Settings.of(embeddings={"provider": "openai", "model": "m", "dimensions": 3, "workspaces": "a, b"})
    assert chosen.embeddings.workspaces == ("a", "b")


def test_workspaces_that_share_resolutions_are_a_list() -> None:
    assert Settings.of(sessions={"share_resolutions": "a,b"}).sessions.share_resolutions == ("a", "b")
