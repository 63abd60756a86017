"""Sessions of the DataStax driver that leave nothing behind, behind types of our own.

The driver ships no types, so of this package only this module and `loading` import it.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal, Protocol

from cassandra import ConsistencyLevel, OperationTimedOut
from cassandra.auth import PlainTextAuthProvider
from cassandra.cluster import EXEC_PROFILE_DEFAULT, ExecutionProfile, NoHostAvailable
from cassandra.cluster import Cluster as Driver
from cassandra.policies import ConstantReconnectionPolicy, HostDistance, WhiteListRoundRobinPolicy
from cassandra.query import SimpleStatement

from tests.harness.config import SUPERUSER, ClusterConfig
from tests.harness.errors import HarnessError

Consistency = Literal["ONE", "LOCAL_ONE", "QUORUM", "LOCAL_QUORUM", "ALL"]
Login = tuple[str, str] | None

_TIMEOUT = 60.0
_AGREEMENT = 180.0
_SILENCE = 20.0


class Result(Protocol):
    """The rows of an answer, page after page."""

    column_names: Sequence[str]

    def __iter__(self) -> Iterator[Any]: ...

    def one(self) -> Any:  # noqa: ANN401 - a row's shape is the table's
        """The first row, or None."""


class Session(Protocol):
    """What we use of the driver's session."""

    cluster: Any

    def execute(
        self, query: object, parameters: Sequence[object] | None = ..., timeout: float = ..., *, host: object = ...
    ) -> Result:
        """Run a statement and wait for its answer."""

    def get_pool_state(self) -> Mapping[object, object]:
        """The hosts that the session talks to."""

    def prepare(self, query: str) -> object:
        """Prepare a statement to be run often."""


def login(config: ClusterConfig) -> Login:
    """Name and password of the superuser, where a login is asked for."""
    return SUPERUSER if config.auth else None


@contextmanager
def session(contacts: Sequence[str], consistency: Consistency, user: Login) -> Iterator[Session]:
    """A session that talks to these nodes and to no others."""
    profile = ExecutionProfile(
        load_balancing_policy=WhiteListRoundRobinPolicy(list(contacts)),
        consistency_level=getattr(ConsistencyLevel, consistency),
        request_timeout=_TIMEOUT,
    )
    driver = Driver(
        list(contacts),
        protocol_version=5,
        execution_profiles={EXEC_PROFILE_DEFAULT: profile},
        auth_provider=PlainTextAuthProvider(*user) if user else None,
        reconnection_policy=ConstantReconnectionPolicy(0.5, None),
        connect_timeout=20,
        control_connection_timeout=20,
    )
    try:
        yield driver.connect()
    finally:
        driver.shutdown()


def define(session: Session, statements: Iterable[str]) -> None:
    """Run statements that change the schema, through one node, and wait for the others at the end.

    To wait after each statement, as the driver does, costs a round of gossip, a second, each time. All nodes are asked: one
    that has not heard of the change yet would find all others agreed on the schema before, as the driver's own wait does.
    """
    driver, host = session.cluster, next(iter(session.get_pool_state()))
    usual, driver.max_schema_agreement_wait = driver.max_schema_agreement_wait, 0
    try:
        for statement in statements:
            session.execute(statement, host=host)
    finally:
        driver.max_schema_agreement_wait = usual
    _wait_until_agreed(session)
    driver.refresh_schema_metadata(max_schema_agreement_wait=0)


def _wait_until_agreed(session: Session) -> None:
    """Until the schema of all nodes has one version; those that are down, or seem so for long, are left out."""
    driver, began = session.cluster, time.monotonic()
    while time.monotonic() < began + _AGREEMENT:
        hosts = driver.metadata.all_hosts()
        asked = (host for host in hosts if driver.profile_manager.distance(host) != HostDistance.IGNORED)
        versions = {_schema_version(session, host) for host in asked}
        if time.monotonic() > began + _SILENCE:
            versions.discard(None)
        if len(versions) == 1 and None not in versions:
            return
        time.sleep(0.2)
    raise HarnessError("the nodes do not agree on their schema")


def _schema_version(session: Session, host: object) -> object:
    """None when the node cannot be asked."""
    query = SimpleStatement("SELECT schema_version FROM system.local", consistency_level=ConsistencyLevel.ONE)
    try:
        return session.execute(query, host=host).one()[0]
    except (NoHostAvailable, OperationTimedOut):
        return None


def accepts(ip: str, user: Login) -> bool:
    """Whether the node lets this user in."""
    try:
        with session([ip], "ONE", user) as connected:
            connected.execute("SELECT release_version FROM system.local")
    except NoHostAvailable:
        return False
    return True
