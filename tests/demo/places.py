"""Where the demo's bucket is: a directory, or a real S3 server that lives as long as the demo."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.harness.s3_servers import REGION, versitygw

BUCKET = "backups"


@dataclass(frozen=True, slots=True)
class Place:
    """``storage`` goes into ``[storage]`` as an operator would write it, ``shipper`` into our own file beside it."""

    name: str
    storage: Mapping[str, str]
    shipper: Mapping[str, str]


@contextmanager
def local(directory: Path) -> Iterator[Place]:
    """A directory of this machine."""
    storage = {"storage_provider": "local", "base_path": str(directory), "bucket_name": BUCKET}
    yield Place(str(directory / BUCKET), storage, {})


@contextmanager
def s3(directory: Path) -> Iterator[Place]:
    """Versity's S3 gateway over a directory."""
    folder = directory / "s3"
    folder.mkdir()
    with versitygw(folder) as server:
        server.bucket(BUCKET)
        keys = directory / "credentials"
        keys.write_text(
            f"[default]\naws_access_key_id = {server.access}\naws_secret_access_key = {server.secret}\n",
            encoding="utf-8",
        )
        keys.chmod(0o600)
        storage = {
            "storage_provider": "s3_compatible",
            "bucket_name": BUCKET,
            "host": server.host,
            "port": str(server.port),
            "secure": "False",
            "region": REGION,
            "key_file": str(keys),
        }
        yield Place(f"{BUCKET} at {server.url}, an S3 server over {folder / 'data'}", storage, {"poll_interval": "1"})


PLACES: Mapping[str, Callable[[Path], AbstractContextManager[Place]]] = {"local": local, "s3": s3}
