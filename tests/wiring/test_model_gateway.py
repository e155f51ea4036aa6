"""Models by their settings: which there are, what is wrong with a setting, and that none is loaded before it is asked."""

# ruff: noqa: PLC0415 - the libraries take seconds to load, and not every process of the suite runs a test of them

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.wiring.test_settings import environment

from workbench.domain.model_assistants.failures import ModelFailedError
from workbench.domain.model_assistants.ports import Ask, Line, ModelGateway
from workbench.wiring.container import make_container
from workbench.wiring.setting_names import SettingsError
from workbench.wiring.settings import Settings, load_settings, settings_reference

SECRET = "sk-very-secret"
NAMED = "WORKBENCH__MODELS__NAMED__"
OPENAI = {"provider": "openai", "model": "gpt-5-mini", "api_key": SECRET}
DEMO = {"provider": "demo"}
ASK = Ask(model="", instructions="", lines=(Line(role="user", text="Hello"),))


def faults(**groups: Any) -> dict[str, str]:
    with pytest.raises(SettingsError) as caught:
        Settings.of(**groups)
    assert SECRET not in str(caught.value)
    return caught.value.faults


async def call_tool(name: str, arguments: dict[str, Any]) -> Any:
    raise NotImplementedError


def test_models_and_servers_are_named_by_variables() -> None:
    given = {
        f"{NAMED}FAST__PROVIDER": "openai",
        f"{NAMED}FAST__MODEL": "gpt-5-mini",
        f"{NAMED}FAST__API_KEY": SECRET,
        f"{NAMED}FAST__TAKES_IMAGES": "true",
        f"{NAMED}SPARE_ONE__PROVIDER": "demo",
        "WORKBENCH__MODELS__DEFAULT": "spare_one",
        "WORKBENCH__MODELS__FALLBACK": "fast",
        "WORKBENCH__MCP__DESK__URL": "https://tools.example/mcp",
        "WORKBENCH__MCP__DESK__HEADERS": '{"X-Key": "sk-very-secret"}',
    }
    with environment(**given):
        settings = load_settings(env_file=None)
    assert list(settings.models.in_order) == ["spare_one", "fast"]
    assert settings.models.named["fast"].takes_images
    assert settings.models.fallback == "fast"
    assert settings.mcp["desk"].headers["X-Key"].get_secret_value() == SECRET
    assert SECRET not in repr(settings)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (f"{NAMED}FAST__PROVIDR", f"did you mean {NAMED}<NAME>__PROVIDER?"),
        (f"{NAMED}FAST", "is a group, not a setting"),
        ("WORKBENCH__MCP__DESK", "is a group, not a setting"),
        ("WORKBENCH__MCP__DESK__URL__MORE", "there is no such setting"),
        ("WORKBENCH__MODELS__NAMES__FAST__PROVIDER", "there is no such setting"),
    ],
)
def test_a_wrong_name_below_a_name_is_reported(name: str, text: str) -> None:
    with environment(**{name: "x"}), pytest.raises(SettingsError) as caught:
        load_settings(env_file=None)
    assert text in caught.value.faults[name]


