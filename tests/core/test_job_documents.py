"""The documents of jobs as format 1 has them, byte for byte: another version of the program has to read and to sign the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from backupstore.core.commands import Command, signed, verified
from backupstore.core.documents import Own, decode, encode
from backupstore.core.job_documents import Job, NodeState, Request
from backupstore.signing import public_keys_of, signer_of
from tests.fuzzing.job_samples import DOCUMENTS, PREPARE
from tests.operations.jobs import KEY, PUBLIC

GOLDEN = Path(__file__).parent / "golden"
SIGNER = signer_of(KEY, "key")


@pytest.mark.parametrize(("kind", "file"), [(Request, "job-request"), (Job, "job"), (NodeState, "job-state")])
def test_a_document_reads_and_writes_as_format_1_has_it(kind: type[Own], file: str) -> None:
    body = (GOLDEN / f"{file}-1.json").read_bytes()
    (sample,) = (document for document in DOCUMENTS if isinstance(document, kind))
    assert decode(kind, body, file) == sample
    assert encode(sample) + b"\n" == body


def test_a_command_is_signed_as_format_1_has_it() -> None:
    body = (GOLDEN / "command-1.json").read_bytes()
    assert encode(signed(PREPARE, SIGNER.key_id, SIGNER.sign)) + b"\n" == body
    assert verified(decode(Command, body, "k"), public_keys_of(PUBLIC, "keys"), "k") == PREPARE
