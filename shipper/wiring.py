"""From settings to the node: which host, which commands, which login. No verb is called here."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from backupstore.chance import random_text
from backupstore.core.layout import Layout
from backupstore.errors import BackupError, NodeTrouble
from backupstore.ports import Clock, ObjectStore
from backupstore.settings import Settings
from backupstore.wiring import bucket_identity
from shipper.cassandra import wire
from shipper.cassandra.addresses import all_addresses, cql_address, storage_address
from shipper.cassandra.configuration import Configuration, read_configuration
from shipper.cassandra.cql import CqlAccess, Tls, connect
from shipper.cassandra.http_snapshots import ClientTls, Jolokia, ManagementApi, Server
from shipper.cassandra.naming import Naming
from shipper.cassandra.node import LocalNode
from shipper.cassandra.nodetool import Nodetool, NodetoolAccess
from shipper.cassandra.pods import PodLookup
from shipper.cassandra.port import SnapshotCommands
from shipper.cassandra.process import find_program
from shipper.cassandra.service import Commands, HealthCheck, Presence, Service
from shipper.cassandra.service import Limits as ServiceLimits
from shipper.cassandra.sstableloader import LoaderAccess, Stores
from shipper.cassandra.wire import Address
from shipper.restore.port import Directories, Rows, Witness
from shipper.restore.steps import Machine
from shipper.site import Site
from shipper.state import StateDirectory
from shipper.watching import MOUNTS, mount_of, remembers_directories

_PEER_SECONDS = 5.0


def naming_of(settings: Settings) -> Naming:
    """How nodes are called in keys."""
    kubernetes, fqdn = settings.kubernetes, settings.storage.fqdn or ""
    resolve = settings.cassandra.resolve_ip_addresses
    if not kubernetes.enabled:
        return Naming(fqdn, resolve)
    # Where pods are called by their addresses, each by its own, the others must be called so as well.
    return Naming(fqdn, resolve and not kubernetes.pod_ip, PodLookup())


def sees_late(settings: Settings, mounts: Path = MOUNTS) -> bool:
    """Whether the bucket is mounted here so that what others write may be seen late."""
    bucket = settings.storage.local_bucket
    try:
        return bucket is not None and remembers_directories(mount_of(bucket.resolve(), mounts))
    except OSError:  # nobody tells how it is mounted
        return True


def cql_access(settings: Settings, address: Address) -> CqlAccess:
    """CQL with a node, as whom the settings say."""
    cassandra = settings.cassandra
    tls = Tls(cassandra.certfile, cassandra.usercert, cassandra.userkey) if cassandra.certfile else None
    return CqlAccess(address, cassandra.cql_username or "", cassandra.cql_password or "", tls)


@dataclass(frozen=True)
class NodeWiring:
    """Everything of the node, made once from the settings."""

    settings: Settings
    clock: Clock

    @cached_property
    def configuration(self) -> Configuration:
        """cassandra.yaml."""
        return read_configuration(self.settings.cassandra.config_file)

    @cached_property
    def access(self) -> CqlAccess:
        """CQL with the node beside us."""
        tls = self.settings.cassandra.certfile is not None
        return cql_access(self.settings, cql_address(self.configuration, tls=tls))

    @cached_property
    def nodetool(self) -> Nodetool:
        """Nodetool of the node beside us."""
        c = self.settings.cassandra
        access = NodetoolAccess(
            executable=c.nodetool_executable,
            flags=c.nodetool_flags,
            host=c.nodetool_host or "",
            port=c.nodetool_port,
            username=c.nodetool_username or "",
            password=c.nodetool_password or "",
            password_file=str(c.nodetool_password_file_path or ""),
            ssl=c.nodetool_ssl,
        )
        return Nodetool(access, timeout=float(self.settings.shipper.nodetool_timeout))

    @cached_property
    def snapshots(self) -> SnapshotCommands:
        """Who takes snapshots: nodetool, or in Kubernetes what answers at ``cassandra_url``."""
        kubernetes = self.settings.kubernetes
        if not kubernetes.enabled or kubernetes.cassandra_url is None:
            return self.nodetool
        files = (kubernetes.ca_cert, kubernetes.tls_cert, kubernetes.tls_key)
        tls = ClientTls(*(file for file in files if file)) if all(files) else None
        server = Server(kubernetes.cassandra_url, float(self.settings.shipper.nodetool_timeout), tls)
        return ManagementApi(server) if kubernetes.use_mgmt_api else Jolokia(server)

    def loader(self) -> LoaderAccess:
        """sstableloader, with the node beside us as its contact point."""
        c = self.settings.cassandra
        stores = None
        if c.sstableloader_ts and c.sstableloader_tspw and c.sstableloader_ks and c.sstableloader_kspw:
            stores = Stores(c.sstableloader_ts, c.sstableloader_tspw, c.sstableloader_ks, c.sstableloader_kspw)
        return LoaderAccess(
            executable=c.sstableloader_bin,
            contact=self.access.address,
            storage_port=self.configuration.ports.storage,
            yaml=self.configuration.path,
            username=self.access.username,
            password=self.access.password,
            stores=stores,
        )

    @cached_property
    def node(self) -> LocalNode:
        """The node as the verbs see it."""
        return LocalNode(self.configuration, self.access, self.snapshots, naming_of(self.settings))

    def site(self, store: ObjectStore, layout: Layout, name: str) -> Site:
        """What the verbs work with."""
        state = StateDirectory(self.settings.shipper.state_dir, beside=self.node.data_directories[0])
        cached = sees_late(self.settings)
        return Site(store, layout, self.node, name, state, self.clock, bucket_identity(self.settings.storage), cached)

    def directories(self) -> Directories:
        """Everything on disk that Cassandra owns."""
        found = self.configuration.directories
        return Directories(found.data, found.beside_data, found.local, caches=found.saved_caches)

    def service(self) -> CassandraService:
        """Starting and stopping."""
        cassandra, checks, limits = self.settings.cassandra, self.settings.checks, self.settings.shipper
        commands = Commands(cassandra.start_cmd, cassandra.stop_cmd)
        directories = self.configuration.directories
        presence = Presence(
            cql=self.access.address,
            storage=storage_address(self.configuration),
            others=all_addresses(self.configuration),
            directories=(*directories.data, *directories.beside_data),
            tls=self.access.tls.context() if self.access.tls else None,
        )
        waits = ServiceLimits(stop=float(limits.stop_timeout), start=float(limits.start_timeout))
        health = HealthCheck(checks.query or "", checks.expected_rows, checks.expected_result or "")
        return CassandraService(
            Service(commands, presence, waits, self.clock),
            commands,
            checks.health_check == "all",
            health,
            self.node,
            self.nodetool,
        )

    def machine(self) -> Machine:
        """The node as something to restore."""
        return Machine(
            directories=self.directories(),
            service=self.service(),
            peers=self.peers(remembered_host_id(self.settings.shipper.state_dir)),
            workers=self.settings.storage.concurrent_transfers,
            new_id=lambda: f"restore-{random_text()}",
            yaml=self.configuration.path,
        )

    def peers(self, own_host_id: str) -> RingPeers:
        """The other nodes."""
        return RingPeers(self, own_host_id)


@dataclass(frozen=True, slots=True)
class CassandraService:
    """``restore.port.Service``."""

    service: Service
    commands: Commands
    wants_all: bool
    health: HealthCheck
    node: LocalNode
    nodetool: Nodetool

    def stop(self) -> None:
        """Stop it and wait until it is down."""
        self.service.stop()

    def start(self) -> None:
        """Start it and wait until it answers."""
        self.service.start()

    def check(self) -> None:
        """``[checks]``: ports, and the operator's query."""
        self.service.wait_healthy("all" if self.wants_all else "cql")
        with self.node.session() as session:
            problems = self.health.problems(session)
        if problems:
            raise NodeTrouble(
                f"The restored node fails its health check: {'; '.join(problems)}.",
                hint="Compare query, expected_rows and expected_result in [checks] with the backup's data;"
                " --no-verify leaves the check out.",
                operation="check",
            )

    def drain(self) -> None:
        """Nodetool drain."""
        self.nodetool.drain()

    def query(self, statement: str, values: Sequence[object] = ()) -> Rows:
        """Ask this node only."""
        with self.node.session() as session:
            return session.query(statement, values)

    def asking(self) -> AbstractContextManager[object]:
        """The node keeps its session for so long."""
        return self.node

    def rebuild_index(self, keyspace: str, table: str, index: str) -> None:
        """Nodetool rebuild_index."""
        self.nodetool.rebuild_index(keyspace, table, index)

    def missing_commands(self) -> tuple[str, ...]:
        """Programs of stop_cmd and start_cmd that are not here."""
        programs = (self.commands.stop[:1], self.commands.start[:1])
        return tuple(
            argv[0] if argv else "the command" for argv in programs if not argv or find_program(argv[0]) is None
        )