def test_a_fault_names_its_variable_and_says_what_is_allowed() -> None:
    assert faults(models={"named": {"fast": {"provider": "openai", "api_key": SECRET}}}) == {
        f"{NAMED}FAST__MODEL": "is needed with the provider openai; allowed: such as gpt-4o-mini, claude-haiku-4-5, "
        "gemini-2.5-flash"
    }
    wrong: tuple[tuple[dict[str, Any], str], ...] = (
        ({"named": {"fast": {"provider": "nobody"}}}, f"{NAMED}FAST__PROVIDER"),
        ({"named": {"fast": {"model": "m"}}}, f"{NAMED}FAST__PROVIDER"),
        ({"named": {"fast": {**DEMO, "api_key": SECRET}}}, f"{NAMED}FAST__API_KEY"),
        ({"named": {"fast": {**OPENAI, "azure_deployment": "d"}}}, f"{NAMED}FAST__AZURE_DEPLOYMENT"),
        (
            {"named": {"fast": {"provider": "azure", "azure_endpoint": "https://x", "api_key": SECRET}}},
            f"{NAMED}FAST__AZURE_DEPLOYMENT",
        ),
        ({"named": {"_": DEMO}}, f"{NAMED}_"),
        ({"named": {"a" * 33: DEMO}}, f"{NAMED}{'A' * 33}"),
        ({"named": {"a": DEMO, "b": DEMO}}, "WORKBENCH__MODELS__DEFAULT"),
        ({"named": {"a": DEMO}, "default": "b"}, "WORKBENCH__MODELS__DEFAULT"),
        ({"named": {"a": DEMO}, "fallback": "b"}, "WORKBENCH__MODELS__FALLBACK"),
        ({"timeout_seconds": 0}, "WORKBENCH__MODELS__TIMEOUT_SECONDS"),
    )
    for models, name in wrong:
        assert list(faults(models=models)) == [name]
    assert list(faults(mcp={"desk": {"url": "file:///etc"}})) == ["WORKBENCH__MCP__DESK__URL"]
    assert list(faults(mcp={"a.b": {"url": "https://x"}})) == ["WORKBENCH__MCP__A.B"]


def test_the_reference_has_settings_below_names() -> None:
    names = [entry.name for entry in settings_reference()]
    assert f"{NAMED}<NAME>__PROVIDER" in names
    assert "WORKBENCH__MCP__<NAME>__URL" in names


async def test_without_models_there_is_nobody_to_ask() -> None:
    container = make_container(Settings.of())
    gateway = await container.get(ModelGateway)
    assert (list(gateway.models), gateway.fallback, list(gateway.mcp_servers)) == ([], None, [])
    with pytest.raises(ModelFailedError) as failure:
        _ = [event async for event in gateway.answer(ASK, call_tool)]
    assert failure.value.code == "no_model"
    await container.close()


async def test_models_are_known_before_they_are_opened_and_alike_after() -> None:
    settings = Settings.of(
        models={
            "named": {"b": {**OPENAI, "takes_images": True}, "a": DEMO, "c": DEMO},
            "default": "c",
            "fallback": "a",
            "demo_pause_seconds": 0,
        },
        mcp={"desk": {"url": "https://tools.example/mcp"}},
    )
    container = make_container(settings)
    gateway = await container.get(ModelGateway)
    known = [(info.name, info.takes_images) for info in gateway.models]
    assert known == [("c", False), ("a", False), ("b", True)]
    assert (gateway.fallback, list(gateway.mcp_servers)) == ("a", ["desk"])
    for _ in range(2):
        events = [event async for event in gateway.answer(ASK, call_tool)]
        assert events[-1].payload["model_ref"] == "c"
    await container.close()

    from workbench.wiring.models import open_model_gateway

    async with open_model_gateway(settings.models, settings.mcp) as opened:
        assert list(opened.models) == list(gateway.models)
        assert (opened.fallback, list(opened.mcp_servers)) == (gateway.fallback, gateway.mcp_servers)


def test_the_models_libraries_are_not_loaded_before_one_is_asked(tmp_path: Path) -> None:
    code = (
        "import asyncio, sys\n"
        "from workbench.domain.model_assistants.ports import ModelGateway\n"
        "from workbench.wiring.container import make_container\n"
        "from workbench.wiring.settings import Settings\n"
        "settings = Settings.of(models={'named': {'demo': {'provider': 'demo'}}})\n"
        "async def main():\n"
        "    gateway = await make_container(settings).get(ModelGateway)\n"
        "    print([info.name for info in gateway.models])\n"
        "asyncio.run(main())\n"
        "print(sorted({name.partition('.')[0] for name in sys.modules} & {'pydantic_ai', 'openai', 'mcp', 'fastmcp'}))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-2:] == ["['demo']", "[]"]
