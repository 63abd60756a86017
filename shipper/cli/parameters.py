"""Options that several commands take, as ``--help`` shows them."""

from __future__ import annotations

from enum import Enum
from typing import Annotated

import typer


class Output(str, Enum):
    """What a result is printed as."""

    text = "text"
    json = "json"


BackupName = Annotated[str, typer.Option("--backup-name", metavar="NAME", help="Name of the backup.")]
Keyspaces = Annotated[
    list[str] | None,
    typer.Option("--keyspace", metavar="KEYSPACE", help="Only this keyspace. May be given several times."),
]
Tables = Annotated[
    list[str] | None,
    typer.Option("--table", metavar="KEYSPACE.TABLE", help="Only this table. May be given several times."),
]
AsText = Annotated[Output, typer.Option("--output", "-o", metavar="text|json", help="How to print it.")]
