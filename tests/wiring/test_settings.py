"""Settings: where they come from, what they derive, and how wrong ones are named."""

import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner

from workbench.wiring.setting_names import SettingsError
from workbench.wiring.settings import Settings, load_settings, settings_reference

SECRET = "s" * 32


@contextmanager
def environment(**given: str) -> Generator[None]:
    absent: dict[str, str | None] = dict.fromkeys(name for name in os.environ if name.upper().startswith("WORKBENCH__"))
    with CliRunner().isolation(env=absent | given):
        yield


def faults(act: Callable[[], object]) -> dict[str, str]:
    with pytest.raises(SettingsError) as caught:
        act()
    return caught.value.faults


def test_defaults_need_nothing(tmp_path: Path) -> None:
    settings = Settings.of(data_root=tmp_path)
    assert settings.database_url == f"sqlite+aiosqlite:///{tmp_path}/workbench.db"
    assert settings.database_file == tmp_path / "workbench.db"
    assert settings.storage_root == tmp_path / "files"
    assert (settings.service.host, settings.service.port) == ("127.0.0.1", 3000)
    assert settings.issuers == ()


def test_embedded_settings_ignore_the_environment() -> None:
    with environment(WORKBENCH__SERVICE__PORT="99", WORKBENCH__BOGUS="1"):
        assert Settings.of().service.port == 3000
        assert Settings().service.port == 3000


def test_the_environment_wins_over_the_file_and_overrides_over_both(tmp_path: Path) -> None:
    file = tmp_path / "settings.env"
    file.write_text(
        "WORKBENCH__SERVICE__PORT=1\nWORKBENCH__SERVICE__HOST=::1\nWORKBENCH__DB__POSTGRESQL_POOL_SIZE=3\nOTHER=1\n"
    )
    with environment(WORKBENCH__SERVICE__PORT="2", workbench__service__drain_seconds="4"):
        settings = load_settings(env_file=file, service={"host": "127.0.0.2"})
    assert (settings.service.host, settings.service.port, settings.service.drain_seconds) == ("127.0.0.2", 2, 4)
    assert settings.db.postgresql_pool_size == 3


def test_lists_are_json_and_an_empty_variable_is_unset() -> None:
    with environment(WORKBENCH__SERVICE__ANONYMOUS_PATHS='["/", "/x"]', WORKBENCH__DB__URL=""):
        settings = load_settings(env_file=None)
    assert settings.service.anonymous_paths == ("/", "/x")
    assert settings.database_kind == "sqlite"


@pytest.mark.parametrize("given", ['["10.0.0.0/8", "fd00::/8"]', "10.0.0.0/8,fd00::/8", " 10.0.0.0/8 , fd00::/8 "])
def test_networks_are_listed_as_json_or_with_commas(given: str) -> None:
    with environment(WORKBENCH__SERVICE__ALLOWED_NETWORKS=given):
        networks = load_settings(env_file=None).service.allowed_networks
    assert list(map(str, networks)) == ["10.0.0.0/8", "fd00::/8"]


@pytest.mark.parametrize("given", ["10.0.0.1/8", "intranet", '["10.0.0.0/8"', "10.0.0.0/8,", '{"10.0.0.0/8": 1}'])
def test_what_is_no_network_is_refused(given: str) -> None:
    with environment(WORKBENCH__SERVICE__ALLOWED_NETWORKS=given):
        (name,) = faults(lambda: load_settings(env_file=None))
    assert name.startswith("WORKBENCH__SERVICE__ALLOWED_NETWORKS")


def test_probes_do_not_become_more_frequent() -> None:
    text = faults(lambda: Settings.of(delivery={"breaker_first_seconds": 10, "breaker_max_seconds": 5}))
    assert "BREAKER_FIRST_SECONDS (10)" in text["WORKBENCH__DELIVERY__BREAKER_MAX_SECONDS"]


@pytest.mark.parametrize(
    ("given", "nearest"),
    [
        ("WORKBENCH__SERVICE__PROT", "WORKBENCH__SERVICE__PORT"),
        ("WORKBENCH__DATAROOT", "WORKBENCH__DATA_ROOT"),
        ("workbench__servce__port", "WORKBENCH__SERVICE__PORT"),
    ],
)
def test_an_unknown_setting_names_the_nearest(given: str, nearest: str, tmp_path: Path) -> None:
    with environment(**{given: "1"}):
        assert nearest in faults(lambda: load_settings(env_file=None))[given.upper()]
    file = tmp_path / "settings.env"
    file.write_text(f"{given}=1\n")
    with environment():
        assert nearest in faults(lambda: load_settings(env_file=file))[given.upper()]


