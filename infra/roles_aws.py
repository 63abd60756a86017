"""Roles in Amazon's words: the statements of an IAM policy for each.

In them ``{ARN}`` is the bucket's name as a resource; the other words are those of ``backupstore.core.patterns``.
"""

from __future__ import annotations

from typing import Any

from infra.roles_table import NODES, Role

Statement = dict[str, Any]

_PARTS = {
    "{P}index/holds/": "Holds",
    "{P}index/accepted_rings/": "Rings",
    "{P}index/commands/": "Jobs",
    "{P}index/jobs/": "Jobs",
}
"""What only some nodes, or operators, need stands in statements of its own, so that it can be left out."""
_IN_PARTS = frozenset({"node", "nodes", "operator"})
_OWN_FOLDER = {"node": "{P}{F}/", "nodes": NODES}
_NEW_ONLY = {"Null": {"s3:if-none-match": "true"}, "Bool": {"s3:ObjectCreationOperation": "true"}}


def statements(name: str, role: Role) -> list[Statement]:
    """What a policy of the role allows and denies, in the order in which it is read best."""
    made = [_list(role)]
    made += _allowed("Read", "s3:GetObject", role.read, name)
    made += _allowed("Create" if not role.overwrite else "Write", "s3:PutObject", role.written(), name)
    if role.create_only():
        everything = ("",) if not role.overwrite and not role.delete else role.create_only()
        made.append({**_statement("NeverOverwrite", "Deny", "s3:PutObject", everything), "Condition": _NEW_ONLY})
    if role.create_denied:
        made.append(_statement("LeaveAlone", "Deny", "s3:PutObject", role.create_denied))
    if name in _OWN_FOLDER:
        made.append(_statement("GiveUpUploads", "Allow", "s3:AbortMultipartUpload", (_OWN_FOLDER[name],)))
    made += _allowed("Delete", "s3:DeleteObject", role.delete, name)
    if role.delete_denied:
        made.append(_statement("Spare", "Deny", "s3:DeleteObject", role.delete_denied))
    return made


def _list(role: Role) -> Statement:
    made: Statement = {"Sid": "List", "Effect": "Allow", "Action": "s3:ListBucket", "Resource": "{ARN}"}
    if "" not in role.list:
        made["Condition"] = {
            "StringLikeIfExists": {"s3:prefix": [f"{pattern}*".replace("{N}", "*") for pattern in role.list]}
        }
    return made


def _allowed(sid: str, action: str, patterns: tuple[str, ...], name: str) -> list[Statement]:
    parts: dict[str, list[str]] = {}
    for pattern in patterns:
        of = (part for start, part in _PARTS.items() if name in _IN_PARTS and pattern.startswith(start))
        parts.setdefault(next(of, ""), []).append(pattern)
    return [_statement(f"{sid}{part}", "Allow", action, tuple(parts[part])) for part in sorted(parts)]


def _statement(sid: str, effect: str, action: str, patterns: tuple[str, ...]) -> Statement:
    resources = [_resource(pattern) for pattern in patterns]
    return {"Sid": sid, "Effect": effect, "Action": action, "Resource": resources if resources[1:] else resources[0]}


def _resource(pattern: str) -> str:
    """The pattern as a resource; one that names a single object stays as it is."""
    named = f"{{ARN}}/{pattern}".replace("{N}", "*")
    return named if named.endswith(".json") else f"{named}*"
