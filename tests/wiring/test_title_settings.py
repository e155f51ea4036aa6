"""Which model chooses titles, by our names of settings and by those of the wire contract."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.wiring.test_settings import environment

from workbench.wiring.setting_names import SettingsError
from workbench.wiring.settings import Settings, load_settings

AZURE = {"azure_endpoint": "https://x.openai.azure.com", "azure_deployment": "titler"}
OURS = "WORKBENCH__TITLES__"
SECRET = "sk-very-secret"


def faults(**titles: Any) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        Settings.of(titles=titles)
    assert SECRET not in str(caught.value)
    return [name.removeprefix(OURS) for name in caught.value.faults]


def test_without_a_model_titles_are_off() -> None:
    assert Settings.of().title_model is None
    assert Settings.of(service={"azure_openai_endpoint": "https://x.openai.azure.com"}).title_model is None
    assert Settings.of(service={"azure_openai_deployment": "titler"}).title_model is None


@pytest.mark.parametrize(
    "titles",
    [
        {"provider": "openai", "model": "gpt-4o-mini", "api_key": SECRET},
        {"provider": "openai", "model": "llama3.2", "base_url": "http://127.0.0.1:11434/v1"},
        {"provider": "anthropic", "model": "claude-haiku-4-5", "api_key": SECRET},
        {"provider": "google", "model": "gemini-2.5-flash", "api_key": SECRET, "base_url": "https://proxy.example"},
        {"provider": "azure", **AZURE, "api_key": SECRET},
        {"provider": "azure", **AZURE},
    ],
)
def test_each_provider_needs_its_own(titles: dict[str, Any]) -> None:
    settings = Settings.of(titles=titles)
    assert settings.title_model is not None
    assert settings.title_model.provider == titles["provider"]
    assert SECRET not in repr(settings)


def test_what_is_missing_or_does_not_fit_is_named() -> None:
    assert faults(provider="openai", api_key=SECRET) == ["MODEL"]
    assert faults(provider="openai", model="m") == ["API_KEY"]
    assert faults(provider="anthropic", model="m", base_url="http://x") == ["API_KEY"]
    assert faults(provider="azure", azure_endpoint="https://x", api_key=SECRET) == ["AZURE_DEPLOYMENT"]
    assert faults(provider="azure", **AZURE, api_key=SECRET, base_url="https://x") == ["BASE_URL"]
    assert faults(provider="google", model="m", api_key=SECRET, azure_deployment="d") == ["AZURE_DEPLOYMENT"]
    assert faults(model="m") == ["MODEL"]
    assert faults(provider="nobody") == ["PROVIDER"]
    assert faults(timeout_seconds=51) == ["TIMEOUT_SECONDS"]
    assert faults(base_url="ftp://x") == ["BASE_URL"]


@pytest.mark.parametrize("prefix", ["", "WORKBENCH__SERVICE__"])
def test_the_contracts_names_mean_azure(prefix: str) -> None:
    given = {f"{prefix}AZURE_OPENAI_ENDPOINT": "https://x.openai.azure.com", f"{prefix}AZURE_OPENAI_DEPLOYMENT": "d"}
    with environment(**given, WORKBENCH__TITLES__API_KEY=SECRET):
        model = load_settings(env_file=None).title_model
    assert model is not None
    assert (model.provider, model.azure_endpoint, model.azure_deployment, model.model) == (
        "azure",
        "https://x.openai.azure.com",
        "d",
        "gpt-4o-mini",
    )
    assert model.api_key is not None
    assert model.api_key.get_secret_value() == SECRET


def test_our_names_win_over_the_contracts() -> None:
    contract = {"azure_openai_endpoint": "https://x.openai.azure.com", "azure_openai_deployment": "d"}
    ours = {"provider": "anthropic", "model": "claude-haiku-4-5", "api_key": SECRET}
    model = Settings.of(service=contract, titles=ours).title_model
    assert model is not None
    assert (model.provider, model.azure_endpoint) == ("anthropic", None)


def test_a_start_without_a_model_loads_no_models_library(tmp_path: Path) -> None:
    code = (
        "import json, sys, workbench.entrypoints.cli.main\n"
        "from workbench.entrypoints.http.app import create_app\n"
        "from workbench.wiring.settings import Settings\n"
        f"create_app(Settings.of(data_root={str(tmp_path)!r}))\n"
        "heavy = {'openai', 'anthropic', 'pydantic_ai', 'google'}\n"
        "print(json.dumps(sorted(heavy & {name.partition('.')[0] for name in sys.modules})))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(found.stdout) == []
