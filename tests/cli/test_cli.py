"""The command line: exit codes, what is printed, and what is refused."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Generator, Iterator
from contextlib import chdir, contextmanager
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner, Result

from workbench.domain.errors import ConflictError, NotFoundError, StaleError, UnavailableError, WorkbenchError
from workbench.entrypoints.cli.main import EXIT_CODES, VERBS, main

WORDS = "i-understand-that-anyone-can-call-as-any-assistant"


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """An empty working folder, so that nobody's .env is read."""
    with chdir(tmp_path):
        yield tmp_path


def surroundings(folder: Path, given: dict[str, str]) -> dict[str, str | None]:
    absent: dict[str, str | None] = dict.fromkeys(name for name in os.environ if name.upper().startswith("WORKBENCH__"))
    return absent | {"WORKBENCH__DATA_ROOT": str(folder / "data"), "COLUMNS": "200", **given}


def run(folder: Path, *arguments: str, **given: str) -> Result:
    return CliRunner().invoke(main, arguments, env=surroundings(folder, given), prog_name="workbench")


def plain(result: Result) -> str:
    """Everything printed, as one line without the panel's frame."""
    return " ".join(re.sub(r"[│╭╮╰╯─]", " ", result.output).split())


def test_help_lists_every_verb_and_the_exit_codes(folder: Path) -> None:
    result = run(folder, "--help")
    assert result.exit_code == 0
    assert all(verb in plain(result) for verb in VERBS)
    assert "8 not available" in plain(result)


def test_the_version_is_the_package_s(folder: Path) -> None:
    assert re.fullmatch(r"workbench, version \d+\.\d+\.\d+\S*\n", run(folder, "--version").output)


def test_wrong_usage_exits_with_2(folder: Path) -> None:
    assert run(folder, "serv").exit_code == 2
    assert run(folder, "token", "--user", "u", "--name", "n", "--ttl", "3x").exit_code == 2


@pytest.mark.parametrize("verb", [("serve",), ("db", "current"), ("token", "--user", "u", "--name", "n")])
def test_an_unknown_setting_stops_every_verb_and_names_the_nearest(folder: Path, verb: tuple[str, ...]) -> None:
    result = run(folder, *verb, WORKBENCH__SERVICE__PROT="3000")
    assert result.exit_code == 2
    assert "WORKBENCH__SERVICE__PROT: there is no such setting; did you mean WORKBENCH__SERVICE__PORT?" in plain(result)


def test_every_kind_of_error_has_an_exit_code() -> None:
    kinds = {kind for kind in WorkbenchError.__subclasses__() if kind.__module__.startswith("workbench.domain")}
    assert kinds <= set(EXIT_CODES)
    assert issubclass(StaleError, ConflictError)
    assert (EXIT_CODES[NotFoundError], EXIT_CODES[UnavailableError]) == (3, 8)


def test_a_database_that_is_away_exits_with_8_and_shows_no_password(folder: Path) -> None:
    away = {"WORKBENCH__DB__URL": "postgresql://someone:hidden@127.0.0.1:1/db", "WORKBENCH__DB__WAIT_SECONDS": "0"}
    result = run(folder, "db", "upgrade", **away)
    assert result.exit_code == 8
    assert "postgresql://someone:***@127.0.0.1:1/db cannot be reached" in plain(result)
    assert "hidden" not in result.output


def test_the_schema_goes_up_and_down(folder: Path) -> None:
    assert json.loads(run(folder, "db", "current", "--json").output)["current"] is None
    unchecked = run(folder, "db", "check", "--json")
    assert unchecked.exit_code == 1
    assert json.loads(unchecked.output) == {"ok": False, "differences": ["there is no database yet"]}
    assert run(folder, "db", "upgrade").exit_code == 0
    assert run(folder, "db", "upgrade").exit_code == 0
    current = json.loads(run(folder, "db", "current", "--json").output)
    assert current["current"] == current["head"] is not None
    assert json.loads(run(folder, "db", "check", "--json").output) == {"ok": True, "differences": []}
    assert run(folder, "db", "downgrade", "base").exit_code == 0
    assert json.loads(run(folder, "db", "current", "--json").output)["current"] is None


