"""Policies of both clouds, evaluated as their documentation says: no server that can be had here knows all of their words."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from infra.roles_gcp import Binding

Statement = Mapping[str, Any]


def like(pattern: str, text: str) -> bool:
    """As in ``Resource`` and ``StringLike``: ``*`` is any text, slashes included, ``?`` one character."""
    parts = {"*": ".*", "?": "."}
    return bool(re.fullmatch("".join(parts.get(one, re.escape(one)) for one in pattern), text, re.DOTALL))


def aws_allows(
    statements: Iterable[Statement], action: str, resource: str, context: Mapping[str, str] | None = None
) -> bool:
    """Whether the policy allows the request: some statement does, and none denies it. ``context``: the condition keys it has."""
    met = [each["Effect"] for each in statements if _meets(each, action, resource, context or {})]
    return "Allow" in met and "Deny" not in met


def _meets(statement: Statement, action: str, resource: str, context: Mapping[str, str]) -> bool:
    known = {"Sid", "Effect", "Action", "Resource", "Condition"}
    assert set(statement) <= known, statement
    return (
        any(like(one, action) for one in _several(statement["Action"]))
        and any(like(one, resource) for one in _several(statement["Resource"]))
        and all(
            _holds(operator, wanted, context.get(key))
            for operator, keys in statement.get("Condition", {}).items()
            for key, wanted in keys.items()
        )
    )


def _several(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def _holds(operator: str, wanted: str | list[str], found: str | None) -> bool:
    """KeyError for an operator that nobody knows."""
    if operator == "Null":
        return (found is None) == (wanted == "true")
    if operator.endswith("IfExists"):
        return found is None or _holds(operator.removesuffix("IfExists"), wanted, found)
    test: Callable[[str, str], bool] = {"Bool": str.__eq__, "StringEquals": str.__eq__, "StringLike": like}[operator]
    return found is not None and any(test(one, found) for one in _several(wanted))


@dataclass(frozen=True, slots=True)
class _Name:
    """``resource.name``, or what ``api.getAttribute`` gives, with the methods that an expression may call."""

    text: str

    def starts_with(self, start: str) -> bool:
        return self.text.startswith(start)

    def extract(self, template: str) -> str:
        """What stands where the template has its ``{word}``; empty where the name does not look like that."""
        before, after = re.split(r"\{\w+\}", template)
        _, found, rest = self.text.partition(before)
        if not found:
            return ""
        if not after:
            return rest
        between, found, _ = rest.partition(after)
        return between if found else ""


def gcp_allows(bindings: Iterable[Binding], permission: str, name: str, listed: str = "") -> bool:
    """Whether some binding gives the permission. ``name``: of the resource; ``listed``: the prefix of a listing."""
    return any(
        binding.permission == permission and (not binding.expression or _true(binding.expression, name, listed))
        for binding in bindings
    )


def _true(expression: str, name: str, listed: str) -> bool:
    attribute = 'api.getAttribute("storage.googleapis.com/objectListPrefix", "")'
    python = (
        expression.replace(attribute, "listed").replace("resource.name", "name").replace("startsWith", "starts_with")
    )
    python = python.replace("&&", "and").replace("||", "or")
    python = re.sub(r"!(?!=)", "not ", python)
    code = compile(python, "condition", "eval")
    return bool(eval(code, {"__builtins__": {}}, {"name": _Name(name), "listed": _Name(listed)}))  # noqa: S307 -- ours
