"""The command ``agent``: from settings to the loop, and its end."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import cached_property, partial

from backupstore.core.documents import Mode
from backupstore.core.obedience import Seen
from backupstore.errors import Misconfigured
from backupstore.ports import Metrics, ObjectStore
from backupstore.signing import read_public_keys
from backupstore.stores.checked import CheckedStore
from backupstore.wiring import check_bucket, make_bucket, open_bell, open_metrics, open_store
from shipper.agent.answers import Answers
from shipper.agent.backups import Backups, Measured, Open
from shipper.agent.door import listening
from shipper.agent.loop import Agent
from shipper.agent.mailbox import Mailbox
from shipper.agent.memory import Memory, recall
from shipper.agent.obey import NodeVerbs, Tools
from shipper.agent.orders import Orders
from shipper.agent.ringing import rung_by
from shipper.agent.slots import Diary
from shipper.agent.systemd import Pulse
from shipper.agent.view import View
from shipper.agent.worker import KeepOn
from shipper.cli.backing_up import Flags, limits_of
from shipper.cli.logs import EndedBySignals, keep_on, log, only_noted
from shipper.cli.options import Globals
from shipper.measures import Tell, measured
from shipper.memory import used_before
from shipper.restore.schema_apply import SchemaSession
from shipper.site import Site
from shipper.state import StateDirectory
from shipper.timetable import Timetable
from shipper.wiring import NodeWiring

_AT_THE_END = 60.0
"""Seconds that what is being done may take to end; systemd waits longer (TimeoutStopSec)."""


def run_agent(chosen: Globals) -> None:
    """``agent``. A signal is how it ends, so that is no failure. Misconfigured when there is nothing for it to do."""
    options = chosen.settings.shipper
    if options.backup_schedule is None and options.command_keys_file is None:
        raise Misconfigured(
            ("[shipper] backup_schedule and command_keys_file are both empty: the agent would have nothing to do",),
            hint="Set backup_schedule to when this node is to be backed up, such as 0 2 * * *; the same on all nodes.",
        )
    parts = _Parts(chosen)
    with parts.state.locked("agent", "agent.lock"), ExitStack() as door:
        agent = parts.agent()
        if options.agent_listen is not None:
            view = View(agent, chosen.layout.prefix, chosen.node_name)
            door.enter_context(listening(options.agent_listen, view, chosen.clock))
        if agent.orders is not None and options.command_queue is not None:
            door.enter_context(rung_by(partial(open_bell, chosen.settings, options.command_queue), agent.ring))
        _say_what(parts)
        with EndedBySignals(), only_noted():
            agent.run()
        agent.stop(_AT_THE_END)
        log.info("stopped")


def _say_what(parts: _Parts) -> None:
    options = parts.chosen.settings.shipper
    log.info("agent of %s", parts.chosen.node_name)
    if options.backup_schedule is not None:
        log.info("backing up by the schedule %s (UTC), %s", options.backup_schedule.text, options.backup_mode)
    if options.command_keys_file is None:
        log.info("no commands are obeyed: command_keys_file is not set")
    elif options.command_queue is not None:
        log.info(
            "looking for a command every %d seconds, and when %s says so",
            options.command_interval,
            options.command_queue,
        )


@dataclass(frozen=True)
class _Parts:
    """What the agent is made of."""

    chosen: Globals

    @cached_property
    def state(self) -> StateDirectory:
        """What is remembered on this node. The same directory for everything that is done."""
        chosen = self.chosen
        return NodeWiring(chosen.settings, chosen.clock).site(chosen.store, chosen.layout, chosen.node_name).state

    @cached_property
    def metrics(self) -> Metrics:
        """Where ``[monitoring]`` sends numbers."""
        return open_metrics(self.chosen.settings, os.environ, say=log.info, warn=log.warning)

    @cached_property
    def hasty_store(self) -> ObjectStore:
        """The bucket for what cannot wait until its trouble is over."""
        return open_store(self.chosen.settings, patient=False)

    @property
    def mode(self) -> Mode:
        """Of backups by the schedule, and of commanded ones that do not say."""
        return "full" if self.chosen.settings.shipper.backup_mode == "full" else "differential"

    def agent(self) -> Agent:
        """All of it."""
        clock, options = self.chosen.clock, self.chosen.settings.shipper
        chance = random.Random()  # noqa: S311 -- so that not all nodes ask at the same moment
        backups = Backups(
            timetable=Timetable(options.backup_schedule) if options.backup_schedule else None,
            diary=self._diary(),
            state=self.state,
            clock=clock,
            open_site=self._opener(make_bucket_of),
            measured=self._measured(),
            limits=limits_of(self.chosen.settings, Flags()),
            mode=self.mode,
            stagger=float(options.stagger),
        )
        return Agent(
            backups,
            self._orders(),
            clock,
            interval=lambda: options.command_interval * chance.uniform(0.5, 1.5),
            pulse=Pulse(os.environ.get("NOTIFY_SOCKET", "")),
            keep_on=keep_on,
        )

    def _diary(self) -> Memory[Diary]:
        fresh = Diary(since=self.chosen.clock.now())
        return recall(self.state, "schedule", nothing=fresh, unreadable=fresh)

    def _orders(self) -> Orders | None:
        chosen, keys_file = self.chosen, self.chosen.settings.shipper.command_keys_file
        if keys_file is None:
            return None
        settings, clock, layout, node = chosen.settings, chosen.clock, chosen.layout, chosen.node_name

        def wired() -> NodeWiring:
            return NodeWiring(settings, clock)

        def session() -> AbstractContextManager[SchemaSession]:
            return wired().node.session()

        # Of which commands were obeyed nobody knows any more: what was issued until now is not.
        seen = recall(self.state, "agent", nothing=Seen(), unreadable=Seen(issued=clock.now()))
        verbs = NodeVerbs(
            open_site=self._opener(check_bucket_of),
            tools=Tools(lambda: wired().machine(), session, lambda: wired().loader()),
            measured=self._measured(),
            limits=limits_of(settings, Flags()),
            mode=self.mode,
        )
        return Orders(
            mailbox=Mailbox(self.hasty_store, layout, node, read_public_keys(keys_file), self.state),
            seen=seen,
            answers=Answers(chosen.store, layout, node, clock, seen),
            hasty=Answers(self.hasty_store, layout, node, clock, seen),
            verbs=verbs,
            clock=clock,
        )

    def _opener(self, prepare: Callable[[Site], None]) -> Open:
        chosen = self.chosen

        @contextmanager
        def open_site(check: KeepOn) -> Iterator[Site]:
            wiring = NodeWiring(chosen.settings, chosen.clock)
            with wiring.node:
                site = wiring.site(chosen.store, chosen.layout, chosen.node_name)
                prepare(site)
                yield replace(site, store=CheckedStore(site.store, lambda _call, _key: check()))

        return open_site

    def _measured(self) -> Measured:
        def of_backup(name: str) -> AbstractContextManager[Tell]:
            return measured(self.metrics, name, cluster=self.chosen.layout.prefix, node=self.chosen.node_name)

        return of_backup


def make_bucket_of(site: Site) -> None:
    """A bucket on this machine is made for the first backup."""
    make_bucket(site.store, used_before=used_before(site.state, site.bucket))


def check_bucket_of(site: Site) -> None:
    """NotFound when the bucket is not there."""
    check_bucket(site.store)
