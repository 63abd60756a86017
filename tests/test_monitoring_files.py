"""The files of docs/monitoring: they parse as Prometheus and Grafana read them, and name only what is told."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser
import pytest
from ruamel.yaml import YAML

from backupstore.core.measures import MEASURES, Measure

DOCS = Path(__file__).parents[1] / "docs"
TOLD = {measure.identifier: measure for measure in MEASURES}
DURATION = re.compile(r"\d+(s|m|h|d)")
LABEL_OF_TEMPLATE = re.compile(r"\$labels\.(\w+)|\{\{\s*(\w+)\s*\}\}")
VARIABLE_QUERY = re.compile(r"label_values\((\w+), (\w+)\)")

Selectors = list[promql_parser.VectorSelector]


def rules() -> list[dict[str, Any]]:
    document = YAML(typ="safe").load((DOCS / "monitoring/alerts.yaml").read_text(encoding="utf-8"))
    assert set(document) == {"groups"}
    return [rule for group in document["groups"] for rule in group["rules"]]


def dashboard() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((DOCS / "monitoring/grafana-dashboard.json").read_text(encoding="utf-8"))
    return loaded


def targets() -> list[dict[str, Any]]:
    return [target for panel in dashboard()["panels"] for target in panel["targets"]]


def selectors_of(expression: str) -> Selectors:
    """Every metric that an expression asks for. ValueError when it is none."""
    return list(_selectors(promql_parser.parse(expression)))


def _selectors(node: object) -> Iterator[promql_parser.VectorSelector]:
    if isinstance(node, promql_parser.VectorSelector):
        yield node
    for name in ("expr", "lhs", "rhs", "vector_selector"):
        if getattr(node, name, None) is not None:
            yield from _selectors(getattr(node, name))
    for argument in getattr(node, "args", ()):
        yield from _selectors(argument)


def mistakes_in(expression: str) -> list[str]:
    """What is named that nobody tells, or asked by a label that it has not."""
    found = selectors_of(expression)
    wrong = [f"{each.name} is told by nobody" for each in found if each.name not in TOLD]
    kept = {label.strip() for group in re.findall(r"\b(?:by|on) \(([^)]*)\)", expression) for label in group.split(",")}
    for each in found:
        if each.name in TOLD:
            asked = kept | {matcher.name for matcher in each.matchers.matchers}
            wrong += [f"{each.name} has no label {label}" for label in sorted(asked - set(TOLD[each.name].labels))]
    return wrong if found else ["asks for nothing"]


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_an_alert_rule_is_whole_and_names_only_what_is_told(rule: dict[str, Any]) -> None:
    assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
    assert re.fullmatch(r"Medusa[A-Za-z]+", rule["alert"])
    assert mistakes_in(rule["expr"]) == []
    assert "for" not in rule or DURATION.fullmatch(rule["for"])
    assert rule["labels"]["severity"] in {"warning", "critical"}
    assert set(rule["annotations"]) == {"summary", "description"}
    for text in rule["annotations"].values():
        for label, _ in LABEL_OF_TEMPLATE.findall(text):
            assert label in re.findall(r"\w+", " ".join(re.findall(r"by \(([^)]*)\)", rule["expr"])))


def test_each_alert_has_a_name_of_its_own() -> None:
    names = [rule["alert"] for rule in rules()]
    assert len(set(names)) == len(names) > 10


@pytest.mark.parametrize("target", targets(), ids=lambda target: target["expr"])
def test_a_panel_names_only_what_is_told(target: dict[str, Any]) -> None:
    expression = target["expr"].replace("$cluster", ".*")
    assert "$" not in expression, "of the dashboard's variables only cluster is used in expressions"
    assert mistakes_in(expression) == []
    for _, label in LABEL_OF_TEMPLATE.findall(target["legendFormat"]):
        assert all(label in TOLD[each.name].labels for each in selectors_of(expression) if each.name)


def test_the_dashboard_is_whole() -> None:
    board = dashboard()
    panels = board["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert {panel["type"] for panel in panels} <= {"stat", "timeseries", "table"}
    places = {(panel["gridPos"]["x"] + x, panel["gridPos"]["y"] + y) for panel in panels for x, y in _cells(panel)}
    assert len(places) == sum(len(list(_cells(panel))) for panel in panels), "no panel lies over another one"
    assert all(x < 24 for x, _ in places)
    variables = {variable["name"]: variable for variable in board["templating"]["list"]}
    assert set(variables) == {"datasource", "cluster"}
    asked = VARIABLE_QUERY.fullmatch(variables["cluster"]["query"])
    assert asked is not None
    assert asked[2] in TOLD[asked[1]].labels


def test_everything_that_is_told_is_on_the_dashboard() -> None:
    shown = {each.name for target in targets() for each in selectors_of(target["expr"].replace("$cluster", ".*"))}
    assert set(TOLD) == shown


def _cells(panel: dict[str, Any]) -> Iterator[tuple[int, int]]:
    grid = panel["gridPos"]
    return ((x, y) for x in range(grid["w"]) for y in range(grid["h"]))


@pytest.mark.parametrize(
    ("expression", "mistake"),
    [
        ("medusa_shipper_index_lag > 3", "medusa_shipper_index_lag is told by nobody"),
        ("vector(1) or absent(nothing)", "nothing is told by nobody"),
        ("rate(up[5m])", "up is told by nobody"),
        ('medusa_shipper_index_lag_seconds{node="a"}', "medusa_shipper_index_lag_seconds has no label node"),
        ("max by (node) (medusa_shipper_report_error)", "medusa_shipper_report_error has no label node"),
        ("max(-(sum(x offset 1d)))", "x is told by nobody"),
        ("max_over_time(y[5m:1m])", "y is told by nobody"),
        ("1 + 1", "asks for nothing"),
    ],
)
def test_a_mistake_is_found(expression: str, mistake: str) -> None:
    assert mistakes_in(expression) == [mistake]


def test_what_is_no_expression_is_found() -> None:
    with pytest.raises(ValueError, match="unclosed"):
        mistakes_in("max by cluster (medusa_shipper_report_error")


def row(measure: Measure) -> str:
    told = f"`{measure.name}`"
    return f"| {told} | {measure.unit} | {', '.join(measure.labels)} | {measure.help} |"


@pytest.mark.parametrize("teller", ["backup", "agent", "purge", "report"])
def test_the_document_has_the_table_of_what_is_told(teller: str) -> None:
    document = (DOCS / "monitoring.md").read_text(encoding="utf-8")
    told = "\n".join(row(measure) for measure in MEASURES if measure.told_by == teller)
    head = "| Name | Unit | Labels | Meaning |\n|---|---|---|---|\n"
    assert f"{head}{told}\n\n" in document, f"write this there:\n{head}{told}"