def test_a_group_is_not_a_setting() -> None:
    with environment(WORKBENCH__DB='{"url": '):
        assert "WORKBENCH__DB__URL" in faults(lambda: load_settings(env_file=None))["WORKBENCH__DB"]
    with environment(WORKBENCH__SERVICE="secured"):
        assert "WORKBENCH__SERVICE__PORT" in faults(lambda: load_settings(env_file=None))["WORKBENCH__SERVICE"]


def test_every_fault_is_listed_with_what_is_allowed() -> None:
    with environment(
        WORKBENCH__SERVICE__PORT="70000",
        WORKBENCH__LOGGING__LOG_LEVEL="loud",
        WORKBENCH__SERVICE__ASSISTANT_KEYS="open",
        WORKBENCH__DB__MIGRATE_AT_START="perhaps",
        WORKBENCH__AUTH__ALLOWED_JWT_ALGORITHMS="RS256",
        WORKBENCH__BOGUS="1",
    ):
        found = faults(lambda: load_settings(env_file=None))
    assert found["WORKBENCH__SERVICE__PORT"].endswith("allowed: an integer from 0 up to 65535")
    assert found["WORKBENCH__LOGGING__LOG_LEVEL"].endswith("allowed: DEBUG, INFO, WARNING, ERROR, CRITICAL")
    assert found["WORKBENCH__SERVICE__ASSISTANT_KEYS"].endswith("allowed: local, secured")
    assert found["WORKBENCH__DB__MIGRATE_AT_START"].endswith("allowed: true, false")
    assert "is not JSON; allowed: a JSON list of RS256" in found["WORKBENCH__AUTH__ALLOWED_JWT_ALGORITHMS"]
    assert found["WORKBENCH__BOGUS"] == "there is no such setting"


@pytest.mark.parametrize(
    ("url", "kind", "driver"),
    [
        ("sqlite:////var/x.db", "sqlite", "sqlite+aiosqlite:////var/x.db"),
        ("sqlite+aiosqlite:///x.db", "sqlite", "sqlite+aiosqlite:///x.db"),
        ("postgres://u:pass@h:5433/d", "postgresql", "postgresql+asyncpg://u:pass@h:5433/d"),
        ("postgresql://u@/d?host=/run/pg", "postgresql", "postgresql+asyncpg://u@/d?host=%2Frun%2Fpg"),
    ],
)
def test_database_urls_get_their_async_driver(url: str, kind: str, driver: str) -> None:
    settings = Settings.of(db={"url": url})
    assert (settings.database_kind, settings.database_url) == (kind, driver)


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("mysql://u:hidden@h/d", "mysql://"),
        ("postgresql+psycopg2://u:hidden@h/d", "postgresql+psycopg2://"),
        ("u:hidden@h/d", "is not a database URL"),
        ("postgresql://u:hidden@h:port/d", "is not a database URL"),
        ("sqlite://", "names no file"),
        ("sqlite:///:memory:", "names no file"),
        ("postgresql://u:hidden@h/d?sslmode=require", "WORKBENCH__DB__POSTGRESQL_SSL_MODE"),
    ],
)
def test_other_database_urls_are_refused_without_their_password(url: str, complaint: str) -> None:
    with environment(WORKBENCH__DB__URL=url):
        text = faults(lambda: load_settings(env_file=None))["WORKBENCH__DB__URL"]
    assert complaint in text
    assert "hidden" not in text


def test_a_password_is_never_shown() -> None:
    settings = Settings.of(
        db={"url": "postgresql://u:hidden@h/d"},
        auth={"issuers": [{"name": "a", "secret": "hidden" * 6}]},
    )
    assert settings.database_shown == "postgresql://u:***@h/d"
    assert "hidden" not in repr(settings)


@pytest.mark.parametrize(
    ("issuer", "complaint"),
    [
        ({"name": "a"}, "exactly one"),
        ({"name": "a", "secret": SECRET, "jwks_url": "https://x"}, "exactly one"),
        ({"name": "a", "secret": "short"}, "at least 32 bytes"),
        ({"name": "a", "secret": SECRET, "algorithms": ["HS512"]}, "at least 64 bytes"),
        ({"name": "a", "secret": SECRET, "algorithms": ["RS256"]}, "serves only"),
        ({"name": "a", "jwks_url": "https://x", "algorithms": ["RS256", "HS256"]}, "needs a secret"),
        ({"name": "a", "jwks_file": "/nowhere.json"}, "there is no file"),
    ],
)
def test_an_issuer_has_one_key_source_that_fits_its_algorithms(issuer: dict[str, object], complaint: str) -> None:
    found = faults(lambda: Settings.of(auth={"issuers": [issuer]}))
    assert complaint in found["WORKBENCH__AUTH__ISSUERS[0]"]
    assert SECRET not in str(found)


