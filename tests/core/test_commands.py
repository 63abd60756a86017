"""Commands: what is signed, what is believed, and what a node obeys."""

from __future__ import annotations

import base64
import json
from typing import Any, get_args

import pytest
from pydantic import ValidationError

from backupstore.core.commands import (
    Command,
    Nothing,
    Payload,
    PrepareArguments,
    arguments_of,
    read_payload,
    signed,
    verified,
)
from backupstore.core.job_commands import arguments
from backupstore.core.job_documents import Verb
from backupstore.core.obedience import MOST_JOBS, Here, Seen, accept, answered, obeyed, with_seq
from backupstore.errors import Corrupt, Denied
from backupstore.signing import public_keys_of, signer_of
from tests.fuzzing.job_samples import JOB, PREPARE, REQUEST, STOP
from tests.operations.jobs import KEY, PUBLIC

SIGNER = signer_of(KEY, "key")
KEYS = public_keys_of(PUBLIC, "keys")
OTHER = "restore-20261123140000-0a1b2c3e"
HERE = Here("", "n1", None)
NEW = Seen()


def command(**changed: Any) -> Payload:  # noqa: ANN401 # any field of a payload
    usual = {"prefix": "", "node": "n1", "job": JOB, "epoch": 1, "number": 1, "verb": "stop", "issued": 100.0}
    return Payload.model_validate({**usual, "expires": 1000.0, **changed})


# --- what is signed, and believed ---
def test_what_was_signed_is_believed() -> None:
    assert verified(signed(PREPARE, SIGNER.key_id, SIGNER.sign), KEYS, "k") == PREPARE
    assert arguments_of(PREPARE, PrepareArguments).sources == ("old1",)


@pytest.mark.parametrize(
    "changed",
    [
        {"payload": STOP.text},
        {"payload": PREPARE.text.replace('"epoch":1', '"epoch":2')},
        {"payload": PREPARE.text + " "},
        {"payload": "\ud800"},
        {"payload": "é"},
        {"key": "k2"},
        {"key": ""},
        {"signature": ""},
        {"signature": "AAAA"},
        {"signature": "no base64"},
    ],
)
def test_nothing_else_is_believed(changed: dict[str, str]) -> None:
    document = signed(PREPARE, SIGNER.key_id, SIGNER.sign).model_copy(update=changed)
    with pytest.raises(Denied) as caught:
        verified(document, KEYS, "the-key")
    assert "the-key" in caught.value.message
    assert caught.value.hint


def test_every_single_bit_is_signed() -> None:
    document = signed(STOP, SIGNER.key_id, SIGNER.sign)
    body = document.payload.encode()
    for at in range(len(body)):
        changed = bytes([*body[:at], body[at] ^ 1, *body[at + 1 :]]).decode()
        with pytest.raises(Denied):
            verified(document.model_copy(update={"payload": changed}), KEYS)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[]",
        PREPARE.text.replace('"format":1', '"format":2'),
        PREPARE.text.replace('"verb":"prepare"', '"verb":"rm"'),
        PREPARE.text.replace('"keep_auth":false', '"keep_auth":false,"later":1'),
        STOP.text.replace('"arguments":{}', '"arguments":{"later":1}'),
        STOP.text.replace('"verb":"stop"', '"verb":"prepare"'),
        STOP.text.replace('"epoch":1', '"epoch":1,"later":1'),
        STOP.text.replace('"epoch":1', '"epoch":1,"epoch":1'),
        STOP.text.replace('"node":"n1"', '"node":"../n1"'),
        STOP.text.replace(JOB, "restore-x"),
        STOP.text.replace(",", ", "),
    ],
)
def test_a_genuine_payload_that_is_not_to_the_letter_ours_is_not_read(text: str) -> None:
    document = Command(payload=text, key=SIGNER.key_id, signature="")
    sign = SIGNER.sign(text.encode())
    document = document.model_copy(update={"signature": base64.b64encode(sign).decode()})
    with pytest.raises(Corrupt):
        verified(document, KEYS, "k")


@pytest.mark.parametrize("verb", get_args(Verb))
def test_every_verb_has_its_arguments_and_comes_back_as_it_was(verb: str) -> None:
    own = arguments(REQUEST, "n1", verb)  # type: ignore[arg-type] # one of them
    payload = command(verb=verb, arguments=own)
    assert read_payload(payload.text) == payload
    assert type(read_payload(payload.text).arguments) is type(own)
    assert json.loads(payload.text)["verb"] == verb


def test_no_verb_takes_the_arguments_of_another() -> None:
    with pytest.raises(ValidationError):
        command(verb="stop", arguments=PREPARE.arguments)
    with pytest.raises(ValidationError):
        command(verb="prepare", arguments=Nothing())
    with pytest.raises(Corrupt):
        arguments_of(STOP, PrepareArguments)


# --- what is obeyed ---
def code(payload: Payload, seen: Seen = NEW, here: Here = HERE, now: float = 500.0) -> str:
    verdict = accept(payload, seen, here, now)
    assert bool(verdict.why) == bool(verdict.hint) == (verdict.kind == "refuse")
    return verdict.code or verdict.kind


def test_a_fresh_command_is_obeyed_once() -> None:
    first = command()
    assert code(first) == "obey"
    seen = obeyed(Seen(), first)
    assert code(first, seen) == "go-on"
    assert code(first, answered(seen, first)) == "answered"
    assert accept(first, seen, HERE, 500.0).kind == "go-on"


