"""The installation on one machine: the compose file and the proxy before the replicas."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import crossplane
import pytest
import yaml
from sqlalchemy.engine import make_url
from tests.support.deploying import DEPLOY, dockerfile, documents, run, settings_in, tool, unknown_settings

from workbench.wiring.settings import Settings

FOLDER = DEPLOY / "compose"
COMPOSE = FOLDER / "compose.yaml"
SPARE_SECONDS = 10


def faults(path: Path) -> list[str]:
    """What the schema of compose files, and what it cannot say, find wrong."""
    checked = run(tool("check-jsonschema"), "--builtin-schema", "vendor.compose-spec", path)
    found = [] if checked.returncode == 0 else [checked.stdout]
    (compose,) = documents(path)
    for name, service in compose["services"].items():
        found += [
            f"{name}: no service {other}" for other in service.get("depends_on", {}) if other not in compose["services"]
        ]
        found += [f"{name}: no network {other}" for other in service["networks"] if other not in compose["networks"]]
        sources = [volume.split(":")[0] for volume in service.get("volumes", []) if not volume.startswith(".")]
        found += [f"{name}: no volume {source}" for source in sources if source not in compose["volumes"]]
        files = [volume.split(":")[0] for volume in service.get("volumes", []) if volume.startswith(".")]
        found += [f"{name}: no file {file}" for file in files if not (FOLDER / file).is_file()]
        found += [f"{name}: no setting {setting}" for setting in unknown_settings(service.get("environment", {}))]
    asked = set(re.findall(r"\$\{(\w+)", path.read_text(encoding="utf-8")))
    return found + [
        f"not in example.env: {name}" for name in sorted(asked ^ settings_in(FOLDER / "example.env").keys())
    ]


def test_the_compose_file_is_whole() -> None:
    assert faults(COMPOSE) == []


@pytest.mark.parametrize(
    ("spoil", "found"),
    [
        (lambda text: text.replace("restart: unless-stopped", "restarts: always"), "restarts"),
        (
            lambda text: text.replace(
                "database: {condition: service_healthy}", "databse: {condition: service_healthy}"
            ),
            "databse",
        ),
        (lambda text: text.replace('"data:/var', '"dat:/var'), "no volume dat"),
        (lambda text: text.replace("networks: [back]", "networks: [rear]"), "no network rear"),
        (lambda text: text.replace("./nginx.conf:", "./ngnix.conf:"), "no file ./ngnix.conf"),
        (lambda text: text.replace("DB__URL", "DB__ULR"), "WORKBENCH__DB__ULR"),
        (lambda text: text.replace("${WORKBENCH_PORT", "${WORKBENCH_PROT"), "WORKBENCH_PROT"),
    ],
)
def test_a_fault_in_a_compose_file_is_found(spoil: Callable[[str], str], found: str, tmp_path: Path) -> None:
    (tmp_path / "compose.yaml").write_text(spoil(COMPOSE.read_text(encoding="utf-8")), encoding="utf-8")
    assert found in "\n".join(faults(tmp_path / "compose.yaml"))


def services() -> dict[str, Any]:
    return yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))["services"]


def test_replicas_have_time_to_drain_and_no_rights() -> None:
    replica = services()["workbench"]
    assert replica["deploy"]["replicas"] == 2
    grace = float(replica["stop_grace_period"].removesuffix("s"))
    assert grace >= float(replica["environment"]["WORKBENCH__SERVICE__DRAIN_SECONDS"]) + SPARE_SECONDS
    for name in ("proxy", "workbench", "migration"):
        service = services()[name]
        assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
        assert "/tmp" in service["tmpfs"]
    assert any(word == "HEALTHCHECK" for word, _ in dockerfile())


def test_the_settings_of_the_compose_file_are_accepted() -> None:
    given = services()["workbench"]["environment"]
    settings = Settings.of(
        bus={"url": with_secrets(given["WORKBENCH__BUS__URL"])},
        db={"url": with_secrets(given["WORKBENCH__DB__URL"])},
        storage={"url": given["WORKBENCH__STORAGE__URL"], "options": given["WORKBENCH__STORAGE__OPTIONS"]},
    )
    assert settings.storage.options["allow_http"].get_secret_value() == "true"
    (store,) = documents(COMPOSE)[0]["configs"].values()
    identity = json.loads(store["content"])["identities"][0]
    assert identity["credentials"][0]["accessKey"] == given["AWS_ACCESS_KEY_ID"]


def test_replicas_are_on_one_bus_which_is_the_one_that_is_there() -> None:
    bus = services()["bus"]
    url = make_url(with_secrets(services()["workbench"]["environment"]["WORKBENCH__BUS__URL"]))
    made = {name: bus["environment"][f"RABBITMQ_DEFAULT_{name}"] for name in ("USER", "VHOST")}
    assert (url.host, url.username, url.database) == ("bus", made["USER"], made["VHOST"])
    assert set(bus["networks"]) & set(services()["workbench"]["networks"])
    # Without a name of its own it would not find again what it kept, after a restart.
    assert bus["hostname"] == "bus"


def with_secrets(value: str) -> str:
    return re.sub(r"\$\{[A-Z_]+:\?[^}]*\}", "x", value)


def test_the_owner_of_the_database_is_named_to_the_migration_alone() -> None:
    migration, replica = services()["migration"]["environment"], services()["workbench"]["environment"]
    owner = make_url(with_secrets(migration["WORKBENCH__DB__POSTGRESQL_OWNER_URL"]))
    service = make_url(with_secrets(replica["WORKBENCH__DB__URL"]))
    assert owner.username == services()["database"]["environment"]["POSTGRES_USER"] != service.username
    assert (owner.host, owner.database) == (service.host, service.database)
    assert set(migration) - set(replica) == {"WORKBENCH__DB__POSTGRESQL_OWNER_URL"}


def proxy_faults(path: Path) -> list[str]:
    """What nginx would not understand."""
    return [error["error"] for error in crossplane.parse(str(path), strict=True, single=True)["errors"]]


def test_nginx_understands_the_proxy() -> None:
    assert proxy_faults(FOLDER / "nginx.conf") == []


@pytest.mark.parametrize("fault", ["proxy_bufering off;", "proxy_buffering off", "proxy_buffering;", "listen 1;"])
def test_a_fault_in_the_proxy_is_found(fault: str, tmp_path: Path) -> None:
    text = (FOLDER / "nginx.conf").read_text(encoding="utf-8")
    (tmp_path / "nginx.conf").write_text(text.replace("    access_log off;", fault), encoding="utf-8")
    assert proxy_faults(tmp_path / "nginx.conf")


def test_the_proxy_lets_streams_flow_and_never_repeats_what_changes_something() -> None:
    (parsed,) = crossplane.parse(str(FOLDER / "nginx.conf"), combine=True)["config"]
    said = {item["directive"]: item["args"] for item in flattened(parsed["parsed"])}
    assert said["proxy_buffering"] == ["off"]
    assert float(said["proxy_read_timeout"][0].removesuffix("s")) > 2 * Settings.of().events.keep_alive_seconds
    assert "non_idempotent" not in said["proxy_next_upstream"]


def flattened(block: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [item for each in block for item in (each, *flattened(each.get("block", [])))]
