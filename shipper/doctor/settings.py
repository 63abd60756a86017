"""The settings: what is wrong, what is not obeyed, and what is allowed but not safe."""

from __future__ import annotations

import ipaddress
import stat
from collections.abc import Iterator

from backupstore.settings import Loaded
from backupstore.settings.providers import OWN_ENDPOINT
from backupstore.settings.storage import StorageSettings
from shipper.doctor.findings import Report, fail, ok, warn

COLD = frozenset({"GLACIER", "DEEP_ARCHIVE"})
"""Storage classes from which nothing is read without asking for it hours before."""

_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def look_at_settings(loaded: Loaded, file: str) -> Iterator[Report]:
    """What the file says."""
    storage = loaded.settings.storage
    yield ok(
        f"{file}: {storage.storage_provider}, bucket {storage.bucket_name} at {storage.address}, prefix {storage.prefix or '-'}"
    )
    for warning in loaded.warnings:
        yield warn(warning, "docs/settings.md tells what each key is for.")


def judge_storage(storage: StorageSettings) -> Iterator[Report]:
    """What is allowed in ``[storage]`` and not safe."""
    own = storage.provider in OWN_ENDPOINT
    if own and not storage.secure and not is_loopback(storage.host or ""):
        yield warn(
            "secure = False: data goes over the network as it is, for everybody on the way to read",
            "Give the server a certificate, and set secure = True and ssl_verify = True.",
        )
    if own and storage.secure and not storage.ssl_verify:
        yield warn(
            "ssl_verify = False: whoever answers at that address is believed to be the store",
            "Install the authority's certificate on this machine, and set ssl_verify = True.",
        )
    if storage.storage_class in COLD:
        yield fail(
            f"storage_class = {storage.storage_class}: nothing can be read from there without asking hours before, not"
            " even the list of files",
            "Set STANDARD, STANDARD_IA or GLACIER_IR, before the first backup.",
        )
    if storage.kms_id and storage.sse_c_key:
        yield warn("kms_id and sse_c_key are both set: only kms_id is used", "Remove the other one.")


def look_at_key_file(storage: StorageSettings) -> Iterator[Report]:
    """Whether the credentials can be read by us, and by us alone."""
    if storage.key_file is None:
        yield ok("no key_file: credentials come from the environment, the profile or the machine's role")
        return
    try:
        mode = storage.key_file.stat().st_mode
        storage.key_file.read_bytes()
    except OSError as error:
        yield fail(f"key_file {storage.key_file}: {error.strerror}", "Let the user that runs backups read it.")
        return
    if mode & _OTHERS:
        yield warn(
            f"key_file {storage.key_file} may be read by others than its owner ({stat.filemode(mode)})",
            f"chmod 600 {storage.key_file}; who has the keys can write to the bucket.",
        )
    else:
        yield ok(f"key_file {storage.key_file}")


def is_loopback(host: str) -> bool:
    """Whether it never leaves this machine."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"
