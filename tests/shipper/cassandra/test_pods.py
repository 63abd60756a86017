"""Names of pods, asked of a real name server on loopback."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import dns.flags
import dns.message
import dns.rcode
import dns.resolver
import dns.rrset
import pytest

from backupstore.errors import NodeTrouble
from shipper.cassandra.naming import Naming
from shipper.cassandra.pods import PodLookup

ZONE = {
    "10.0.0.5": ["10-0-0-5.dc1-service.ns.svc.cluster.local.", "c1-dc1-r1-sts-0.dc1-all-pods.ns.svc.cluster.local."],
    "10.0.0.6": ["10-0-0-6.dc1-service.ns.svc.cluster.local."],
    "fd00::5": ["fd00--5.dc1-service.ns.svc.cluster.local.", "c1-dc1-r1-sts-1.all.ns.svc.cluster.local."],
}


class Handler(socketserver.DatagramRequestHandler):
    """Answers from the zone; what it does not know has no name."""

    def handle(self) -> None:
        query = dns.message.from_wire(self.rfile.read())
        answer = dns.message.make_response(query)
        question = query.question[0]
        names = {dns.reversename.from_address(address): found for address, found in ZONE.items()}.get(question.name)
        if names is None:
            answer.set_rcode(dns.rcode.NXDOMAIN)
        else:
            answer.answer.append(dns.rrset.from_text(question.name, 5, "IN", "PTR", *names))
        self.wfile.write(answer.to_wire())


@contextmanager
def asking(port: int) -> Iterator[PodLookup]:
    resolver = dns.resolver.Resolver(configure=False)
    resolver.nameservers, resolver.port, resolver.lifetime = ["127.0.0.1"], port, 1.0
    yield PodLookup(resolver)


@pytest.fixture
def lookup() -> Iterator[PodLookup]:
    with socketserver.ThreadingUDPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            with asking(server.server_address[1]) as made:
                yield made
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("10.0.0.5", "c1-dc1-r1-sts-0"),
        ("10.0.0.6", "10.0.0.6"),
        ("10.0.0.7", "10.0.0.7"),
        ("fd00::5", "c1-dc1-r1-sts-1"),
    ],
)
def test_a_pod_has_its_own_name_or_its_address(lookup: PodLookup, address: str, name: str) -> None:
    assert lookup.name(address) == name


def test_others_are_called_so_and_oneself_as_configured(lookup: PodLookup) -> None:
    ring = Naming("me", lookup=lookup).ring("my-id")
    assert (ring("my-id", "10.0.0.6"), ring("other", "10.0.0.5")) == ("me", "c1-dc1-r1-sts-0")


def test_a_silent_name_server_is_no_reason_for_another_name() -> None:
    with asking(1) as nobody, pytest.raises(NodeTrouble, match=r"10\.0\.0\.5") as caught:
        nobody.name("10.0.0.5")
    assert "POD_IP" in caught.value.hint
