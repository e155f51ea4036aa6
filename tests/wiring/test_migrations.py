"""Migrations as the service runs them; what they contain is tested with the tables."""

import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic.script import ScriptDirectory

from workbench.domain.errors import InvalidError
from workbench.wiring import migrations
from workbench.wiring.settings import Settings


def test_looking_makes_no_database(tmp_path: Path) -> None:
    settings = Settings.of(data_root=tmp_path / "data")
    assert migrations.current(settings) is None
    assert migrations.check(settings) == ["there is no database yet"]
    assert list(tmp_path.iterdir()) == []


def test_the_folder_of_the_database_is_made(tmp_path: Path) -> None:
    settings = Settings.of(data_root=tmp_path / "data", db={"url": f"sqlite:///{tmp_path}/elsewhere/x.db"})
    migrations.upgrade(settings)
    assert migrations.current(settings) == migrations.head()
    assert migrations.is_known(migrations.head())
    assert not migrations.is_known("nowhere")


def test_several_can_upgrade_at_once_in_one_process(tmp_path: Path) -> None:
    all_settings = [Settings.of(data_root=tmp_path / name) for name in ("one", "one", "two", "three")]
    with ThreadPoolExecutor(len(all_settings)) as threads:
        list(threads.map(migrations.upgrade, all_settings))
    assert all(migrations.check(settings) == [] for settings in all_settings)


def test_a_start_loads_nothing_that_only_some_requests_or_only_postgresql_need(tmp_path: Path) -> None:
    code = (
        "import asyncio, sys\n"
        "from workbench.entrypoints.http.app import create_app\n"
        "from workbench.wiring.settings import load_settings\n"
        "async def main():\n"
        "    async with create_app(load_settings(env_file=None, data_root=sys.argv[1])).lifespan():\n"
        "        print(sorted({'alembic', 'asyncpg', 'numpy', 'pydantic_ai', 'sqlalchemy.orm'} & sys.modules.keys()))\n"
        "asyncio.run(main())\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    for _ in range(2):
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
        assert done.stdout.splitlines()[-1] == "[]"


def test_who_only_looks_after_workers_does_not_load_what_they_serve() -> None:
    code = (
        "import sys, workbench.entrypoints.cli.serve\n"
        "print(sorted({'asyncpg', 'dishka', 'litestar', 'workbench.entrypoints.http.app'} & sys.modules.keys()))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_revisions_are_what_their_files_are_named_by() -> None:
    scripts = ScriptDirectory(str(migrations.scripts_folder()))
    assert scripts.get_current_head() == migrations.head()
    revisions = [script.revision for script in scripts.walk_revisions()]
    assert len(revisions) > 1
    assert all(migrations.is_known(revision) for revision in revisions)


def test_up_and_down_leave_nothing_but_the_version(tmp_path: Path) -> None:
    settings = Settings.of(data_root=tmp_path)
    migrations.upgrade(settings)
    migrations.downgrade(settings, "base")
    connection = sqlite3.connect(tmp_path / "workbench.db")
    assert connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall() == [
        ("alembic_version",)
    ]
    connection.close()


def test_a_revision_of_a_newer_program_is_refused(tmp_path: Path) -> None:
    settings = Settings.of(data_root=tmp_path)
    migrations.upgrade(settings)
    with sqlite3.connect(tmp_path / "workbench.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'ffff'")
    connection.close()
    with pytest.raises(InvalidError, match="which a newer program made"):
        migrations.upgrade(settings)
