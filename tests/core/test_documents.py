"""Our small documents: what is unknown survives, what is newer is refused."""

from __future__ import annotations

import pytest

from backupstore.core.documents import Announcement, Attempt, Condemned, CorruptFile, Head, decode, encode
from backupstore.errors import Corrupt


def test_a_document_keeps_what_it_does_not_know() -> None:
    body = b'{"format":1,"attempt":2,"at":1.5,"files":[],"later":{"x":[1]}}'
    assert encode(decode(Announcement, body, "k")) == body


def test_a_newer_format_is_refused() -> None:
    with pytest.raises(Corrupt, match=r"k cannot be read: format") as caught:
        decode(Head, b'{"format":2,"revision":"r","checked":1.0}', "k")
    assert "upgrade" in caught.value.hint


@pytest.mark.parametrize("body", [b"", b"[]", b"\xff", b'{"format":1}', b"[" * 100_000])
def test_what_is_no_document_is_corrupt(body: bytes) -> None:
    with pytest.raises(Corrupt) as caught:
        decode(Head, body, "k")
    assert caught.value.key == "k"
    assert caught.value.hint


def test_filters_make_an_attempt_partial() -> None:
    fields = {"attempt": 1, "node": "n", "backup": "b", "host_id": "h", "cluster": "c", "boot_id": "b", "begun": 1.0}
    more = {"mode": "full", "release_version": "5", "shipper_version": "1", "snapshot": "s"}
    whole = Attempt.model_validate({**fields, **more})
    assert not whole.partial
    assert whole.model_copy(update={"keyspaces": ("ks",)}).partial
    assert whole.model_copy(update={"tables": ("ks.t",)}).partial
    assert decode(Attempt, encode(whole), "k") == whole


def test_values_come_back_as_they_were() -> None:
    condemned = Condemned(revision="r", run="1", node="n", created=1.5, backups=("b",), keys=("n/é",))
    corrupt = Announcement(attempt=1, at=2.0, files=(CorruptFile(path="p", why="bit rot"),))
    assert decode(Condemned, encode(condemned), "k") == condemned
    assert decode(Announcement, encode(corrupt), "k") == corrupt
