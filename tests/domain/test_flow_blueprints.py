"""What blueprints may say: names of topics, parameters and their values, and everything that is wrong at once."""

from typing import Any

import msgspec
import pytest
from tests.support.flow_rows import OpenSealer, document_of

from workbench.domain.bus.calls import Fold, ends_plain
from workbench.domain.bus.model import TopicName
from workbench.domain.flows.checking import Walls, findings_of
from workbench.domain.flows.model import Document, Interface, ParameterType, ParameterUse, ServiceUse
from workbench.domain.flows.parameters import fault_of, resolve, type_fault
from workbench.domain.flows.resolving import Place, Values, resolved
from workbench.domain.flows.sealing import comparable, is_sealed
from workbench.domain.flows.templates import escaped_workspace, filled, filled_value, scope_of

OPEN = Walls(is_open=True)
PLACE = Place(workspace_id="acme", blueprint="rag", flow_id="f1")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("flow:wb:a", ("flow", "wb", "a")),
        ("request:tg:a:b:c", ("request", "tg", "a:b:c")),
        ("response:wb:a.b_c~d-e", ("response", "wb", "a.b_c~d-e")),
        ("notify:wb:x", ("notify", "wb", "x")),
        ("bare", ("flow", "wb", "bare")),
    ],
)
def test_topics_are_read(text: str, expected: tuple[str, str, str]) -> None:
    found = TopicName.parse(text)
    assert (found.topic_class, found.space, found.name) == expected
    assert str(found) == ":".join(expected)


@pytest.mark.parametrize(
    "text",
    ["a:b", "song:wb:a", "flow::a", "flow:wb:", "flow:wb:a::b", "flow:WB:a", "flow:wb:a b", "flow:wb:" + "a" * 163],
)
def test_what_is_no_topic_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"topic|class"):
        TopicName.parse(text)


@pytest.mark.parametrize(
    ("template", "scope"),
    [
        ("request:wb:{workspace}:{id}", "flow"),
        ("request:wb:{blueprint}", "blueprint"),
        ("request:wb:{workspace}:x", "workspace"),
        ("request:wb:x", "global"),
    ],
)
def test_whose_a_topic_is_follows_from_its_placeholders(template: str, scope: str) -> None:
    assert scope_of(template) == scope


def test_workspaces_of_any_name_make_different_segments() -> None:
    assert escaped_workspace("acme_1-x") == "acme_1-x"
    assert escaped_workspace("a:b/c") == "a~3ab~2fc"
    one, other = escaped_workspace("ä" * 40), escaped_workspace("ä" * 39 + "ö")
    assert one != other
    assert len(one) == len(other) == 40
    assert TopicName.parse(f"flow:wb:{one}")


def test_values_are_filled_in_once() -> None:
    values = {"a": "{b}", "b": 2, "c": [1, True]}
    assert filled("x {a} {{b}} {b} {c}", values) == "x {b} {b} 2 [1,true]"
    assert filled_value("{b}", values) == 2
    assert filled_value({"k": ["{c}", "{b}!"]}, values) == {"k": [[1, True], "2!"]}


TEMPLATES = {
    "a:b": "invalid_template",
    "song:wb:a": "invalid_template",
    "request:wb:a::b": "invalid_template",
    "request:wb:{id": "invalid_template",
    "request:wb:{{id}}": "invalid_template",
    "request:{id}:a": "invalid_template",
    "request:wb:" + "x" * 140 + ":{id}": "invalid_template",
    "notify:wb:control": "invalid_template",
    "flow:wb:dead": "invalid_template",
    "request:wb:{tenant}": "unknown_placeholder",
    "request:wb:{model}": "parameter_in_topic",
}


@pytest.mark.parametrize("template", TEMPLATES)
def test_templates_that_cannot_name_a_topic_are_found(template: str) -> None:
    uses = {"model": ParameterUse(type="model")}
    document = msgspec.structs.replace(document_of(template), parameters=uses)
    (found,) = findings_of(document, {"model": ParameterType()}, OPEN)
    assert (found.code, found.path) == (TEMPLATES[template], "$.services[0].topics.t0")


@pytest.mark.parametrize(
    ("template", "is_allowed"),
    [
        ("request:wb:{workspace}:x:{id}", True),
        ("request:wb:x:{workspace}", False),
        ("request:wb:{blueprint}", False),
        ("request:wb:{workspace}x", False),
        ("request:wb:librarian", True),
        ("request:wb:other", False),
        ("librarian", False),
    ],
)
def test_blueprints_of_workspaces_stay_in_them(template: str, is_allowed: bool) -> None:
    walls = Walls(global_topics=frozenset({"request:wb:librarian"}))
    found = findings_of(document_of(template), {}, walls)
    assert [each.code for each in found] == ([] if is_allowed else ["topic_not_isolated"])
    assert findings_of(document_of(template), {}, OPEN) == []


