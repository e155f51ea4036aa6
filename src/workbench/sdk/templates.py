"""What an author offers: kinds of assistants, their config, and the states that they show in a conversation."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import msgspec

from workbench.sdk.errors import UnknownError
from workbench.sdk.model import Config, Json, StateData, StateDescription, plain
from workbench.sdk.schema import schema_of

M = TypeVar("M", bound=msgspec.Struct)


class NoConfig(msgspec.Struct):
    """The config of an assistant where nothing can be set."""


@dataclass(frozen=True, kw_only=True)
class State(Generic[M]):
    """Something that an assistant shows beside a conversation, and that people may change.

    Its model is a Struct whose members all have defaults: they are the state at first.
    """

    id: str
    display_name: str
    description: str
    model: type[M]
    ui_schema: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def __post_init__(self) -> None:
        self.model()  # raises TypeError where a member has no default

    def describe(self) -> StateDescription:
        """Say what it is."""
        return StateDescription(id=self.id, display_name=self.display_name, description=self.description)

    def show(self, data: Json | None) -> StateData:
        """Show what it holds, or at first its defaults."""
        held = self.read(data)
        return StateData(id=self.id, data=plain(held), json_schema=schema_of(self.model), ui_schema={**self.ui_schema})

    def read(self, data: Json | None) -> M:
        """Read what it holds; what an older program wrote and no longer fits gives way to the defaults."""
        return _read_or_default(self.model, data or {})[0]


@dataclass(frozen=True, kw_only=True)
class Template:
    """A kind of assistant. Its config is a Struct whose members all have defaults."""

    id: str
    name: str
    description: str
    config: type[msgspec.Struct] = NoConfig
    states: tuple[State[Any], ...] = ()
    ui_schema: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def __post_init__(self) -> None:
        self.config()  # raises TypeError where a member has no default

    def show_config(self, config: Json) -> Config:
        """Show a config; one that no longer fits is named among the errors, and the defaults hold."""
        held, errors = _read_or_default(self.config, config)
        schema = schema_of(self.config)
        return Config(config=plain(held), errors=errors, json_schema=schema, ui_schema={**self.ui_schema})

    def state(self, state_id: str) -> State[Any]:
        """Find a state. Raises UnknownError."""
        for state in self.states:
            if state.id == state_id:
                return state
        raise UnknownError(f"unknown state {state_id}")


def read_config(model: type[M], config: Json) -> M:
    """Read a config, or the defaults where it no longer fits."""
    return _read_or_default(model, config)[0]


def _read_or_default(model: type[M], values: Json) -> tuple[M, list[str]]:
    try:
        return msgspec.convert(values, model), []
    except msgspec.ValidationError as error:
        return model(), [str(error)]
