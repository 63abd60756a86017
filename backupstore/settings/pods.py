"""In Kubernetes a node is called by the address of its pod, as stock has it: before ``fqdn`` of the file."""

from __future__ import annotations

from dataclasses import replace

from backupstore.settings.kinds import FLAG
from backupstore.settings.sources import COMMAND_LINE, Given, Sources

_ENABLED, _POD_IP, _FQDN = ("kubernetes", "enabled"), ("kubernetes", "pod_ip"), ("storage", "fqdn")


def with_pod_name(sources: Sources) -> Sources:
    """The same sources, with the pod's address as ``fqdn``; who types ``--fqdn`` means that node all the same."""
    pod, fqdn = sources.given.get(_POD_IP), sources.given.get(_FQDN)
    typed = fqdn is not None and fqdn.where == _typed()
    if pod is None or not pod.text or typed or not _is_yes(sources.given.get(_ENABLED)):
        return sources
    return replace(sources, given={**sources.given, _FQDN: pod})


def _typed() -> str:
    (name,) = (name for name, place in COMMAND_LINE.items() if place == _FQDN)
    return f"--{name}"


def _is_yes(given: Given | None) -> bool:
    """A mistake is no yes here; it is reported with its option."""
    try:
        return given is not None and FLAG.parse(given.text)
    except ValueError:
        return False
