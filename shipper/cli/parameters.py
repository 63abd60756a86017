"""Options that several commands take, as ``--help`` shows them."""

from __future__ import annotations

from enum import Enum
from typing import Annotated

import typer


class Output(str, Enum):
    """What a result is printed as."""

    text = "text"
    json = "json"


class Area(Enum):
    """What the doctor looks at."""

    settings = "settings"
    names = "names"
    store = "store"
    index = "index"
    stock = "stock"
    node = "node"


class How(str, Enum):
    """The mode of a backup."""

    differential = "differential"
    full = "full"


class HowClosely(Enum):
    """How closely a backup is looked at."""

    listing = "listing"
    structure = "structure"
    content = "content"


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
Depth = Annotated[HowClosely, typer.Option("--level", metavar="listing|structure|content", help="How closely to look.")]
Areas = Annotated[
    list[Area] | None,
    typer.Option(
        "--only", metavar="AREA", help=f"Only {', '.join(area.value for area in Area)}. May be given several times."
    ),
]

KeepSnapshot = Annotated[bool, typer.Option("--keep-snapshot", help="Leave the snapshot on the node.")]
UseExistingSnapshot = Annotated[
    bool,
    typer.Option(
        "--use-existing-snapshot",
        help="Back up the snapshot medusa-NAME that was taken before, instead of a new one; it is left there.",
    ),
]
EnableMd5Checks = Annotated[
    bool,
    typer.Option(
        "--enable-md5-checks", help="Read every file and compare its digest, also where nothing seems to have changed."
    ),
]
