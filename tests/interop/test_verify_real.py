"""``verify`` of what both programs shipped from a real Cassandra: real SSTables, a real schema, objects in parts."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.harness import Cluster, ClusterConfig
from tests.harness.s3_servers import versitygw
from tests.interop.beside import Beside, fill, s3_place

pytestmark = [pytest.mark.cassandra, pytest.mark.stock]

BACKUPS = ("s-whole", "s-shared", "o-shared", "o-whole")


@pytest.fixture(scope="module")
def beside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Beside]:
    """A bucket with full and differential backups of both."""
    folder = tmp_path_factory.mktemp("verify")
    (folder / "s3").mkdir()
    config = ClusterConfig(name="verify-real")
    with versitygw(folder / "s3") as server, Cluster.create(config) as cluster:
        made = Beside(cluster, s3_place(server, folder / "keys", "verify"), folder / "node")
        cluster.start()
        fill(cluster, config)
        made.stock.backup("s-whole", "full").check()
        made.stock.backup("s-shared").check()
        made.back_up("o-shared")
        made.back_up("o-whole", "full")
        made.index()
        yield made


@pytest.mark.parametrize("name", BACKUPS)
@pytest.mark.parametrize("level", ["listing", "structure", "content"])
def test_every_backup_is_good_on_every_level(beside: Beside, name: str, level: str) -> None:
    done = beside.must("verify", "--backup-name", name, "--level", level, "--output", "json").json
    assert (done["ok"], done["counts"], done["by_size"]) == (True, {}, 0)
    assert (done["objects"], done["nodes"]) == (len(beside.manifest(name)), 1)
    assert done["read"] == (done["size"] if level == "content" else 0)


def test_there_were_objects_in_parts(beside: Beside) -> None:
    assert any("-" in each["MD5"] for each in beside.manifest("s-whole").values())


def test_both_say_the_same(beside: Beside) -> None:
    for name in BACKUPS:
        theirs = beside.stock.run("verify", "--backup-name", name, "--enable-md5-checks")
        assert beside.must("verify", "--backup-name", name).out == theirs.stdout
