"""The dashboard and the alerts: each metric that they name is one that the service tells."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.support.deploying import DEPLOY, ROOT, documents, run, tool, values_of
from tests.support.service import Service, running_service

FOLDER = DEPLOY / "watching"
METRIC = re.compile(r"\b(?:workbench_|process_|python_|unscoped_)[a-z0-9_]+\b")
OURS = ("workbench_", "unscoped_")
PAGE = ROOT / "docs" / "howto" / "watch-health.md"
SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum"), "gauge": ("",)}


def dashboard() -> Any:
    return json.loads((FOLDER / "dashboard.json").read_text(encoding="utf-8"))


def asked() -> dict[str, list[str]]:
    """Every expression, by the file that it stands in."""
    shown = [expression for panel in dashboard()["panels"] for expression in values_of(panel, "expr")]
    variables = [each["query"]["query"] for each in dashboard()["templating"]["list"] if each["type"] == "query"]
    return {
        "dashboard.json": [*shown, *variables],
        "alerts.yaml": list(values_of(documents(FOLDER / "alerts.yaml"), "expr")),
    }


def unknown(expressions: list[str], told: set[str]) -> set[str]:
    """The metrics that are asked for and that nobody tells."""
    return {name for expression in expressions for name in METRIC.findall(expression)} - told


async def told_by(service: Service) -> dict[str, set[str]]:
    """The metrics of a running service, each with its labels."""
    ann = service.user("ann")
    (await ann.post("/conversations", json={})).raise_for_status()
    text = (await ann.get("/metrics")).text
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(text):
        for suffix in SUFFIXES.get(family.type, ("",)):
            labels = {label for sample in family.samples for label in sample.labels}
            found[family.name + suffix] = labels
    return found


async def test_the_service_tells_every_metric_that_is_asked_for(sqlite_url: str, tmp_path: Path) -> None:
    async with running_service(sqlite_url, tmp_path / "data") as service:
        told = await told_by(service)
    for expressions in asked().values():
        assert unknown(expressions, set(told)) == set()
        assert sum(len(METRIC.findall(expression)) for expression in expressions) > 5
    assert unknown(["rate(workbench_request_total[5m])"], set(told)) == {"workbench_request_total"}
    assert {"method", "path", "status_code"} <= told["workbench_requests_total"]
    assert {"method", "path", "le"} <= told["workbench_request_duration_seconds_bucket"]


def missing(told: set[str], text: str) -> set[str]:
    """What the service tells of itself and is nowhere in the text; of a histogram one of its three is enough.

    When a counter began to count is for Prometheus alone.
    """
    ours = {name for name in told if name.startswith(OURS) and not name.endswith("_created")}
    families = {re.sub(r"_(?:bucket|count|sum)$", "", name) for name in ours}
    return {name for name in families if name not in text}


async def test_what_the_service_tells_is_drawn_and_explained(sqlite_url: str, tmp_path: Path) -> None:
    async with running_service(sqlite_url, tmp_path / "data") as service:
        told = set(await told_by(service))
    assert missing(told, " ".join(asked()["dashboard.json"])) == set()
    assert missing(told, PAGE.read_text(encoding="utf-8")) == set()
    assert missing({"workbench_naps_total", "workbench_nap_seconds_bucket"}, "workbench_nap_seconds") == {
        "workbench_naps_total"
    }


def test_each_alert_is_explained() -> None:
    rules = [rule["alert"] for rule in documents(FOLDER / "alerts.yaml")[0]["groups"][0]["rules"]]
    page = PAGE.read_text(encoding="utf-8")
    assert [name for name in rules if f"| `{name}` |" not in page] == []


def test_the_dashboard_can_be_drawn() -> None:
    panels = dashboard()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert {source["uid"] for source in values_of(panels, "datasource")} == {"${datasource}"}
    taken: set[tuple[int, int]] = set()
    for place in (panel["gridPos"] for panel in panels):
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken
        assert max(x for x, _ in cells) < 24
        taken |= cells


def test_each_alert_says_what_is_wrong_and_what_to_do() -> None:
    rules = documents(FOLDER / "alerts.yaml")[0]["groups"][0]["rules"]
    assert len({rule["alert"] for rule in rules}) == len(rules)
    assert all(rule["annotations"].keys() == {"summary", "description"} for rule in rules)
    assert {rule["labels"]["severity"] for rule in rules} <= {"critical", "warning"}


def promtool(*arguments: object) -> tuple[int, str]:
    finished = run(tool("promtool"), *arguments)
    return finished.returncode, finished.stdout + finished.stderr


def test_prometheus_understands_the_rules_and_they_fire_when_they_should() -> None:
    assert promtool("check", "rules", FOLDER / "alerts.yaml")[0] == 0
    code, said = promtool("test", "rules", FOLDER / "alerts.test.yaml")
    assert code == 0, said


@pytest.mark.parametrize(("right", "wrong"), [("> 600", "> 6000000"), ("offset 1h", "offset 0h"), ("> 0.02", ">")])
def test_a_rule_that_would_not_fire_is_found(right: str, wrong: str, tmp_path: Path) -> None:
    for name in ("alerts.yaml", "alerts.test.yaml"):
        text = (FOLDER / name).read_text(encoding="utf-8")
        (tmp_path / name).write_text(text.replace(right, wrong) if name == "alerts.yaml" else text, encoding="utf-8")
    assert promtool("test", "rules", tmp_path / "alerts.test.yaml")[0] != 0
