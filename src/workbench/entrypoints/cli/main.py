"""The command `workbench`: its verbs, and what each kind of failure means for the exit code."""

# rich-click names click's generic ParamType without its arguments.
# pyright: reportUnknownMemberType=false

import keyword
from importlib.metadata import version
from typing import Any

import rich_click as click

from workbench.domain.errors import (
    ConflictError,
    ExhaustedError,
    ForbiddenError,
    InvalidError,
    NotFoundError,
    TooLargeError,
    UnauthenticatedError,
    UnavailableError,
    UpstreamError,
    WorkbenchError,
)
from workbench.entrypoints.cli.staying import imported_to_stay
from workbench.wiring.setting_names import SettingsError

EXIT_SETTINGS = 2
EXIT_CODES: dict[type[WorkbenchError], int] = {
    InvalidError: 2,
    NotFoundError: 3,
    UnauthenticatedError: 4,
    ForbiddenError: 4,
    ConflictError: 5,
    TooLargeError: 6,
    ExhaustedError: 6,
    UpstreamError: 7,
    UnavailableError: 8,
}
EXIT_CODES_HELP = (
    "Exit codes: 0 done, 1 failed, 2 wrong usage or setting, 3 not found, 4 not allowed, 5 conflict, "
    "6 over a limit, 7 an assistant failed, 8 not available."
)
# Imported at first use, so that a quick command does not wait for what serves HTTP.
VERBS = {
    "serve": "workbench.entrypoints.cli.serve",
    "demo": "workbench.entrypoints.cli.demo",
    "token": "workbench.entrypoints.cli.tokens",
    "db": "workbench.entrypoints.cli.db",
    "doctor": "workbench.entrypoints.cli.doctor",
    "deliveries": "workbench.entrypoints.cli.deliveries",
    "storage": "workbench.entrypoints.cli.storage",
    "stats": "workbench.entrypoints.cli.stats",
    "retention": "workbench.entrypoints.cli.retention",
    "workspaces": "workbench.entrypoints.cli.workspaces",
    "budgets": "workbench.entrypoints.cli.budgets",
    "users": "workbench.entrypoints.cli.users",
    "export": "workbench.entrypoints.cli.archives",
    "import": "workbench.entrypoints.cli.archives",
    "flows": "workbench.entrypoints.cli.flows",
    "playbooks": "workbench.entrypoints.cli.playbooks",
    "psa": "workbench.entrypoints.cli.psa",
    "sessions": "workbench.entrypoints.cli.sessions",
    "audit": "workbench.entrypoints.cli.audit",
    "backup": "workbench.entrypoints.cli.backups",
    "restore": "workbench.entrypoints.cli.backups",
    "migrate-from": "workbench.entrypoints.cli.migrate_from",
    "openapi": "workbench.entrypoints.cli.openapi",
}


class FailedError(click.ClickException):
    """A failure that was foreseen: its text, without a traceback, and its exit code."""

    def __init__(self, detail: str, exit_code: int) -> None:
        """Set the exit code of the process."""
        super().__init__(detail)
        # click says ClassVar and reads it from the instance.
        self.exit_code = exit_code  # pyright: ignore[reportAttributeAccessIssue]


class Verbs(click.RichGroup):
    """Finds a verb in its module, and gives every foreseen failure its text and exit code."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """List the verbs in the order in which a newcomer needs them."""
        return [*VERBS, *super().list_commands(ctx)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the verb."""
        if cmd_name not in VERBS:
            return super().get_command(ctx, cmd_name)
        name = cmd_name.replace("-", "_")
        # `import` is a word of the language, and so no name of a function.
        name = f"{name}_" if keyword.iskeyword(name) else name
        command: click.Command = getattr(imported_to_stay(VERBS[cmd_name]), name)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run the verb; what is neither a settings nor a domain error keeps its traceback."""
        try:
            return super().invoke(ctx)
        except SettingsError as error:
            raise FailedError(f"These settings cannot be used:\n\n{error}", EXIT_SETTINGS) from error
        except WorkbenchError as error:
            raise FailedError(error.detail, _exit_code(error)) from error


def _exit_code(error: WorkbenchError) -> int:
    return next((EXIT_CODES[kind] for kind in type(error).__mro__ if kind in EXIT_CODES), 1)


@click.group(cls=Verbs, epilog=EXIT_CODES_HELP, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version("workbench"), prog_name="workbench")
def main() -> None:
    """Run and look after a Workbench: people and AI assistants working together in conversations.

    Settings come from the environment and from `.env`: WORKBENCH__DATA_ROOT, WORKBENCH__DB__URL, ...
    `workbench doctor` says which are wrong.
    """


if __name__ == "__main__":
    main()
