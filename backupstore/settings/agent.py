"""The part of ``[shipper]`` that the resident ``agent`` of a node obeys: when it backs up, and where it is asked how it is."""

# ruff: noqa: RUF009 -- option() makes a dataclass field; all defaults are immutable
from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from backupstore.settings import kinds
from backupstore.settings.kinds import choice, optional, whole
from backupstore.settings.options import option
from backupstore.settings.schedules import Schedule

AGENT = "agent"

_HOUR = 3600
_DAY = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentSettings:
    """What a node does without being told each time."""

    backup_schedule: Schedule | None = option(
        optional(kinds.SCHEDULE),
        "",
        "when `agent` backs its node up: a line of a crontab without the command, in UTC, such as `0 2 * * *`; the same on"
        " all nodes, for the time is the name of the backup; empty: never",
        AGENT,
    )
    backup_mode: str = option(choice("differential", "full"), "differential", "of backups by `backup_schedule`", AGENT)
    stagger: int = option(
        whole(0, _DAY),
        "0",
        "seconds; the first node of the ring, in the order of tokens, begins at the time of `backup_schedule`, the next one so"
        " much later, and so on; 0: all at once",
        AGENT,
    )
    command_interval: int = option(
        whole(1, _HOUR), "10", "seconds between looks for a command to this node, give or take half", AGENT
    )
    command_keys_file: Path | None = option(
        optional(kinds.ABSOLUTE),
        "",
        "the public keys of coordinators, one a line, as `generate-keys` makes them; only root may be able to change it;"
        " empty: no command is obeyed",
        AGENT,
    )
    command_queue: str | None = option(
        optional(kinds.QUEUE),
        "",
        "a queue of this node's own, with a message for each new command to it: the URL of an SQS queue, or"
        " `projects/PROJECT/subscriptions/NAME` of Pub/Sub; then it looks at once, and every `command_interval` all the same;"
        " empty: it only looks",
        AGENT,
    )
    agent_listen: kinds.ListenAddress | None = option(
        optional(kinds.LISTEN),
        "127.0.0.1:8901",
        "where `agent` answers `/health` and `/metrics`, to everybody who can reach it; empty: nowhere",
        AGENT,
    )
