"""The installation on Kubernetes: each manifest by Kubernetes' own schemas, and what they say of each other.

And as kustomize renders them, with all options and as the example of an installation does.
"""

import copy
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from tests.support.deploying import DEPLOY, dockerfile, documents, run, settings_in, tool, unknown_settings, values_of

from workbench.adapters.tokens.local import KEY_FILE
from workbench.entrypoints.http.app import CONTROLLERS
from workbench.wiring.outbound import PSEUDONYMS_FILE, SERVICE_KEYS_FILE
from workbench.wiring.settings import Settings

FOLDER = DEPLOY / "kubernetes"
VERSIONS = ("1.29", "1.33", "1.37")
KUSTOMIZATIONS = sorted(FOLDER.rglob("kustomization.yaml"))
MANIFESTS = sorted(path for path in FOLDER.rglob("*.yaml") if path.name != "kustomization.yaml")
SPARE_SECONDS = 10


def faults(manifest: Any) -> list[str]:
    """What some version of Kubernetes would not take."""
    found: list[str] = []
    for version in VERSIONS:
        try:
            kubernetes_validate.validate(manifest, version, strict=True)
        except kubernetes_validate.ValidationError as error:
            found.append(f"{version}: {'.'.join(map(str, error.path))}: {error.message}")
    return found


def deployment() -> Any:
    return documents(FOLDER / "base" / "deployment.yaml")[0]


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.name)
def test_kubernetes_takes_each_manifest(path: Path) -> None:
    assert [fault for manifest in documents(path) for fault in faults(manifest)] == []


def test_a_fault_in_a_manifest_is_found() -> None:
    misspelt, mistaken = deployment(), deployment()
    misspelt["spec"]["template"]["spec"]["containers"][0]["readynessProbe"] = {}
    mistaken["spec"]["replicas"] = "two"
    for wrong, place in ((misspelt, "readynessProbe"), (mistaken, "spec.replicas")):
        found = faults(wrong)
        assert len(found) == len(VERSIONS)
        assert all(place in fault for fault in found)


def loose_ends(path: Path) -> Iterator[str]:
    """What a kustomization names and is not there, or is there and not named."""
    (kustomization,) = documents(path)
    named = [*kustomization.get("resources", []), *kustomization.get("components", [])]
    for name in named:
        place = path.parent / name
        if not (place.is_file() or (place / "kustomization.yaml").is_file()):
            yield f"not there: {name}"
    for other in path.parent.glob("*.yaml"):
        if other != path and other.name not in named:
            yield f"not named: {other.name}"
    for generator in kustomization.get("configMapGenerator", []):
        for name in generator["envs"]:
            yield from (f"no setting: {name}" for name in unknown_settings(settings_in(path.parent / name)))


@pytest.mark.parametrize("path", KUSTOMIZATIONS, ids=lambda path: path.parent.name)
def test_a_kustomization_names_all_that_is_there_and_nothing_else(path: Path) -> None:
    assert list(loose_ends(path)) == []


def test_a_loose_end_is_found(tmp_path: Path) -> None:
    shutil.copytree(FOLDER / "base", tmp_path / "base")
    (tmp_path / "base" / "service.yaml").rename(tmp_path / "base" / "servcie.yaml")
    (tmp_path / "base" / "settings.env").write_text("WORKBENCH__DB__ULR=x", encoding="utf-8")
    found = sorted(loose_ends(tmp_path / "base" / "kustomization.yaml"))
    assert found == ["no setting: WORKBENCH__DB__ULR", "not named: servcie.yaml", "not there: service.yaml"]


@pytest.mark.parametrize("path", KUSTOMIZATIONS, ids=lambda path: path.parent.name)
def test_each_patch_finds_what_it_changes(path: Path) -> None:
    manifests = {(each["kind"], each["metadata"]["name"]): each for file in MANIFESTS for each in documents(file)}
    for patch in documents(path)[0].get("patches", []):
        target = copy.deepcopy(manifests[patch["target"]["kind"], patch["target"]["name"]])
        for operation in yaml.safe_load(patch["patch"]):
            place: Any = target
            for step in operation["path"].strip("/").split("/"):
                place = place[int(step) if isinstance(place, list) else step]