def test_issuers_have_different_names_and_fitting_default_algorithms() -> None:
    one, other = {"name": "a", "secret": SECRET}, {"name": "b", "jwks_url": "https://x"}
    assert [issuer.algorithms for issuer in Settings.of(auth={"issuers": [one, other]}).issuers] == [
        ("HS256",),
        ("RS256",),
    ]
    found = faults(lambda: Settings.of(auth={"issuers": [one, one]}))
    assert "'a'" in found["WORKBENCH__AUTH__ISSUERS"]


def test_an_app_id_alone_means_entra() -> None:
    auth = {"allowed_app_id": "app", "allowed_jwt_algorithms": ["RS256", "PS256"]}
    (entra,) = Settings.of(auth=auth).issuers
    assert entra.jwks_url == "https://login.microsoftonline.com/common/discovery/v2.0/keys"
    assert (entra.app_id, entra.issuer, entra.algorithms) == ("app", None, ("RS256", "PS256"))


def test_a_symmetric_algorithm_needs_a_secret() -> None:
    found = faults(lambda: Settings.of(auth={"allowed_app_id": "app", "allowed_jwt_algorithms": ["HS256"]}))
    assert "HS256 needs a secret" in found["WORKBENCH__AUTH__ALLOWED_JWT_ALGORITHMS"]


@pytest.mark.parametrize(
    ("values", "setting"),
    [
        ({"delivery": {"give_up_after_hours": 25}, "events": {"retention_days": 1}}, "DELIVERY__GIVE_UP_AFTER_HOURS"),
        ({"delivery": {"first_retry_seconds": 301}}, "DELIVERY__MAX_RETRY_SECONDS"),
        ({"limits": {"body_bytes": 2048}}, "LIMITS__MESSAGE_BYTES"),
        ({"service": {"anonymous_paths": ["docs"]}}, "SERVICE__ANONYMOUS_PATHS"),
        ({"events": {"retention_days": 0}}, "EVENTS__RETENTION_DAYS"),
        ({"retention": {"messages_days": 0.5}}, "RETENTION__MESSAGES_DAYS"),
        ({"retention": {"files_days": 0}}, "RETENTION__FILES_DAYS"),
    ],
)
def test_values_that_contradict_each_other_are_refused(values: dict[str, object], setting: str) -> None:
    assert f"WORKBENCH__{setting}" in faults(lambda: Settings.of(**values))


@pytest.mark.parametrize(
    ("service", "is_refused"),
    [
        ({}, False),
        ({"host": "localhost"}, False),
        ({"host": "::1"}, False),
        ({"host": "127.0.0.9"}, False),
        ({"host": "0.0.0.0"}, True),
        ({"host": "::"}, True),
        ({"host": "workbench.example.com"}, True),
        ({"host": "0.0.0.0", "assistant_keys": "secured"}, False),
        (
            {
                "host": "0.0.0.0",
                "allow_local_mode_on_network": "i-understand-that-anyone-can-call-as-any-assistant",
            },
            False,
        ),
    ],
)
def test_local_mode_stays_on_loopback(service: dict[str, str], is_refused: bool) -> None:
    settings = Settings.of(service=service)
    if is_refused:
        assert "WORKBENCH__SERVICE__HOST" in faults(settings.require_safe_address)
    else:
        settings.require_safe_address()


def test_settings_are_frozen_and_travel_to_other_processes(tmp_path: Path) -> None:
    with environment(WORKBENCH__DATA_ROOT=str(tmp_path), WORKBENCH__DB__URL="postgres://u:p@h/d"):
        settings = load_settings(env_file=None)
    with pytest.raises(ValueError, match="frozen"):
        settings.db.migrate_at_start = False
    assert pickle.loads(pickle.dumps(settings)) == settings


def test_the_data_folder_is_private(tmp_path: Path) -> None:
    folder = Settings.of(data_root=tmp_path / "a" / "b").make_data_root()
    assert folder.stat().st_mode & 0o777 == 0o700


def test_every_setting_is_described() -> None:
    entries = settings_reference()
    assert all(entry.description and entry.allowed for entry in entries)
    by_name = {entry.name: entry for entry in entries}
    assert by_name["WORKBENCH__SERVICE__PORT"].default == "3000"
    assert by_name["WORKBENCH__AUTH__ALLOWED_JWT_ALGORITHMS"].default == '["RS256"]'
    assert by_name["WORKBENCH__DATA_ROOT"].default == ".data"