def test_everything_that_is_wrong_is_told_at_once() -> None:
    document = Document(
        parameters={
            "Bad": ParameterUse(type="text"),
            "id": ParameterUse(type="none"),
            "a": ParameterUse(type="text", controlled_by="b"),
            "b": ParameterUse(type="text", controlled_by="a", default=1),
            "c": ParameterUse(type="text", controlled_by="nobody"),
        },
        services=[
            ServiceUse(service="s", topics={"request": "request:wb:s"}, parameters={"x": "{unknown}", "y": ["{a}"]}),
            ServiceUse(service="s", variant="{workspace}.{id}", topics={"request": "x:y"}),
        ],
        interfaces={
            "one": Interface(request="request:wb:s"),
            "two": Interface(request="flow:wb:s", response="response:wb:{id}"),
            "three": Interface(kind="send", topic="request:wb:s", request="request:wb:s"),
        },
    )
    found = {(each.path, each.code) for each in findings_of(document, {"text": ParameterType()}, OPEN)}
    assert found == {
        ("$.parameters.Bad", "invalid_name"),
        ("$.parameters.id", "invalid_name"),
        ("$.parameters.id.type", "parameter_type_not_found"),
        ("$.parameters.a.controlled_by", "parameter_cycle"),
        ("$.parameters.b.controlled_by", "parameter_cycle"),
        ("$.parameters.b.default", "parameter_invalid"),
        ("$.parameters.c.controlled_by", "parameter_unknown"),
        ("$.services[0].parameters.x", "unknown_placeholder"),
        ("$.services[1].topics.request", "invalid_template"),
        ("$.services", "duplicate_variant"),
        ("$.interfaces.one", "invalid_interface"),
        ("$.interfaces.two.request", "invalid_interface"),
        ("$.interfaces.two.response", "unused_topic"),
        ("$.interfaces.three.topic", "invalid_interface"),
        ("$.interfaces.three.request", "invalid_interface"),
    }


MODEL = ParameterType(default="by type")
USES = {
    "model": ParameterUse(type="model"),
    "rag": ParameterUse(type="model", controlled_by="model", default="own"),
    "far": ParameterUse(type="model", controlled_by="rag"),
}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, {"model": "by type", "rag": "by type", "far": "by type"}),
        ({"model": "m"}, {"model": "m", "rag": "m", "far": "m"}),
        ({"rag": "r"}, {"model": "by type", "rag": "r", "far": "r"}),
        ({"model": "m", "far": "{id}"}, {"model": "m", "rag": "m", "far": "{id}"}),
    ],
)
def test_a_value_is_given_or_followed_or_by_default(given: dict[str, Any], expected: dict[str, Any]) -> None:
    assert resolve(USES, {"model": MODEL}, given) == (expected, [])


def test_a_controller_without_a_value_leaves_ones_own_default() -> None:
    uses = {"a": ParameterUse(type="bare"), "b": ParameterUse(type="bare", controlled_by="a", default="own")}
    assert resolve(uses, {"bare": ParameterType()}, {}) == ({"a": None, "b": "own"}, [])


@pytest.mark.parametrize(
    ("given", "code"),
    [({}, "parameter_missing"), ({"a": 1}, "parameter_invalid"), ({"a": "x", "z": 1}, "parameter_unknown")],
)
def test_values_that_do_not_fit_are_found(given: dict[str, Any], code: str) -> None:
    found = resolve({"a": ParameterUse(type="t")}, {"t": ParameterType(required=True)}, given)[1]
    assert [each.code for each in found] == [code]


@pytest.mark.parametrize(
    ("its_type", "value", "is_fine"),
    [
        (ParameterType(type="integer"), 1, True),
        (ParameterType(type="integer"), True, False),
        (ParameterType(type="integer"), 1.5, False),
        (ParameterType(type="number", minimum=0, maximum=1), 0.5, True),
        (ParameterType(type="number", minimum=0), -1, False),
        (ParameterType(type="number", maximum=1), 2, False),
        (ParameterType(type="boolean"), False, True),
        (ParameterType(type="boolean"), 0, False),
        (ParameterType(enum=["a", {"id": "b", "description": "B"}]), "b", True),
        (ParameterType(enum=["a"]), "c", False),
        (ParameterType(pattern="[a-z]+"), "abc", True),
        (ParameterType(pattern="[a-z]+"), "abc1", False),
    ],
)
def test_types_say_which_values_fit(its_type: ParameterType, value: Any, is_fine: bool) -> None:
    assert (fault_of(value, its_type) is None) == is_fine