def test_a_pod_has_time_to_drain() -> None:
    pod = deployment()["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    pause = float(container["lifecycle"]["preStop"]["exec"]["command"][1])
    drain = float(settings_in(FOLDER / "base" / "settings.env")["WORKBENCH__SERVICE__DRAIN_SECONDS"])
    assert pod["terminationGracePeriodSeconds"] >= pause + drain + SPARE_SECONDS


def test_probes_ask_what_the_service_answers() -> None:
    health = next(each for each in CONTROLLERS if each.__name__ == "HealthController")
    (container,) = deployment()["spec"]["template"]["spec"]["containers"]
    probes = {name: probe["httpGet"]["path"] for name, probe in container.items() if name.endswith("Probe")}
    assert probes == {"startupProbe": "/livez", "livenessProbe": "/livez", "readinessProbe": "/readyz"}
    paths = {path for handler in vars(health).values() for path in getattr(handler, "paths", ())}
    assert set(probes.values()) <= paths


def test_a_pod_that_waits_for_its_database_is_not_ended_by_its_probe() -> None:
    (container,) = deployment()["spec"]["template"]["spec"]["containers"]
    probe = container["startupProbe"]
    assert probe["periodSeconds"] * probe["failureThreshold"] > 1.5 * Settings.of().db.wait_seconds


def test_no_container_has_rights_and_each_has_its_places() -> None:
    pod = deployment()["spec"]["template"]["spec"]
    user = int(next(rest for word, rest in dockerfile() if word == "USER").split(":")[0])
    assert (pod["securityContext"]["runAsUser"], pod["securityContext"]["runAsNonRoot"]) == (user, True)
    volumes = {volume["name"] for volume in pod["volumes"]}
    for container in (*pod["initContainers"], *pod["containers"]):
        rights = container["securityContext"]
        assert rights["readOnlyRootFilesystem"]
        assert not rights["allowPrivilegeEscalation"]
        assert rights["capabilities"] == {"drop": ["ALL"]}
        assert {mount["name"] for mount in container["volumeMounts"]} <= volumes
        assert "memory" in container["resources"]["limits"]


def test_keys_have_the_names_by_which_the_service_looks_for_them() -> None:
    names = {KEY_FILE, PSEUDONYMS_FILE, SERVICE_KEYS_FILE}
    (example,) = documents(FOLDER / "example" / "kustomization.yaml")
    (files,) = values_of(example["secretGenerator"], "files")
    assert {Path(file).name for file in files} == names


def test_every_key_of_the_secret_is_copied_so_that_nobody_else_can_read_it(tmp_path: Path) -> None:
    keys = deployment()["spec"]["template"]["spec"]["initContainers"][0]
    mounted, own = tmp_path / "run", tmp_path / "data" / "keys"
    (mounted / "..made").mkdir(parents=True)
    for name in (KEY_FILE, "ticket-secrets.1.key"):
        # As Kubernetes mounts it: links to files that all can read.
        (mounted / "..made" / name).write_text(name, encoding="utf-8")
        (mounted / name).symlink_to(Path("..made") / name)
    shell, option, text = keys["command"]
    text = text.replace("/run/keys", str(mounted)).replace("/var/lib/workbench/keys", str(own))
    copied = run(shell, option, text)
    assert (copied.returncode, copied.stderr) == (0, "")
    assert {path.name: path.read_text(encoding="utf-8") for path in own.iterdir()} == {
        name: name for name in (KEY_FILE, "ticket-secrets.1.key")
    }
    assert {path.stat().st_mode & 0o777 for path in own.iterdir()} == {0o600}


def test_the_owner_of_the_database_is_named_to_the_migration_alone() -> None:
    pod = deployment()["spec"]["template"]["spec"]
    containers = (*pod["initContainers"], *pod["containers"])
    secrets = {
        container["name"]: {
            source["secretRef"]["name"] for source in container.get("envFrom", []) if "secretRef" in source
        }
        for container in containers
    }
    assert secrets == {"keys": set(), "migration": {"workbench", "workbench-owner"}, "workbench": {"workbench"}}
    (example,) = documents(FOLDER / "example" / "kustomization.yaml")
    files = {each["name"]: each["envs"] for each in example["secretGenerator"] if "envs" in each}
    assert files == {"workbench": ["secrets.env"], "workbench-owner": ["owner.env"]}
    owner, service = (settings_in(FOLDER / "example" / f"{name}.example.env") for name in ("owner", "secrets"))
    assert set(owner) == {"WORKBENCH__DB__POSTGRESQL_OWNER_URL"}
    assert not set(owner) & set(service)


def test_kustomize_renders_the_example(tmp_path: Path) -> None:
    shutil.copytree(FOLDER, tmp_path, dirs_exist_ok=True)
    example = tmp_path / "example"
    for name in ("secrets", "owner"):
        (example / f"{name}.example.env").rename(example / f"{name}.env")
    (example / "keys").mkdir()
    for name in (KEY_FILE, PSEUDONYMS_FILE, SERVICE_KEYS_FILE):
        (example / "keys" / name).write_text("key", encoding="utf-8")
    rendered = run(tool("kustomize"), "build", example)
    assert rendered.returncode == 0, rendered.stderr
    (tmp_path / "rendered.yaml").write_text(rendered.stdout, encoding="utf-8")
    manifests = documents(tmp_path / "rendered.yaml")
    assert [fault for manifest in manifests for fault in faults(manifest)] == []
    assert {each["kind"] for each in manifests} >= {"Deployment", "Ingress", "HorizontalPodAutoscaler", "Secret"}
    deployed = next(each for each in manifests if each["kind"] == "Deployment")
    assert "replicas" not in deployed["spec"]
    assert set(values_of(deployed, "image")) == {"registry.example.com/workbench:0.1.0"}