@dataclass(frozen=True, slots=True)
class RingPeers:
    """``restore.port.Peers``: the node itself is asked first, then the seeds of cassandra.yaml."""

    wiring: NodeWiring
    own_host_id: str

    def witness(self) -> Witness | None:
        """The ring as the first one that answers sees it."""
        access = replace(self.wiring.access, connect_timeout=_PEER_SECONDS)
        seeds = (Address(seed, access.address.port) for seed in self.wiring.configuration.seeds)
        for address in dict.fromkeys((access.address, *seeds)):
            try:
                with connect(access.at(address)) as session:
                    schema = session.schema()
                    members = session.ring(naming_of(self.wiring.settings).ring(self.own_host_id))
                    return Witness(address.host, members, schema.described, schema.export, session.truncations())
            except BackupError:
                continue
        return None

    def is_up(self, address: str) -> bool:
        """Whether a node answers in CQL."""
        access = self.wiring.access
        try:
            wire.options(
                Address(address, access.address.port), _PEER_SECONDS, access.tls.context() if access.tls else None
            )
        except BackupError:
            return False
        return True

    def hold_hints(self, address: str) -> bool:
        """Nodetool disablehandoff."""
        try:
            self.wiring.nodetool.at(address).disable_handoff()
        except BackupError:
            return False
        return True

    def release_hints(self, address: str) -> bool:
        """Nodetool enablehandoff."""
        try:
            self.wiring.nodetool.at(address).enable_handoff()
        except BackupError:
            return False
        return True


def remembered_host_id(state_dir: Path) -> str:
    """Who this node was at its last backup; empty when nobody remembers."""
    return str(StateDirectory(state_dir).read("identity").get("host_id", ""))