@pytest.mark.parametrize(
    "its_type",
    [ParameterType(pattern="("), ParameterType(type="number", minimum=2, maximum=1), ParameterType(default=1)],
)
def test_types_that_make_no_sense_are_found(its_type: ParameterType) -> None:
    assert type_fault(its_type)


def values(**by_name: Any) -> Values:
    return Values(by_name=by_name, secrets=frozenset({"key"}), sealer=OpenSealer())


def test_a_flow_has_everything_filled_in() -> None:
    use = ServiceUse(
        service="llm",
        scope="blueprint",
        topics={"request": "request:wb:{workspace}:llm:{blueprint}"},
        parameters={"n": "{n}", "text": "is {n}", "key": "{key}", "all": {"inner": "{key}"}},
    )
    interface = Interface(request="request:wb:{workspace}:llm:{blueprint}", response="response:wb:x")
    document = Document(services=[use], interfaces={"ask": interface})
    snapshot = resolved(document, PLACE, values(n=3, key="secret"), system=False)
    (service,) = snapshot.services
    assert service.key == "acme/llm/acme.rag"
    assert service.workspace_id == "acme"
    assert (service.parameters["n"], service.parameters["text"]) == (3, "is 3")
    assert is_sealed(service.parameters["key"])
    assert is_sealed(service.parameters["all"])
    assert comparable(service.parameters["key"]) == comparable(OpenSealer().seal("secret"))
    assert snapshot.interfaces["ask"].request == "request:wb:acme:llm:rag"
    assert (snapshot.owned, snapshot.literal) == (["request:wb:acme:llm:rag"], ["response:wb:x"])


def test_topics_without_their_workspace_are_known_to_cross() -> None:
    document = document_of("request:wb:{workspace}:a:{id}", "request:wb:embed:{blueprint}", "request:wb:librarian")
    snapshot = resolved(document, PLACE, values(), system=True)
    assert snapshot.crossing == ["request:wb:embed:rag", "request:wb:librarian"]
    assert snapshot.scopes == {
        "request:wb:acme:a:f1": "flow",
        "request:wb:embed:rag": "blueprint",
        "request:wb:librarian": "global",
    }


def test_only_operators_blueprints_share_services_between_workspaces() -> None:
    use = ServiceUse(service="llm", scope="blueprint", variant="{blueprint}")
    document = Document(services=[use])
    assert resolved(document, PLACE, values(), system=True).services[0].workspace_id is None
    assert resolved(document, PLACE, values(), system=False).services[0].key == "acme/llm/rag"


def test_services_of_the_plain_dialect_get_texts() -> None:
    topics = {"request": "request:wb:{id}", "response": "response:wb:{id}"}
    use = ServiceUse(service="s", topics=topics, parameters={"n": "{n}", "flag": True})
    interface = Interface(request="request:wb:{id}", response="response:wb:{id}", dialect="plain")
    snapshot = resolved(Document(services=[use], interfaces={"x": interface}), PLACE, values(n=3), system=True)
    assert snapshot.services[0].parameters == {"n": "3", "flag": "true"}
    assert not snapshot.interfaces["x"].has_keepalive
    assert not snapshot.interfaces["x"].is_hosted


@pytest.mark.parametrize(
    ("data", "is_last"),
    [
        ({"response": "x"}, True),
        ({"error": {"message": "x"}, "end_of_stream": False}, True),
        ({"error": None, "end_of_stream": False}, False),
        ({"end-of-dialog": True}, True),
        ({"is_final": False, "end-of-stream": True}, True),
        ("text", True),
    ],
)
def test_plain_services_say_in_their_own_words_what_is_last(data: Any, is_last: bool) -> None:
    assert ends_plain(data) == is_last


@pytest.mark.parametrize(
    ("fold", "expected"),
    [
        (Fold(), ["a", {"t": "b"}]),
        (Fold(mode="last"), {"t": "b"}),
        (Fold(mode="concat"), "a"),
        (Fold(mode="concat", field="t"), "ab"),
    ],
)
def test_parts_are_folded(fold: Fold, expected: Any) -> None:
    assert fold.fold(["a", {"t": "b"}]) == expected
    assert fold.fold(["a"]) == "a"
    assert fold.fold([]) is None
