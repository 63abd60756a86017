"""How ``serve`` notices what is written: the choice that settings and the kind of bucket leave."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from backupstore.core.layout import ANNOUNCED, Layout
from backupstore.errors import Misconfigured
from backupstore.settings import Settings, ShipperSettings
from backupstore.settings.logins import only_line
from backupstore.wiring import open_store
from shipper.cli.logs import log
from shipper.cli.options import Globals
from shipper.inbox import Inbox, InboxWatcher
from shipper.inotify import DirectoryWatcher, EventsOrLooks
from shipper.scrape import Scrape
from shipper.watching import Poller, Presence, Watched, Watcher, is_remote
from shipper.webhooks import Door, Webhooks


def coordinates(options: ShipperSettings) -> bool:
    """Whether ``serve`` coordinates cluster restores and backups."""
    return options.signing_key_file is not None and options.coordinate_interval > 0


def where(settings: Settings) -> str:
    """The bucket, as people know it."""
    return str(settings.storage.local_bucket or settings.storage.bucket_name)


@contextmanager
def watching(chosen: Globals) -> Iterator[Watcher]:
    """The watcher, and webhooks while it is in use. They are taken from the start: a gateway may wait for them.

    Misconfigured when nothing would ever be noticed, or no webhook can be taken.
    """
    options = chosen.settings.shipper
    beside = _watcher(chosen)
    if options.listen is None:
        if beside is None:
            raise Misconfigured(
                ("[shipper] watch = events: S3 tells of what is written by webhooks only, and listen is not set",),
                hint="Set [shipper] listen and let the store send there (docs/guides/events.md), or watch = poll.",
            )
        yield beside
        return
    inbox = Inbox()
    door = Door(options.listen, _secret(chosen.settings), chosen.settings.storage.bucket_name)
    scrape = Scrape(open_store(chosen.settings, patient=False), chosen.clock, chosen.settings.storage.prefix)
    webhooks = Webhooks(door, inbox, chosen.clock, scrape.text)
    webhooks.open()
    log.info("taking webhooks at %s port %d", *options.listen)
    try:
        yield InboxWatcher(inbox, beside)
    finally:
        webhooks.close()


def _watcher(chosen: Globals) -> Watcher | None:
    """What is there beside webhooks; None where nothing has to be."""
    if _is_local(chosen.settings):
        return _of_directory(chosen)
    options, prefix = chosen.settings.shipper, chosen.settings.storage.prefix
    if options.watch == "events" or (options.watch == "auto" and options.listen is not None):
        return None
    interval = float(options.poll_interval)
    log.info("looking every %.0f seconds", interval)
    announced = ANNOUNCED if prefix is None else Layout(prefix).announcements()
    return Poller(chosen.store, chosen.clock, interval, lambda: None, Watched(announced, jobs=coordinates(options)))


def _of_directory(chosen: Globals) -> Watcher:
    """By events where these tell of every writer, else by looking."""
    options, bucket = chosen.settings.shipper, Path(where(chosen.settings))
    interval, presence = float(options.poll_interval), Presence(bucket)
    watched = Watched(jobs=coordinates(options))

    def looks() -> Watcher:
        return Poller(chosen.store, chosen.clock, interval, presence.check, watched)

    def used_up(why: str) -> None:
        log.warning(
            "%s: looking every %.0f seconds from now on",
            why,
            interval,
            extra={"hint": "Raise fs.inotify.max_user_watches and max_user_instances (sysctl), then restart this."},
        )

    if options.watch == "poll" or (options.watch == "auto" and is_remote(bucket.resolve())):
        log.info("looking every %.0f seconds: events do not tell what other machines write to a mount", interval)
        return looks()
    return EventsOrLooks(DirectoryWatcher(bucket.resolve(), presence.check, watched), looks, used_up)


def _is_local(settings: Settings) -> bool:
    return settings.storage.provider == "local"


def _secret(settings: Settings) -> str | None:
    """What webhooks have to bring. Misconfigured when its file cannot be read."""
    options = settings.shipper
    if options.webhook_secret_file is None:
        return options.webhook_secret
    try:
        return only_line(options.webhook_secret_file)
    except ValueError as problem:
        raise Misconfigured(
            (f"[shipper] webhook_secret_file = {options.webhook_secret_file}: {problem}",),
            hint="It holds the secret on one line, and the user that runs serve has to be able to read it.",
        ) from None
