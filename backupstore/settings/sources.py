"""Where the text of an option comes from: command line, environment, files; the first that has it wins.

Besides ``MEDUSA_<SECTION>_<KEY>``, stock's own variables are obeyed, and go before ours of the same option.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from backupstore.settings.files import Files
from backupstore.settings.inifile import IniFile, shown
from backupstore.settings.options import Option
from backupstore.settings.sections import OPTIONS, SECTIONS

Place = tuple[str, str]

STOCK_VARIABLES: dict[str, Place] = {
    **{
        f"MEDUSA_{key.upper()}": ("cassandra", key)
        for key in (
            "cql_username",
            "cql_password",
            "nodetool_username",
            "nodetool_password",
            "sstableloader_tspw",
            "sstableloader_kspw",
            "resolve_ip_addresses",
            "cql_k8s_secrets_path",
            "nodetool_k8s_secrets_path",
        )
    },
    "POD_IP": ("kubernetes", "pod_ip"),
}

EMULATOR = "STORAGE_EMULATOR_HOST"
"""What all clients of Google Cloud Storage obey: a URL. Here it is the default of ``host``, with that provider alone."""

OLD_VARIABLES: dict[str, Place] = {
    "CQL_USERNAME": ("cassandra", "cql_username"),
    "CQL_PASSWORD": ("cassandra", "cql_password"),
}

# Each has one place. Stock matches by the key's name alone: --key-file sets the ssh key too, and --ssh-* nothing.
COMMAND_LINE: dict[str, Place] = {
    "bucket_name": ("storage", "bucket_name"),
    "key_file": ("storage", "key_file"),
    "prefix": ("storage", "prefix"),
    "fqdn": ("storage", "fqdn"),
    "backup_grace_period_in_days": ("storage", "backup_grace_period_in_days"),
    "ssh_username": ("ssh", "username"),
    "ssh_key_file": ("ssh", "key_file"),
    "listen": ("shipper", "listen"),
}


@dataclass(frozen=True, slots=True)
class Given:
    """Text for an option, and where an operator finds it."""

    text: str
    where: str


@dataclass(frozen=True, slots=True)
class Sources:
    """All three, in one: ``given`` has the winning text for each option that is set anywhere."""

    given: Mapping[Place, Given]
    problems: tuple[str, ...]
    warnings: tuple[str, ...]


def gather(files: Files, environ: Mapping[str, str], overrides: Mapping[str, str]) -> Sources:
    """Find out what is set, by whom, and what cannot be meant for us."""
    given: dict[Place, Given] = {
        (entry.section, entry.key): Given(entry.text, where) for entry, where in files.entries()
    }
    warnings = [*_strangers_in(files.main), *_strangers_in(files.companion), *_strange_variables(environ)]
    for variable, place in _variables(OPTIONS):
        if variable in environ:
            given[place] = Given(environ[variable], f"environment {variable}")
    for name, place in OLD_VARIABLES.items():
        if name in environ and given[place].where == f"environment {name}":
            warnings.append(f"environment {name}: is deprecated, use MEDUSA_{name}")
    provider, host = given.get(("storage", "storage_provider")), ("storage", "host")
    if EMULATOR in environ and host not in given and provider and provider.text.strip().lower() == "google_storage":
        given[host] = Given(environ[EMULATOR], f"environment {EMULATOR}")
    problems = list(files.problems)
    for name, text in overrides.items():
        where = f"--{name.replace('_', '-')}"
        if name in COMMAND_LINE:
            given[COMMAND_LINE[name]] = Given(text, where)
        else:
            problems.append(f"{where}: sets nothing{_perhaps(name, COMMAND_LINE)}")
    return Sources(given, tuple(problems), tuple(warnings))


def _variables(options: Iterable[Option]) -> list[tuple[str, Place]]:
    """All variables, those that win last."""
    ours = [(option.variable, (option.section, option.key)) for option in options]
    return [*OLD_VARIABLES.items(), *ours, *STOCK_VARIABLES.items()]


def _perhaps(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {near[0]}?" if near else ""


def _strangers_in(file: IniFile) -> list[str]:
    warnings = [
        f"{file.name}:{line}: [{shown(section)}] is no section we know, and is ignored{_perhaps(section, SECTIONS)}"
        for section, line in file.sections
        if section not in SECTIONS
    ]
    for entry in file.entries:
        keys = [option.key for option in OPTIONS if option.section == entry.section]
        if keys and entry.key not in keys:
            elsewhere = [f"[{option.section}]" for option in OPTIONS if option.key == entry.key]
            advice = f"; it belongs in {' or '.join(elsewhere)}" if elsewhere else _perhaps(entry.key, keys)
            where = f"{file.name}:{entry.line}: [{entry.section}] {shown(entry.key)}"
            warnings.append(f"{where}: is no key we know, and is ignored{advice}")
    return warnings


def _strange_variables(environ: Mapping[str, str]) -> list[str]:
    known = {variable for variable, _ in _variables(OPTIONS)}
    ours = tuple(f"MEDUSA_{section.upper()}_" for section in SECTIONS)
    return [
        f"environment {name}: sets nothing{_perhaps(name, known)}"
        for name in sorted(environ)
        if name.startswith(ours) and name not in known
    ]
