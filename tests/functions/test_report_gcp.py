"""Report on Google's cloud: a timer's message, pushed, has the numbers told."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.functions.google import Google, google, push
from tests.settings.udp import receiver
from tests.shipper.cli.program import until


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Google]:
    with google(tmp_path_factory.mktemp("google")) as made:
        yield made


def test_a_timer_has_the_numbers_of_every_cluster_told(there: Google) -> None:
    for prefix in ("east", "west"):
        cluster = there.cluster(prefix)
        cluster.ship(("n1", "b1"), ("n2", "b1"))
        cluster.rebuilt()
    timer = there.pubsub.topic("report-timer")
    with receiver() as taken:
        settings = {"DD_AGENT_HOST": "127.0.0.1", "DD_DOGSTATSD_PORT": str(taken.port)}
        function = there.run("report", timer, MEDUSA_MONITORING_MONITORING_PROVIDER="dog-statsd", **settings)
        there.pubsub.publish(timer, b'{"timer": "report"}')
        said: list[str] = []

        def arrived() -> bool:
            said.extend(taken.taken())
            return bool(said)

        until(arrived, 60, function.said)
        assert push(function, b'{"timer": "report", "prefix": "west"}') == 200
        said += taken.taken()
    text = "\n".join(said)
    assert "east" in text
    assert "west" in text
    assert "verified" in text


@pytest.mark.parametrize("data", [b"", b"{}", b'{"timer": "purge"}'])
def test_what_is_no_timer_fails(there: Google, data: bytes) -> None:
    function = there.run("report", MEDUSA_MONITORING_MONITORING_PROVIDER="local")
    assert push(function, data) == 500
    assert "This message is no timer's" in function.said()


def test_numbers_that_nobody_takes_are_a_failure(there: Google) -> None:
    """Cloud Monitoring is the default; there are no credentials for it here."""
    function = there.run("report")
    assert push(function, b'{"timer": "report"}') == 500
    assert "metrics cannot be sent to Cloud Monitoring" in function.said()
