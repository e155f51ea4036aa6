"""What settings say of models for troubleshooting sessions: which ones serve a workspace, and how much they may write."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Annotated

from pydantic import BeforeValidator, Field

from workbench.domain.budgets.model import Limit
from workbench.domain.troubleshooting.generations import CountFailed, GenerationPolicy, ServingModels
from workbench.domain.troubleshooting.quotas import Plan, plan_limits
from workbench.wiring.model_settings import Models
from workbench.wiring.setting_names import MisfitError, environment_name
from workbench.wiring.setting_values import Group, from_json, list_from_text

MAX_MODELS = 2

ModelNames = Annotated[tuple[str, ...], BeforeValidator(list_from_text), Field(max_length=MAX_MODELS)]


class Serving(Group):
    """The models of sessions, and plans."""

    models: ModelNames = Field(
        default=(),
        description=(
            "The models that write steps, replies and texts of sessions, of those that have a `WORKBENCH__MODELS__NAMED__<NAME>__PROVIDER`: one, "
            "and another one that is asked where the first fails. Without any, sessions do without a model."
        ),
        examples=["fast,spare"],
    )
    model_timeout_seconds: float = Field(
        default=60, gt=0, le=60, description="Seconds after which an answer of a model is given up."
    )
    plan: Plan = Field(
        default="unlimited",
        description=(
            "How often models may write for a user's sessions: `free` is 10 times a day and 100 a month, `pro` 100 and "
            "1,500, `team` 300 and 5,000, with 20,000 a month for the workspace. Limits that are stored go before it."
        ),
    )
    billing_anchor: date | None = Field(
        default=None,
        description="The day from which the months of plans are counted. Unset: the first of a month.",
        examples=["2026-01-31"],
    )
    count_failed: CountFailed = Field(
        default="billed",
        description="Which failures of models count too: those that were `billed`, `all`, or `none`.",
    )
    workspace_models: Annotated[dict[str, ModelNames], BeforeValidator(from_json)] = Field(
        default={},
        description="The models of single workspaces, by their ids (a JSON object); an empty list is none.",
        examples=['{"research": ["large"], "branch": []}'],
    )
    workspace_plans: Annotated[dict[str, Plan], BeforeValidator(from_json)] = Field(
        default={},
        description="The plans of single workspaces, by their ids (a JSON object).",
        examples=['{"research": "team"}'],
    )
    workspace_billing_anchors: Annotated[dict[str, date], BeforeValidator(from_json)] = Field(
        default={},
        description="The days from which the months of single workspaces are counted, by their ids (a JSON object).",
        examples=['{"research": "2026-02-15"}'],
    )

    @property
    def own_workspaces(self) -> set[str]:
        """The workspaces of which something else is said than of all others."""
        return {*self.workspace_models, *self.workspace_plans, *self.workspace_billing_anchors}

    @property
    def all_models(self) -> list[str]:
        """All models that serve sessions anywhere."""
        own = (name for names in self.workspace_models.values() for name in names)
        return sorted({*self.models, *own})


def generation_policy(serving: Serving) -> GenerationPolicy:
    """The same in the words of the domain."""
    return GenerationPolicy(
        usual=ServingModels(models=serving.models, plan=serving.plan),
        workspaces={
            workspace_id: ServingModels(
                models=serving.workspace_models.get(workspace_id, serving.models),
                plan=serving.workspace_plans.get(workspace_id, serving.plan),
            )
            for workspace_id in serving.own_workspaces
        },
        count_failed=serving.count_failed,
    )


def usual_limits(serving: Serving, limits: Sequence[Limit]) -> tuple[Limit, ...]:
    """The limits of the plan, and those that settings name themselves, which go before them."""
    return (*plan_limits(serving.plan, serving.billing_anchor), *limits)


def workspace_limits(serving: Serving, limits: Sequence[Limit]) -> Mapping[str, Sequence[Limit]]:
    """The same for the workspaces that have a plan or an anchor of their own."""
    return {
        workspace_id: (
            *plan_limits(
                serving.workspace_plans.get(workspace_id, serving.plan),
                serving.workspace_billing_anchors.get(workspace_id, serving.billing_anchor),
            ),
            *limits,
        )
        for workspace_id in (*serving.workspace_plans, *serving.workspace_billing_anchors)
    }


def require_serving_models(serving: Serving, models: Models) -> None:
    """Refuse models that are not there, or that are no language models. Raises MisfitError."""
    own = [("workspace_models", names) for names in serving.workspace_models.values()]
    for setting, names in [("models", serving.models), *own]:
        for name in names:
            named = models.named.get(name)
            if named is None:
                raise MisfitError(environment_name("sessions", setting), f"there is no model {name!r}")
            if named.provider == "demo":
                raise MisfitError(
                    environment_name("sessions", setting), f"the model {name!r} is a script, which writes no steps"
                )
