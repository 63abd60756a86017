"""A node of the harness as ``restore-node`` sees it, wired from a medusa.ini; and as a program that can be killed.

python -m tests.shipper.restore.real <folder> restore b1 --die 3:before:disk.rename.aside
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from backupstore.clock import SystemClock
from backupstore.core.layout import Layout
from backupstore.settings import load
from backupstore.stores.local import LocalStore
from shipper.backup import Limits, back_up
from shipper.begin import Request as BackupRequest
from shipper.progress import Silent
from shipper.restore import journal as journals
from shipper.restore.node import Report, restore_node, undo
from shipper.restore.node import Request as RestoreRequest
from shipper.restore.steps import Machine
from shipper.site import Site
from shipper.snapshot import Filters
from shipper.wiring import NodeWiring
from tests.harness import Node
from tests.killing import Point, Trigger, killing, suicide
from tests.shipper.listener import Listener
from tests.shipper.restore.dying import dying

_INI = """
[cassandra]
config_file = {node.yaml}
nodetool_executable = {nodetool}
stop_cmd = {stop}
start_cmd = {start}
resolve_ip_addresses = False
[storage]
storage_provider = local
base_path = {base}
bucket_name = bucket
fqdn = {fqdn}
"""
_SHIPPER = """
[shipper]
state_dir = {state}
start_timeout = 120
"""


@dataclass(frozen=True)
class Wired:
    """One node, a bucket, a state directory. ``inside``: directories taken for mount points."""

    folder: Path
    bucket: Path
    inside: tuple[str, ...] = ()

    @property
    def wiring(self) -> NodeWiring:
        return NodeWiring(load(self.folder / "medusa.ini", {}).settings, SystemClock())

    @property
    def state_dir(self) -> Path:
        return self.folder / "state"

    def site(self) -> Site:
        wiring = self.wiring
        return wiring.site(LocalStore(self.bucket), Layout(), str(wiring.settings.storage.fqdn))

    def machine(self) -> Machine:
        wiring = self.wiring
        machine = wiring.machine()
        found = machine.directories
        mounts = frozenset(path.resolve() for path in (*found.data, *found.others) if path.name in self.inside)
        return replace(machine, directories=replace(found, mounts=mounts), workers=4)

    def back_up(self, name: str) -> None:
        back_up(self.site(), BackupRequest(name), Limits(), Silent())

    def restore(self, name: str, *, trigger: Trigger | None = None, in_place: bool = False) -> Report:
        machine, request = self.machine(), RestoreRequest(name, in_place=in_place)
        machine = replace(machine, service=killing(machine.service, trigger or Trigger(), "service"))
        return restore_node(self.site(), machine, request, Listener())

    def restore_part(
        self,
        name: str,
        *,
        keyspaces: tuple[str, ...] = (),
        tables: tuple[str, ...] = (),
        keep_auth: bool = False,
        verify: bool = True,
    ) -> Listener:
        """Some tables, or all but the roles. Returns who was told."""
        request = RestoreRequest(name, verify=verify, filters=Filters(keyspaces, tables), keep_auth=keep_auth)
        told = Listener()
        restore_node(self.site(), self.machine(), request, told)
        return told

    def undo(self) -> None:
        undo(self.site(), self.machine(), Silent())

    def journal(self) -> journals.Journal | None:
        return journals.load(self.site().state)

    def die(self, at: Point, verb: str, name: str = "", tables: tuple[str, ...] = ()) -> None:
        """Run it in another process, and have that killed there."""
        command = [sys.executable, "-m", "tests.shipper.restore.real", str(self.folder), str(self.bucket), verb, name]
        command += ["--die", str(at), "--inside", *self.inside, "--tables", *tables]
        done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
        assert done.returncode == -9, f"{at}: {done.returncode}\n{done.stdout}{done.stderr}"


def wire(node: Node, folder: Path, bucket: Path, *, fqdn: str = "", inside: tuple[str, ...] = ()) -> Wired:
    """Write the node's medusa.ini."""
    folder.mkdir(parents=True)
    bucket.mkdir(exist_ok=True)
    scripts = {name: node.script(name) for name in ("nodetool", "stop", "start")}
    text = _INI.format(node=node, fqdn=fqdn or node.ip, base=bucket.parent, **scripts) + _SHIPPER.format(
        state=folder / "state"
    )
    (folder / "medusa.ini").write_text(text)
    return Wired(folder, bucket, inside)


def main() -> None:
    """Run one verb, and die at a point."""
    parser = argparse.ArgumentParser()
    for name in ("folder", "bucket"):
        parser.add_argument(name, type=Path)
    for name in ("verb", "name"):
        parser.add_argument(name)
    parser.add_argument("--die", type=Point.parse)
    for name in ("--inside", "--tables"):
        parser.add_argument(name, nargs="*", default=())
    options = parser.parse_args()
    wired = Wired(options.folder, options.bucket, tuple(options.inside))
    trigger = Trigger(options.die, act=suicide)
    site, machine = wired.site(), wired.machine()
    site = replace(site, store=killing(site.store, trigger, "store"))
    machine = replace(machine, service=killing(machine.service, trigger, "service"))
    # All that the node has lies below the parent of its first data directory.
    with dying(trigger, Path("/")):
        if options.verb == "undo":
            undo(site, machine, Silent())
        else:
            filters = Filters(tables=tuple(options.tables))
            restore_node(site, machine, RestoreRequest(options.name, filters=filters), Silent())


if __name__ == "__main__":
    main()
