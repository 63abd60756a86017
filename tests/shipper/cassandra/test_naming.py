"""What nodes are called: as stock calls them."""

from __future__ import annotations

import pytest

from backupstore.errors import Misconfigured
from shipper.cassandra.naming import Naming, SystemLookup, resolver


class Dns:
    """A machine called db1 in a small zone."""

    def __init__(self, *, known: bool = True) -> None:
        self.asked: list[str] = []
        self._known = known

    def own(self) -> str:
        return "db1.example.com"

    def address(self, name: str) -> str:
        if not self._known:
            raise OSError(-2, "Name or service not known")
        return {"db1.example.com": "10.0.0.1"}[name]

    def name(self, address: str) -> str:
        self.asked.append(address)
        return {"10.0.0.1": "db1.example.com", "10.0.0.2": "db2.example.com"}.get(address, address)


def test_a_configured_name_is_taken_as_it_stands() -> None:
    assert Naming("db1", lookup=Dns(known=False)).own() == "db1"


def test_without_one_it_is_the_host_name_or_the_address() -> None:
    assert Naming(lookup=Dns()).own() == "db1.example.com"
    assert Naming(resolve=False, lookup=Dns()).own() == "10.0.0.1"


def test_a_machine_without_address_must_be_told_its_name() -> None:
    with pytest.raises(Misconfigured, match="has no address") as failure:
        Naming(lookup=Dns(known=False)).own()
    assert "fqdn" in failure.value.hint


def test_members_are_named_by_the_same_resolver_and_asked_for_once() -> None:
    dns = Dns()
    name_of = Naming(lookup=dns).ring("host-1")
    assert [name_of("host-1", "10.0.0.1"), name_of("host-2", "10.0.0.2"), name_of("host-3", "10.0.0.3")] == [
        "db1.example.com",
        "db2.example.com",
        "10.0.0.3",
    ]
    name_of("host-2", "10.0.0.2")
    assert dns.asked == ["10.0.0.1", "10.0.0.2", "10.0.0.3"]


def test_a_configured_name_is_that_of_our_own_member_only() -> None:
    name_of = Naming("mine", resolve=False, lookup=Dns()).ring("host-1")
    assert (name_of("host-1", "10.0.0.1"), name_of("host-2", "10.0.0.2")) == ("mine", "10.0.0.2")


def test_addresses_stay_where_resolution_is_off() -> None:
    assert resolver(resolve=False)("10.0.0.1") == "10.0.0.1"
    assert resolver(resolve=True, lookup=Dns())("10.0.0.2") == "db2.example.com"


def test_the_machine_itself_has_a_name() -> None:
    lookup = SystemLookup()
    assert lookup.own()
    assert lookup.address("localhost") == "127.0.0.1"
    assert lookup.name("192.0.2.1") == "192.0.2.1"
    with pytest.raises(OSError, match=r".+"):
        lookup.address("nowhere.invalid")


@pytest.mark.parametrize("name", ["n" * 64, "a..b", "n" * 64 + ".example.com"])
def test_what_dns_cannot_even_be_asked_for_has_no_address_and_no_other_name(name: str) -> None:
    assert SystemLookup().name(name) == name
    with pytest.raises(OSError, match="no name in DNS"):
        SystemLookup().address(name)
