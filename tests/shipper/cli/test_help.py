"""What ``--help`` shows: to the point, whole sentences, nothing that looks like a type of Python."""

from __future__ import annotations

import re
import sys
from typing import cast

import pytest
from click import Group
from typer.main import get_command

from shipper import VERSION
from shipper.cli.app import app
from tests.shipper.cli.program import run

MEDUSA = [sys.executable, "-m", "shipper"]
COMMANDS = sorted(
    {command.name or (command.callback.__name__ if command.callback else "") for command in app.registered_commands}
)


def helped(*arguments: str) -> str:
    done = run([*MEDUSA, *arguments, "--help"])
    assert (done.code, done.err) == (0, "")
    return done.out


def test_the_commands_of_stock_are_there_by_their_names() -> None:
    shown = re.findall(r"^  ([a-z-]+)(?:  |$)", helped().partition("Commands:")[2], re.MULTILINE)
    assert shown == [
        "backup",
        "restore-node",
        "download",
        "restore-cluster",
        "backup-cluster",
        "restore-status",
        "restore-resume",
        "restore-rollback",
        "list-backups",
        "status",
        "get-last-complete-cluster-backup",
        "report-last-backup",
        "verify",
        "fetch-tokenmap",
        "build-index",
        "doctor",
        "generate-keys",
        "serve",
        "agent",
        "purge",
        "delete-backup",
        "purge-decommissioned",
        "hold",
        "release",
    ]


@pytest.mark.parametrize(
    ("command", "options"),
    [
        (
            "restore-node",
            (
                "--temp-dir --backup-name --in-place --remote --keep-auth --seeds --verify --no-verify --keyspace --table"
                " --use-sstableloader --version-target"
            ),
        ),
        (
            "restore-cluster",
            (
                "--backup-name --seed-target --temp-dir --host-list --keep-auth -y --bypass-checks --verify --no-verify"
                " --keyspace --table --use-sstableloader --parallel-restores -pr --version-target --ignore-racks"
            ),
        ),
        (
            "backup-cluster",
            (
                "--backup-name --seed-target --enable-md5-checks --mode --temp-dir --parallel-snapshots -ps"
                " --parallel-uploads -pu"
            ),
        ),
    ],
)
def test_the_options_of_stock_are_understood(command: str, options: str) -> None:
    """Of backup-cluster all but those that would be ignored and change the backup: --stagger and those about snapshots."""
    ours = cast("Group", get_command(app)).commands[command].params
    assert set(options.split()) <= {option for param in ours for option in (*param.opts, *param.secondary_opts)}


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_a_help_is_made_of_whole_sentences(command: str) -> None:
    text = helped(*command.split())
    assert "..." not in text.replace("[ARGS]...", "")
    assert not re.search(r"<[a-z]|list\[", text), "metavars are words in capitals"
    assert max(map(len, text.splitlines())) <= 80


def test_the_help_does_not_load_what_only_commands_need() -> None:
    code = (
        "import sys, shipper.__main__; print(sorted({'cassandra', 'rich', 'watchdog', 'sqlite3'} & set(sys.modules)))"
    )
    assert run([sys.executable, "-c", code]).out == "[]\n"


def test_the_version() -> None:
    done = run([*MEDUSA, "--version"])
    assert (done.code, done.out) == (0, f"medusa-shipper {VERSION}\n")


@pytest.mark.parametrize(("alias", "name"), [("restore", "restore-node"), ("backup-node", "backup")])
def test_other_names_of_a_command(alias: str, name: str) -> None:
    assert helped(alias).replace(alias, name, 1) == helped(name)
