"""What came of a purge, in words: the same on the command line and in the log of ``serve``."""

from __future__ import annotations

import logging

from backupstore.core.purge_records import NodeResult
from backupstore.core.sizes import human_size
from backupstore.operations.purging import Outcome

_log = logging.getLogger("medusa-shipper")


def node_text(result: NodeResult) -> str:
    """What was deleted of one node."""
    return f"{result.node}: {result.objects:,} objects deleted, {human_size(result.bytes)}"


def tell_trouble(result: NodeResult) -> None:
    """What was left of one node, and why."""
    for note in result.notes:
        _log.warning("%s", note)
    if result.error:
        _log.error("%s: %s", result.node, result.error)


def tell_node(result: NodeResult) -> None:
    """Into the log, as soon as the node is done; nothing of one that had nothing to delete."""
    if result.objects:
        _log.info("%s", node_text(result))
    tell_trouble(result)


def outcome_text(outcome: Outcome) -> list[str]:
    """What was deleted in all, and what is left to do."""
    results = outcome.record.results
    touched, left = sum(1 for one in results if one.objects), [one.node for one in results if not one.done]
    found = [
        f"In all: {outcome.objects:,} objects deleted, {human_size(outcome.size)}, on {touched} of {len(results)} nodes"
    ]
    if left:
        found.append(f"Not done on {', '.join(left)}: the next purge goes on there.")
    return found


def tell_rest(outcome: Outcome) -> None:
    """What else could not be done; none of it harms a backup."""
    for subject, why in outcome.indexed.failed.items():
        _log.warning("%s of %s is still in the catalog: %s", subject.backup, subject.node, why.message)
    if outcome.untidied is not None:
        why = outcome.untidied
        _log.warning("what older purges left stays for now: %s", why.message, extra={"hint": why.hint})
