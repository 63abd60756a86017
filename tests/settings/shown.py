"""Which test shows that an option is obeyed; and how an option is set here: in files, as an operator does it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from backupstore.settings import Settings, load

Test = TypeVar("Test", bound=Callable[..., None])

SHOWN: dict[str, list[str]] = {}

# Shown where the verb itself is tested: a second test of it would say nothing new.
ELSEWHERE = {
    "shipper.coordinate_interval": "tests/shipper/serve/test_coordinating.py::test_without_a_key_or_when_it_shall_not_it_leaves_jobs_alone",
    "shipper.poll_interval": "tests/shipper/serve/test_serving.py::test_looking_where_events_tell_nothing",
    "shipper.purge_schedule": "tests/shipper/serve/test_purging.py::test_a_time_that_passed_while_serve_was_down_is_made_up_for_once",
    "shipper.reconcile_interval": "tests/shipper/serve/test_serving.py::test_reconcile_finds_what_no_event_told",
    "shipper.signing_key_file": "tests/shipper/serve/test_coordinating.py::test_a_restore_is_led_to_its_end_beside_all_else",
    "storage.host_file_separator": "tests/shipper/cli/test_cluster.py::test_it_says_who_takes_whose_place",
    "shipper.watch": "tests/shipper/serve/test_serving.py::test_looking_where_events_tell_nothing",
}


def shows(*places: str) -> Callable[[Test], Test]:
    """This test shows that these options (``section.key``) are obeyed."""

    def noted(test: Test) -> Test:
        for place in places:
            SHOWN.setdefault(place, []).append(f"{test.__module__}.{test.__name__}")
        return test

    return noted


def settings(folder: Path, environ: Mapping[str, str] | None = None, /, **sections: Mapping[str, object]) -> Settings:
    """The settings of a ``medusa.ini`` with these sections and as little else as possible."""
    return load(ini(folder, **sections), environ or {}).settings


def ini(folder: Path, **sections: Mapping[str, object]) -> Path:
    """The file; ``[shipper]`` stands in its companion."""
    least = {"storage_provider": "local", "base_path": str(folder), "bucket_name": "bucket", "fqdn": "n1"}
    given = {"storage": least, **sections}
    given["storage"] = {**least, **sections.get("storage", {})}
    for file, wanted in (("medusa.ini", set(given) - {"shipper"}), ("medusa-shipper.ini", {"shipper"} & set(given))):
        lines = []
        for section in sorted(wanted):
            lines += [
                f"[{section}]",
                *(f"{key} = {value}" for key, value in given[section].items() if value is not None),
            ]
        (folder / file).write_text("\n".join([*lines, ""]), encoding="utf-8")
    return folder / "medusa.ini"
