"""The table is whole: every parser is in it, is really reached, and has an example that it reads."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
import sys
from collections.abc import Callable, Iterator
from types import CodeType, FrameType
from typing import Any

import pytest

import backupstore.core
from backupstore.core.documents import Own
from backupstore.core.work import PurgeWork, VerifyWork
from tests.fuzzing.table import TARGETS

PARSER = re.compile(r"(parse|read|decode)(_.*)?")
COVERED = frozenset(parser for target in TARGETS.values() for parser in target.covers)
every_target = pytest.mark.parametrize("name", TARGETS)


def core() -> Iterator[object]:
    """The modules of the core, all of them."""
    for module in pkgutil.iter_modules(backupstore.core.__path__, "backupstore.core."):
        yield importlib.import_module(module.name)


def documents(kind: type[Own] = Own) -> Iterator[type[Own]]:
    """Every kind of document there is."""
    for one in kind.__subclasses__():
        if one.__module__.startswith("backupstore."):
            yield one
            yield from documents(one)


def test_every_parser_of_the_core_is_in_the_table() -> None:
    parsers = {
        value
        for module in core()
        for name, value in vars(module).items()
        if PARSER.fullmatch(name) and inspect.isfunction(value) and value.__module__.startswith("backupstore.core.")
    }
    assert len(parsers) > 8
    assert not parsers - COVERED, "put it in a table of tests/fuzzing"


def test_every_kind_of_document_is_in_the_table() -> None:
    list(core())
    # Messages are read by read_work, which is in it.
    assert {*documents()} - {PurgeWork, VerifyWork} == {
        kind for kind in COVERED if inspect.isclass(kind) and issubclass(kind, Own)
    }


def code_of(parser: Callable[..., Any]) -> CodeType:
    code = inspect.unwrap(parser).__code__
    assert isinstance(code, CodeType)
    return code


@every_target
def test_an_example_is_read_and_reaches_every_parser_that_the_table_says(name: str) -> None:
    target = TARGETS[name]
    reached: set[CodeType] = set()

    def note(frame: FrameType, event: str, _: object) -> None:
        if event == "call":
            reached.add(frame.f_code)

    for parser in target.covers:
        getattr(parser, "cache_clear", lambda: None)()
    before = sys.getprofile()
    sys.setprofile(note)
    try:
        read = [target.attempt(seed) for seed in target.seeds]
    finally:
        sys.setprofile(before)
    assert any(read) or "faults[" in name, "no example is sound"
    assert {parser for parser in target.covers if inspect.isroutine(parser) and code_of(parser) not in reached} == set()