VAULT = {"key_vault_url": "https://workbench.vault.azure.net"}


def test_a_key_vault_secures_assistant_services() -> None:
    with environment(WORKBENCH__SERVICE__ASSISTANT_API_KEY__KEY_VAULT_URL=VAULT["key_vault_url"]):
        service = load_settings(env_file=None).service
    assert (service.assistant_keys, service.assistant_api_key.key_vault_url) == ("secured", VAULT["key_vault_url"])
    assert Settings.of(service=service).service == service
    found = faults(lambda: Settings.of(service={"assistant_keys": "local", "assistant_api_key": VAULT}))
    assert "KEY_VAULT_URL" in found["WORKBENCH__SERVICE__ASSISTANT_KEYS"]


@pytest.mark.parametrize("url", ["http://workbench.vault.azure.net", "workbench.vault.azure.net", "https://h/secrets"])
def test_a_key_vault_is_an_https_address(url: str) -> None:
    found = faults(lambda: Settings.of(service={"assistant_api_key": {"key_vault_url": url}}))
    assert "such as https://" in found["WORKBENCH__SERVICE__ASSISTANT_API_KEY__KEY_VAULT_URL"]


def test_settings_in_a_group_of_a_group_are_known_by_name() -> None:
    with environment(WORKBENCH__SERVICE__ASSISTANT_API_KEY__KEY_VAULT_URI="https://h"):
        found = faults(lambda: load_settings(env_file=None))
    assert found == {
        "WORKBENCH__SERVICE__ASSISTANT_API_KEY__KEY_VAULT_URI": (
            "there is no such setting; did you mean WORKBENCH__SERVICE__ASSISTANT_API_KEY__KEY_VAULT_URL?"
        )
    }


def test_speech_is_set_up_with_and_without_the_prefix() -> None:
    with environment(AZURE_SPEECH__RESOURCE_ID="/r", AZURE_SPEECH__REGION="low", WORKBENCH__AZURE_SPEECH__REGION="won"):
        speech = load_settings(env_file=None).azure_speech
    assert (speech.resource_id, speech.region) == ("/r", "won")
    assert Settings.of().azure_speech.region is None


@pytest.mark.parametrize(("given", "missing"), [("resource_id", "REGION"), ("region", "RESOURCE_ID")])
def test_half_of_what_speech_needs_is_refused(given: str, missing: str) -> None:
    found = faults(lambda: Settings.of(azure_speech={given: "x"}))
    assert "together" in found[f"WORKBENCH__AZURE_SPEECH__{missing}"]


WITHOUT_AZURE = """
import sys
sys.modules.update(dict.fromkeys(["aiohttp", "azure"]))
from workbench.entrypoints.http.app import create_app
from workbench.wiring.settings import Settings, SettingsError
create_app(Settings.of())
for values in {"service": {"assistant_api_key": VAULT}}, {"azure_speech": {"resource_id": "r", "region": "r"}}:
    try:
        Settings.of(**values)
    except SettingsError as error:
        print(error)
"""


def test_without_its_packages_azure_is_refused_and_all_else_works() -> None:
    program = WITHOUT_AZURE.replace("VAULT", repr(VAULT))
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    lines = ran.stdout.splitlines()
    assert [line.partition(":")[0] for line in lines] == [
        "WORKBENCH__SERVICE__ASSISTANT_API_KEY__KEY_VAULT_URL",
        "WORKBENCH__AZURE_SPEECH",
    ]
    assert all("pip install 'workbench[azure]'" in line for line in lines)


def test_what_needs_a_session_goes_past_the_proxy() -> None:
    pooled, direct = "postgresql://u@proxy:6432/d", "postgresql://u@server/d"
    both = Settings.of(db={"url": pooled, "postgresql_direct_url": direct})
    assert (both.sqlalchemy_url.host, both.direct_url.host) == ("proxy", "server")
    assert Settings.of(db={"url": pooled}).direct_url.host == "proxy"


@pytest.mark.parametrize(
    "urls",
    [
        {"postgresql_direct_url": "postgresql://u@server/d"},
        {"url": "sqlite:///file.db", "postgresql_direct_url": "postgresql://u@server/d"},
        {"url": "postgresql://u@proxy/d", "postgresql_direct_url": "sqlite:///file.db"},
        {"url": "postgresql://u@proxy/d", "postgresql_direct_url": "mysql://u@server/d"},
    ],
)
def test_only_postgresql_has_a_way_past_a_proxy(urls: dict[str, str]) -> None:
    found = faults(lambda: Settings.of(db=urls))
    assert list(found) == ["WORKBENCH__DB__POSTGRESQL_DIRECT_URL"]
