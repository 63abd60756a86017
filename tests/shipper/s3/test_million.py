"""A bucket in which the node has a million files: its listing never lies in memory as a whole."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.harness.faulty_proxy import Fault
from tests.recorded import NAME
from tests.shipper.s3.program import PREFIX
from tests.shipper.s3.scene import Scene, scene

KEYS, PAGE, MIB = 1_000_000, 1000, 1 << 20
FOLDER = f"{PREFIX}/{NAME}/data/"
_ONE = (
    "<Contents><Key>" + FOLDER + "big/{table}-0123456789abcdef0123456789abcdef/nb-{number:07}-big-Data.db</Key>"
    "<LastModified>2026-11-23T02:00:00.000Z</LastModified><ETag>&quot;{number:032x}&quot;</ETag>"
    "<Size>4711</Size><StorageClass>STANDARD</StorageClass></Contents>"
)


def answer(first: int) -> bytes:
    """One page of the listing, as S3 gives it; its token is the number of the next key."""
    rows = "".join(
        _ONE.format(table=f"table{number // 10_000:03}", number=number) for number in range(first, first + PAGE)
    )
    more = first + PAGE < KEYS
    token = f"<NextContinuationToken>{first + PAGE}</NextContinuationToken>" if more else ""
    body = (
        '<?xml version="1.0" encoding="UTF-8"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        f"<IsTruncated>{str(more).lower()}</IsTruncated>{token}<EncodingType>url</EncodingType>{rows}</ListBucketResult>"
    ).encode()
    return b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body) + body


@pytest.fixture
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with scene(tmp_path_factory.mktemp("million"), big=6 * MIB) as made:
        yield made


def test_a_backup_beside_a_million_keys(stage: Scene) -> None:
    pages: list[int] = []

    def full_bucket(method: str, target: str, _: dict[str, str]) -> Fault | None:
        asked = parse_qs(urlsplit(target).query)
        if method != "GET" or asked.get("prefix") != [FOLDER]:
            return None
        pages.append(int(asked.get("continuation-token", ["0"])[0]))
        return Fault(answer=answer(pages[-1]))

    place = stage.place()
    stage.proxy.chance = full_bucket
    done, peak = place.start("backup", "--backup-name", "monday").wait_and_measure()
    stage.proxy.chance = None
    assert done.code == 0, done
    assert pages == list(range(0, KEYS, PAGE)), "each page once"
    assert peak <= 200 * MIB
    world = stage.world(place)
    world.check_backup("monday", world.node.contents())
