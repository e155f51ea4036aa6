"""An installation that is broken in some way: every verb says what and what to do, and the doctor finds it."""

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from workbench.entrypoints.cli.main import main


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A sound installation's data folder."""
    folder = tmp_path / "data"
    assert run(folder, "token", "--user", "u", "--name", "n").exit_code == 0
    assert run(folder, "db", "upgrade").exit_code == 0
    return folder


def run(data: Path, *arguments: str, **given: str) -> Result:
    """Run a verb with these settings alone."""
    absent: dict[str, str | None] = dict.fromkeys(name for name in os.environ if name.upper().startswith("WORKBENCH__"))
    surroundings = absent | {"WORKBENCH__DATA_ROOT": str(data), "COLUMNS": "500", **given}
    result = CliRunner().invoke(main, arguments, env=surroundings, prog_name="workbench")
    assert result.exception is None or isinstance(result.exception, SystemExit), result.output
    return result


def plain(result: Result) -> str:
    return " ".join(re.sub(r"[│╭╮╰╯─]", " ", result.output).split())


def wrong(data: Path, **given: str) -> dict[str, Any]:
    """What the doctor finds wrong, by name: what it saw, and what to do."""
    result = run(data, "doctor", "--json", **given)
    findings = json.loads(result.output)["findings"]
    found = {finding["check"]: finding for finding in findings if not finding["ok"]}
    assert result.exit_code == (1 if found else 0)
    assert all(finding["remedy"] for finding in found.values())
    return found


STARTS = [("serve", "--port", "0"), ("db", "upgrade")]


@pytest.mark.parametrize("verb", STARTS)
def test_a_data_folder_that_cannot_be_made_is_named_with_its_setting(tmp_path: Path, verb: tuple[str, ...]) -> None:
    file = tmp_path / "file"
    file.touch()
    result = run(file, *verb)
    assert result.exit_code == 8
    assert str(file) in plain(result)
    assert "data folder" in wrong(file)


@pytest.mark.parametrize("verb", [*STARTS, ("db", "current"), ("db", "check"), ("db", "downgrade", "base")])
def test_a_file_that_is_no_database_is_named(data: Path, verb: tuple[str, ...]) -> None:
    (data / "workbench.db").write_text("a shopping list, and a long one at that", encoding="utf-8")
    result = run(data, *verb)
    assert result.exit_code == 8
    assert "workbench.db cannot be reached: (sqlite3.DatabaseError) file is not a database" in plain(result)


def test_the_doctor_names_a_file_that_is_no_database_in_one_line(data: Path) -> None:
    (data / "workbench.db").write_text("a shopping list, and a long one at that", encoding="utf-8")
    found = wrong(data)["database"]
    assert "file is not a database" in found["detail"]
    assert "\n" not in found["detail"]
    assert "WORKBENCH__DB__URL" in found["remedy"]


def test_there_is_no_way_down_from_nothing(tmp_path: Path) -> None:
    result = run(tmp_path / "data", "db", "downgrade", "base")
    assert result.exit_code == 3
    assert "there is no database yet" in plain(result)
    assert list(tmp_path.iterdir()) == []


def test_a_local_key_that_is_none_stops_the_start_and_is_found(data: Path) -> None:
    assert wrong(data) == {}
    key = data / "keys" / "local-issuer.json"
    key.write_text("{}", encoding="utf-8")
    result = run(data, "serve", "--port", "0")
    assert result.exit_code == 8
    assert "keys/local-issuer.json in the data folder does not hold" in plain(result)
    assert wrong(data)["key file"]["detail"] == f"{key} does not hold a key pair"
    assert wrong(data, WORKBENCH__AUTH__LOCAL_ISSUER="false") == {}


def test_a_key_of_service_keys_that_is_none_is_found(data: Path) -> None:
    key = data / "keys" / "service-keys.key"
    key.touch(mode=0o600)
    assert wrong(data)["key file"]["detail"] == f"{key} does not hold a key"
    key.write_bytes(bytes(32))
    assert wrong(data) == {}


def test_a_file_of_an_issuer_without_keys_is_found(data: Path) -> None:
    keys = data.parent / "keys.json"
    keys.write_text('{"keys": []}', encoding="utf-8")
    issuers = json.dumps([{"name": "company", "jwks_file": str(keys)}])
    found = wrong(data, WORKBENCH__AUTH__ISSUERS=issuers)["keys of company"]
    assert found["detail"] == f"{keys}: there is no usable key in it"
    assert "WORKBENCH__AUTH__ISSUERS" in found["remedy"]


def test_a_place_where_nothing_can_be_written_is_told(data: Path) -> None:
    result = run(data, "openapi", "--output", str(data / "nowhere" / "api.json"))
    assert result.exit_code == 1
    assert "api.json: No such file or directory" in plain(result)