def test_what_was_begun_is_finished_however_late() -> None:
    first = command()
    assert code(first, now=1000.0) == "expired"
    assert code(first, obeyed(Seen(), first), now=10_000.0) == "go-on"


def test_only_what_comes_later_in_a_job_is_obeyed() -> None:
    seen = answered(obeyed(Seen(), command(epoch=2, number=5)), command(epoch=2, number=5))
    assert code(command(epoch=1, number=6), seen) == "old-epoch"
    assert code(command(epoch=2, number=4), seen) == "old-number"
    assert code(command(epoch=2, number=5, verb="place"), seen) == "old-number", "the same number says something else"
    assert code(command(epoch=2, number=6), seen) == "obey"
    assert code(command(epoch=3, number=6), seen) == "obey"


@pytest.mark.parametrize("changed", [{"node": "n10"}, {"prefix": "pfx"}, {"node": "N1"}])
def test_what_is_meant_for_others_is_refused(changed: dict[str, str]) -> None:
    assert code(command(**changed)) == "elsewhere"
    assert code(command(**changed), obeyed(Seen(), command(**changed))) == "elsewhere"


def test_nothing_leads_from_one_side_of_a_decision_to_the_other() -> None:
    committed = obeyed(Seen(), command(verb="commit", number=5))
    back = obeyed(Seen(), command(verb="put-back", number=5))
    for verb in ("stop", "place", "start", "check", "put-back"):
        assert code(command(verb=verb, number=6), committed) == "over"
    for verb in ("stop", "place", "check", "commit"):
        assert code(command(verb=verb, number=6), back) == "over"
    assert code(command(verb="commit", number=6), committed) == "obey", "told again"
    assert code(command(verb="put-back", number=6), back) == "obey"
    restarted = obeyed(back, command(verb="start", number=6))
    assert code(command(verb="place", number=7), restarted) == "over"


def test_commands_of_a_job_that_was_overtaken_by_another_are_replays() -> None:
    seen = obeyed(Seen(), command(job=OTHER, issued=200.0))
    assert code(command(issued=199.0), seen) == "replayed"
    assert code(command(issued=200.0), seen) == "obey"
    both = obeyed(seen, command(issued=300.0))
    assert code(command(job=OTHER, issued=299.0, number=2), both) == "replayed"
    assert code(command(issued=250.0, number=2), both) == "obey", "its own order is that of its numbers"


def test_what_was_begun_is_not_gone_on_with_once_another_job_has_commanded() -> None:
    """A job that was over without this node: whoever puts its last command back must not make the schema of then again."""
    begun = command(verb="schema", arguments=arguments(REQUEST, "n1", "schema"))
    seen = obeyed(Seen(), begun)
    assert code(begun, seen) == "go-on"
    later = answered(obeyed(seen, command(job=OTHER, issued=200.0)), command(job=OTHER, issued=200.0))
    assert code(begun, later) == "replayed"
    assert code(command(job=OTHER, issued=200.0), later) == "answered"


def test_a_job_that_was_forgotten_is_not_begun_again() -> None:
    seen = obeyed(Seen(), command())
    for number in range(MOST_JOBS):
        seen = obeyed(seen, command(job=f"restore-20261123140000-{number:08x}", issued=200.0 + number))
    assert len(seen.jobs) == MOST_JOBS
    assert seen.of(JOB).payload == ""
    assert code(command(), seen) == "replayed"


def test_no_command_touches_a_node_that_another_restore_has_touched() -> None:
    assert code(command(), here=Here("", "n1", OTHER)) == "other-restore"
    assert code(command(), here=Here("", "n1", "")) == "other-restore"
    assert code(command(verb="backup", arguments={"backup": "b"}), here=Here("", "n1", "")) == "other-restore"
    assert code(command(), here=Here("", "n1", JOB)) == "obey"


@pytest.mark.parametrize(
    ("seen", "here", "now", "refused"),
    [
        (obeyed(Seen(), command(epoch=2, number=5)), HERE, 500.0, "old-epoch"),
        (obeyed(Seen(), command(number=5)), HERE, 500.0, "old-number"),
        (obeyed(Seen(), command(job=OTHER, issued=200.0)), HERE, 500.0, "replayed"),
        (NEW, Here("", "n1", ""), 500.0, "other-restore"),
        (NEW, HERE, 1000.0, "expired"),
    ],
)
def test_a_refusal_says_how_to_ask_again(seen: Seen, here: Here, now: float, refused: str) -> None:
    """Before the decision a restore goes back as soon as a node refuses, and a backup ends: no resume leads on from there."""
    restore = accept(command(), seen, here, now)
    backup = accept(command(verb="backup", arguments={"backup": "b"}), seen, here, now)
    assert (restore.code, backup.code) == (refused, refused)
    assert "restore-resume" in restore.hint
    assert ("run restore-cluster again" in restore.hint) == (refused != "expired"), (
        "then, and only then, it waits for sure"
    )
    assert "run backup-cluster again" in backup.hint
    assert "restore-resume" not in backup.hint


def test_refused_jobs_take_no_place_in_the_memory() -> None:
    assert with_seq(Seen(), JOB, 3) == Seen()
    seen = with_seq(obeyed(Seen(), command()), JOB, 3)
    assert with_seq(seen, JOB, 2).of(JOB).seq == 3
    assert answered(seen, command(number=9)) == seen, "another command than the one that was obeyed"
