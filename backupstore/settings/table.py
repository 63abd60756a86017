"""The options as a document for people: ``docs/settings.md`` is exactly what ``settings_table`` gives."""

from __future__ import annotations

from backupstore.settings.options import Option
from backupstore.settings.sections import OPTIONS, SECTIONS
from backupstore.settings.sources import COMMAND_LINE, OLD_VARIABLES, STOCK_VARIABLES

_INTRODUCTION = """# Settings

<!-- Generated from backupstore/settings; renew it with: python -m tests.test_settings_document -->

The file is `/etc/medusa/medusa.ini`, or what `--config-file` names: the same file, with the same keys and defaults, as
stock Medusa's (0.31). `medusa-example.ini` is one to begin with.

What is only ours is the section `[shipper]`. It stands in a companion beside that file, which may be missing:
`<stem>-shipper<suffix>`, so `/etc/medusa/medusa-shipper.ini` for `/etc/medusa/medusa.ini`.
`medusa-shipper-example.ini` is one. Stock stops with `KeyError: 'shipper'` at a section that it does not know; without
stock, `[shipper]` may as well stand in the main file. A key that both files set is a mistake, and so is any other
section in the companion.

Every key of stock's is read and checked. What then obeys it stands in the last column; a key with "nothing" has no
effect, for the reason beside it.

- Command line goes before environment, environment before the files, files before default.
- Every option can be set by a variable, `MEDUSA_<SECTION>_<KEY>`: `MEDUSA_STORAGE_BUCKET_NAME`. With all required ones
  set this way, no file is needed.
- All mistakes are reported at once, with file and line, before anything is done. Unknown keys, and unknown sections of
  the main file, are only warned about. A `[DEFAULT]` section is refused: write each key into its section.
- Keys may be written in any case. A comment needs a line of its own, with `;` or `#` in front. An indented line
  continues the value of the line above. `%` has no meaning.
- A size is a number of bytes, or a number with `B`, `KB`, `MB`, `GB`, `TB` or `PB` (in capitals, 1 KB is 1024 B), and
  perhaps `/s`.
- Yes is `1`, `true`, `yes` or `on`; no is `0`, `false`, `no` or `off`.
- A schedule is minute, hour, day of the month, month and day of the week, as in a crontab and in UTC: `15 3 * * *` is every
  night, `0 4 * * sun` every Sunday. Sunday is 0 and 7.
- What `cql_k8s_secrets_path` and `nodetool_k8s_secrets_path` hold goes before user and password from anywhere else.
- Secrets are shown nowhere, not even in messages about them.

Where we differ from stock on purpose: `concurrent_transfers` is 32, not 1. `health_check = thrift`, a part of the
`sstableloader_*` or TLS options without the rest, an old S3 region name that nobody knows, a provider with an endpoint
of its own but no `host`, `[kubernetes] enabled` without `cassandra_url`, a log format that no line can be written in,
and `nodetool_ssl` with any yes but the exact `true` are errors; stock ignores them or fails later.
`transfer_max_bandwidth` holds for local buckets too, and `monitoring_provider = ffwd` works as it did in 2019.
`ca_cert` of `[kubernetes]` is obeyed: stock believes any certificate there. With `[kubernetes] enabled`, `backup` needs
no nodetool; `restore-node` stops and starts Cassandra by `stop_cmd` and `start_cmd` all the same. Nothing is ever an
error because a log file cannot be written or a receiver of metrics is down.

## Metrics

`backup`, `agent`, the commands that purge, `report-last-backup --push-metrics` and, when `report_schedule` says so, `serve`
send what [monitoring.md](monitoring.md) lists to where `monitoring_provider` says; `serve` also answers Prometheus at the
address of `listen`, `agent` at that of `agent_listen`.
"""

_OPTIONS = "They stand before the command; `--listen` is one of `serve`."


def settings_table() -> str:
    """The whole document, in Markdown."""
    parts = [_INTRODUCTION, _variables(), _command_line()]
    parts += [_section(name, [option for option in OPTIONS if option.section == name]) for name in SECTIONS]
    return "\n".join(parts)


def _variables() -> str:
    rows = [f"| `{name}` | `[{section}] {key}` |" for name, (section, key) in STOCK_VARIABLES.items()]
    rows += [f"| `{name}` (deprecated) | `[{section}] {key}` |" for name, (section, key) in OLD_VARIABLES.items()]
    return "\n".join(["## Stock's variables", "", "| Variable | Sets |", "|---|---|", *rows, ""])


def _command_line() -> str:
    rows = [f"| `--{name.replace('_', '-')}` | `[{place[0]}] {place[1]}` |" for name, place in COMMAND_LINE.items()]
    return "\n".join(["## Options of the command line", "", _OPTIONS, "", "| Option | Sets |", "|---|---|", *rows, ""])


def _section(name: str, options: list[Option]) -> str:
    head = [f"## [{name}]", "", "| Key | Type | Default | Meaning | Obeyed by |", "|---|---|---|---|---|"]
    return "\n".join([*head, *(_row(option) for option in options), ""])


def _row(option: Option) -> str:
    about = option.description
    default = "required" if about.default is None else f"`{about.default}`" if about.default else "not set"
    allowed = f"{about.kind.name}: {about.kind.allowed}" if about.kind.name == "word" else about.kind.name
    cells = (f"`{option.key}`", allowed, default, about.meaning, about.obeyed_by)
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"
