"""One real node, one bucket, and both programs reading the very same medusa.ini; our own settings stand beside it.

What lies in the bucket is looked at from outside: on S3 by Amazon's own client, locally by the file system.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.harness import Cluster, ClusterConfig, Node, loading, reading, schema
from tests.harness.reading import Row
from tests.harness.s3_servers import REGION, S3Server
from tests.harness.stock import Stock
from tests.shipper.cli.program import Done, run

BUCKET = "bucket"
Rows = tuple[dict[str, list[Row]], dict[str, list[Row]], list[str]]

_PARTS = {"multi_part_upload_threshold": "1MB", "multipart_chunksize": "5MB"}
"""So low that a component of a few MiB goes in parts, as one of 20 MiB does by default."""


@dataclass(frozen=True, slots=True)
class Stored:
    """An object as an outsider sees it; ``tag``: its ETag, or its time of change on a local bucket."""

    size: int
    tag: str


@dataclass(frozen=True, slots=True)
class Place:
    """A bucket. ``storage``: how it stands in ``[storage]``; ``look``: all of its objects."""

    name: str
    prefix: str
    storage: Mapping[str, str]
    look: Callable[[], dict[str, Stored]]

    @property
    def root(self) -> str:
        return f"{self.prefix}/" if self.prefix else ""


def local_place(folder: Path, prefix: str = "") -> Place:
    """A bucket in a directory."""
    (folder / BUCKET).mkdir(parents=True)
    storage = {"storage_provider": "local", "base_path": str(folder), "bucket_name": BUCKET}

    def look() -> dict[str, Stored]:
        files = (path for path in (folder / BUCKET).rglob("*") if path.is_file())
        return {
            path.relative_to(folder / BUCKET).as_posix(): Stored(path.stat().st_size, str(path.stat().st_mtime_ns))
            for path in files
        }

    return Place("local", prefix, storage, look)


def s3_place(server: S3Server, folder: Path, bucket: str, prefix: str = "") -> Place:
    """A bucket of an S3 server, reached as one that is not Amazon's: path style, keys in AWS's own form."""
    server.bucket(bucket)
    folder.mkdir(parents=True, exist_ok=True)
    keys = folder / "credentials"
    keys.write_text(f"[default]\naws_access_key_id = {server.access}\naws_secret_access_key = {server.secret}\n")
    keys.chmod(0o600)
    storage = {
        "storage_provider": "s3_compatible",
        "bucket_name": bucket,
        "host": server.host,
        "port": str(server.port),
        "secure": "False",
        "s3_addressing_style": "path",
        "region": REGION,
        "key_file": str(keys),
        **_PARTS,
    }

    def look() -> dict[str, Stored]:
        with server.boto() as boto:
            pages = boto.get_paginator("list_objects_v2").paginate(Bucket=bucket)
            found = [each for page in pages for each in page.get("Contents", [])]
        return {each["Key"]: Stored(each["Size"], each["ETag"].strip('"')) for each in found}

    return Place("S3", prefix, storage, look)


@dataclass(frozen=True)
class Beside:
    """Both programs on one node and one bucket."""

    cluster: Cluster
    place: Place
    folder: Path
    more: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @property
    def node(self) -> Node:
        return self.cluster.nodes[0]

    @property
    def stock(self) -> Stock:
        settings = {"storage": self.place.storage, **self.more}
        return Stock(
            work=self.folder,
            base_path=self.folder,
            prefix=self.place.prefix or None,
            node=self.node,
            settings=settings,
        )

    def ours(self, *arguments: str) -> Done:
        """Our command line, with stock's file."""
        ini = self.stock.write_ini()
        beside = f"[shipper]\nstate_dir = {self.folder / 'state'}\nstart_timeout = 180\n"
        (self.folder / "medusa-shipper.ini").write_text(beside)
        return run([sys.executable, "-m", "shipper", "--config-file", str(ini), *arguments])

    # --- ours ---
    def back_up(self, name: str, mode: str = "differential") -> Done:
        return self.must("backup", "--backup-name", name, "--mode", mode)

    def must(self, *arguments: str) -> Done:
        done = self.ours(*arguments)
        assert done.code == 0, f"{' '.join(arguments)}: {done.code}\n{done.out}{done.err}"
        return done

    def index(self) -> None:
        """What ``serve`` does all the time: stock lists only what its index names."""
        self.must("build-index")

    def listed(self) -> dict[str, Any]:
        found = self.must("list-backups", "--show-all", "--output", "json").json
        return {each["name"]: each for each in found}

    # --- what lies in the bucket ---
    def data(self) -> dict[str, Stored]:
        """All components of all backups."""
        return {key: stored for key, stored in self.place.look().items() if _is_data(key)}

    def manifest(self, name: str) -> dict[str, dict[str, Any]]:
        """The objects that a backup's manifest names, by path; by our own reading of it, not by the product's."""
        sections = json.loads(self.body(f"{self.place.root}{self.node.ip}/{name}/meta/manifest.json"))
        return {each["path"]: each for section in sections for each in section["objects"]}

    def body(self, key: str) -> bytes:
        if self.place.name == "local":
            return (Path(self.place.storage["base_path"]) / BUCKET / key).read_bytes()
        with self._server.boto() as boto:
            return boto.get_object(Bucket=self.place.storage["bucket_name"], Key=key)["Body"].read()

    @property
    def _server(self) -> S3Server:
        storage = self.place.storage
        return S3Server(int(storage["port"]), "testaccess", "testsecret", host=storage["host"])

    # --- what stock says ---
    def stock_verifies(self, name: str, *options: str) -> None:
        done = self.stock.run("verify", "--backup-name", name, *options)
        assert done.exit_code == 0, done.stdout + done.stderr
        assert "- Completion: OK!\n- Manifest validated: OK!!" in done.stdout, done.stdout + done.stderr

    def stock_restores(self, name: str) -> None:
        """Its ``restore-node`` stops, replaces and starts the node; it does not wait until that answers."""
        self.stock.restore(name).check()
        self.cluster.wait_up()


def rows(cluster: Cluster) -> Rows:
    """Every row, what every index finds, and the schema with its ids."""
    with cluster.session() as session:
        return reading.read_all(session), reading.query_indexes(session), reading.describe(session)


@contextmanager
def watched(beside: Beside) -> Iterator[dict[str, Stored]]:
    """Fills in, at the end, which components were created or changed in the block; none may be lost."""
    before, new = beside.data(), dict[str, Stored]()
    yield new
    after = beside.data()
    assert before.keys() <= after.keys(), "components are gone"
    new.update({key: stored for key, stored in after.items() if before.get(key) != stored})


def _is_data(key: str) -> bool:
    return "/data/" in key or "/data-v/" in key


def fill(cluster: Cluster, config: ClusterConfig) -> None:
    """The shop with some rows, and a table of a few MiB that goes in parts; all of it flushed."""
    with cluster.session() as session:
        schema.create(session, schema.Schema.fitting(config))
        session.execute("CREATE TABLE shop.large (k int PRIMARY KEY, v blob) WITH compression = {'enabled': false}")
        loading.load(session, rows=40)
        insert = session.prepare("INSERT INTO shop.large (k, v) VALUES (?, ?)")
        for number in range(7):
            session.execute(insert, (number, bytes([number]) * (1 << 20)))
    cluster.flush()
