"""Which models serve sessions, and on which plan, as settings say."""

from datetime import date
from typing import Any

import pytest
from tests.wiring.test_settings import environment

from workbench.domain.budgets.model import Limit
from workbench.wiring.session_settings import generation_policy, usual_limits, workspace_limits
from workbench.wiring.setting_names import SettingsError
from workbench.wiring.settings import Settings, load_settings

NAMED: dict[str, Any] = {
    "named": {
        "fast": {"provider": "openai", "model": "m", "base_url": "http://127.0.0.1:1/v1"},
        "spare": {"provider": "openai", "model": "n", "base_url": "http://127.0.0.1:1/v1"},
        "trial": {"provider": "demo"},
    },
    "default": "fast",
}


def faults(**sessions: Any) -> dict[str, str]:
    with pytest.raises(SettingsError) as caught:
        Settings.of(models=NAMED, sessions=sessions)
    return caught.value.faults


def test_without_a_word_of_it_sessions_do_without_a_model() -> None:
    settings = Settings.of(models=NAMED)
    policy = generation_policy(settings.sessions)
    assert (policy.serving("any").models, policy.serving("any").plan) == ((), "unlimited")
    assert usual_limits(settings.sessions, ()) == ()


def test_models_and_plans_are_of_workspaces_or_of_all() -> None:
    own = {
        "workspace_models": {"research": ["spare"], "branch": []},
        "workspace_plans": {"research": "team", "lab": "free"},
    }
    settings = Settings.of(models=NAMED, sessions={"models": "fast,spare", "plan": "pro", **own})
    policy = generation_policy(settings.sessions)
    workspaces = ("research", "branch", "lab", "any")
    assert {name: (policy.serving(name).models, policy.serving(name).plan) for name in workspaces} == {
        "research": (("spare",), "team"),
        "branch": ((), "pro"),
        "lab": (("fast", "spare"), "free"),
        "any": (("fast", "spare"), "pro"),
    }
    assert settings.sessions.all_models == ["fast", "spare"]


def test_plans_are_limits_and_limits_of_their_own_go_before_them() -> None:
    own = {"workspace_plans": {"research": "team"}, "workspace_billing_anchors": {"research": "2026-02-15"}}
    sessions = Settings.of(sessions={"plan": "pro", "billing_anchor": "2026-01-31", **own}).sessions
    mine = Limit(scope="user", measure="generations", period="day", amount=7)
    usual = usual_limits(sessions, [mine])
    assert [(each.amount, each.anchor) for each in usual] == [(100, None), (1500, date(2026, 1, 31)), (7, None)]
    others = workspace_limits(sessions, [mine])
    amounts = {name: [each.amount for each in limits] for name, limits in others.items()}
    assert amounts == {"research": [300, 5000, 20_000, 7]}
    assert others["research"][1].anchor == date(2026, 2, 15)


def test_what_cannot_be_is_named() -> None:
    assert list(faults(models="nobody")) == ["WORKBENCH__SESSIONS__MODELS"]
    assert "script" in faults(models="trial")["WORKBENCH__SESSIONS__MODELS"]
    assert list(faults(workspace_models={"w": ["nobody"]})) == ["WORKBENCH__SESSIONS__WORKSPACE_MODELS"]
    assert list(faults(models="fast,spare,fast")) == ["WORKBENCH__SESSIONS__MODELS"]
    assert list(faults(plan="gold")) == ["WORKBENCH__SESSIONS__PLAN"]
    assert list(faults(model_timeout_seconds=61)) == ["WORKBENCH__SESSIONS__MODEL_TIMEOUT_SECONDS"]
    assert list(faults(count_failed="some")) == ["WORKBENCH__SESSIONS__COUNT_FAILED"]


def test_the_environment_says_it_in_json() -> None:
    given = {"WORKSPACE_PLANS": '{"re-search": "team"}', "WORKSPACE_MODELS": '{"re-search": []}', "PLAN": "free"}
    with environment(**{f"WORKBENCH__SESSIONS__{name}": value for name, value in given.items()}):
        sessions = load_settings().sessions
    assert (sessions.plan, sessions.workspace_plans, sessions.workspace_models) == (
        "free",
        {"re-search": "team"},
        {"re-search": ()},
    )