def test_an_unknown_revision_is_refused(folder: Path) -> None:
    assert run(folder, "db", "upgrade").exit_code == 0
    result = run(folder, "db", "downgrade", "nowhere")
    assert result.exit_code == 2
    assert "cannot be taken to nowhere" in plain(result)


def test_a_token_is_printed_bare_or_as_json(folder: Path) -> None:
    arguments = ("token", "--user", "u-1", "--name", "Ada Ümlaut", "--ttl", "30m")
    bare = run(folder, *arguments)
    assert bare.exit_code == 0
    assert re.fullmatch(r"[\w-]+\.[\w-]+\.[\w-]+\n", bare.output)
    told = json.loads(run(folder, *arguments, "--workspace", "w", "--json").output)
    assert told.pop("token").count(".") == 2
    assert told == {"user_id": "u-1", "name": "Ada Ümlaut", "workspace": "w", "expires_in_seconds": 1800}


def test_no_token_where_none_would_be_accepted(folder: Path) -> None:
    result = run(folder, "token", "--user", "u", "--name", "n", WORKBENCH__AUTH__LOCAL_ISSUER="false")
    assert result.exit_code == 2
    assert "WORKBENCH__AUTH__LOCAL_ISSUER" in plain(result)


def test_a_workspace_that_no_token_may_name_is_refused(folder: Path) -> None:
    result = run(folder, "token", "--user", "u", "--name", "n", "--workspace", "Not This")
    assert result.exit_code == 2
    assert "A workspace's name" in plain(result)


def test_a_key_that_others_can_read_is_not_used(folder: Path) -> None:
    arguments = ("token", "--user", "u", "--name", "n")
    assert run(folder, *arguments).exit_code == 0
    for key in (folder / "data" / "keys").iterdir():
        key.chmod(0o644)
    result = run(folder, *arguments)
    assert result.exit_code == 8
    assert "chmod 600" in plain(result)


def test_the_doctor_finds_nothing_wrong_with_an_empty_folder_and_changes_nothing(folder: Path) -> None:
    result = run(folder, "doctor", "--json")
    assert (result.exit_code, json.loads(result.output)["ok"]) == (0, True)
    assert list(folder.iterdir()) == []


def test_the_doctor_names_the_wrong_setting_and_the_remedy(folder: Path) -> None:
    result = run(folder, "doctor", "--json", WORKBENCH__SERVICE__PORT="x", WORKBENCH__DB__UR="y")
    findings = json.loads(result.output)["findings"]
    assert result.exit_code == 1
    assert {finding["check"] for finding in findings} == {"WORKBENCH__SERVICE__PORT", "WORKBENCH__DB__UR"}
    assert all(finding["remedy"] for finding in findings)


def test_the_doctor_sees_what_is_open_and_what_is_away(folder: Path) -> None:
    assert run(folder, "db", "upgrade").exit_code == 0
    data = folder / "data"
    data.chmod(0o755)
    (data / "signing.pem").touch(mode=0o644)
    issuer = json.dumps([{"name": "company", "jwks_url": "http://127.0.0.1:1/keys"}])
    result = run(folder, "doctor", "--json", WORKBENCH__SERVICE__HOST="0.0.0.0", WORKBENCH__AUTH__ISSUERS=issuer)
    wrong = {
        finding["check"]: finding["remedy"] for finding in json.loads(result.output)["findings"] if not finding["ok"]
    }
    assert wrong.keys() == {"data folder", "key file", "keys of company", "address"}
    assert wrong["data folder"] == f"chmod 700 {data}"
    assert WORDS in wrong["address"]
    assert "chmod 600" in plain(run(folder, "doctor"))


def test_the_doctor_tells_which_models_are_configured(folder: Path) -> None:
    named = {
        "WORKBENCH__MODELS__NAMED__FAST__PROVIDER": "openai",
        "WORKBENCH__MODELS__NAMED__FAST__MODEL": "gpt-4o-mini",
        "WORKBENCH__MODELS__NAMED__FAST__API_KEY": "sk-very-secret",
        "WORKBENCH__MODELS__NAMED__TRIAL__PROVIDER": "demo",
        "WORKBENCH__MODELS__DEFAULT": "trial",
        "WORKBENCH__MCP__DESK__URL": "https://tools.example/mcp",
        "WORKBENCH__SESSIONS__MODELS": "fast",
        "WORKBENCH__SESSIONS__PLAN": "pro",
        "WORKBENCH__SESSIONS__WORKSPACE_PLANS": '{"research": "team"}',
    }
    result = run(folder, "doctor", "--json", **named)
    details = {finding["check"]: finding["detail"] for finding in json.loads(result.output)["findings"]}
    wanted = "trial (demo), fast (gpt-4o-mini of openai); none was asked; MCP servers: desk"
    assert (result.exit_code, details["models"]) == (0, wanted)
    assert details["sessions"] == "by fast, plan pro; of their own: research"
    assert "sk-very-secret" not in result.output


def test_the_doctor_sees_that_the_key_vault_is_away(folder: Path) -> None:
    url = "https://127.0.0.1:1"
    result = run(folder, "doctor", "--json", WORKBENCH__SERVICE__ASSISTANT_API_KEY__KEY_VAULT_URL=url)
    (wrong,) = (finding for finding in json.loads(result.output)["findings"] if not finding["ok"])
    assert wrong["check"] == "key vault"
    assert wrong["detail"].startswith(f"{url}: The key vault cannot be used")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "workbench.example.com"])
def test_local_mode_is_not_served_to_a_network(folder: Path, host: str) -> None:
    result = run(folder, "serve", "--host", host)
    assert result.exit_code == 2
    assert "WORKBENCH__SERVICE__ASSISTANT_KEYS=secured" in plain(result)
    assert WORDS in plain(result)
    assert list(folder.iterdir()) == []


def test_a_taken_port_is_said_and_exits_with_1(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        result = run(folder, "serve", "--port", str(taken.getsockname()[1]))
    assert result.exit_code == 1
    assert "Address already in use" in plain(result)
    assert "WORKBENCH__SERVICE__PORT" in plain(result)


@contextmanager
def serving(folder: Path, *arguments: str) -> Generator[tuple[subprocess.Popen[str], str]]:
    command = [sys.executable, "-m", "workbench.entrypoints.cli.main", "serve", "--port", "0", *arguments]
    environment = {name: value for name, value in (os.environ | surroundings(folder, {})).items() if value is not None}
    with subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process, process.stdout.readline() if process.stdout else ""
        finally:
            process.kill()


@pytest.mark.parametrize(("workers", "told"), [("1", signal.SIGTERM), ("2", signal.SIGINT)])
def test_serving_says_where_and_ends_well_when_told_to(folder: Path, workers: str, told: signal.Signals) -> None:
    with serving(folder, "--workers", workers) as (process, line):
        said = re.fullmatch(r"Workbench is serving on (http://127\.0\.0\.1:\d+) \(sqlite, local mode\)\n", line)
        assert said is not None
        assert httpx.get(f"{said[1]}/livez").status_code == 200
        process.send_signal(told)
        assert process.wait(timeout=10) == 0


def test_openapi_is_printed_or_written(folder: Path) -> None:
    printed = json.loads(run(folder, "openapi").output)
    assert printed["openapi"].startswith("3.")
    assert run(folder, "openapi", "--output", "api.json").output == ""
    assert json.loads(Path("api.json").read_text(encoding="utf-8")) == printed
