"""The threat model of docs/security.md, row by row, where no other test shows it: what each credential can do, and what not.

The table of who may write what is enforced by the store, as the bucket's policies do it; keys are real ones.
"""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backupstore.core import writers
from backupstore.core.commands import Command, Payload, PrepareArguments, signed, verified
from backupstore.core.documents import encode
from backupstore.core.job_documents import JobTurn
from backupstore.core.layout import Layout
from backupstore.core.obedience import Here, Seen, accept, answered, obeyed
from backupstore.core.writers import Principal, Verb
from backupstore.errors import BackupError, Corrupt, Denied
from backupstore.ports import ObjectStore
from backupstore.signing import Ed25519Signer, public_keys_of, signer_of
from backupstore.stores.checked import CheckedStore
from backupstore.stores.memory import MemoryBucket
from shipper.agent.mailbox import Mailbox
from shipper.state import StateDirectory
from tests.operations.jobs import FORWARDS, KEY, LAYOUT, PUBLIC, world
from tests.played_nodes import pair

JOB, EARLIER = "restore-20261123020000-00000002", "restore-20261123010000-00000001"
NOW = 1_800_000_000.0
KEYS = public_keys_of(PUBLIC, "keys")
SIGNER = signer_of(KEY, "key")


def everything(layout: Layout, node: str) -> dict[str, str]:
    """A key of each kind that lies below a prefix, of one node where it is a node's."""
    return {
        "meta": layout.meta(node, "b", "schema.cql"),
        "data": f"{layout.node(node)}data/ks/t-1/nb-1-big-Data.db",
        "announced": layout.announced(node, "b", "started"),
        "hold": layout.hold("b", "1"),
        "row": f"{layout.all_rows()}b/tokenmap_{node}.json",
        "head": layout.head(),
        "finding": layout.finding("b", "listing"),
        "condemned": layout.condemned_document(node, "run"),
        "purge": layout.purge("run"),
        "ring": layout.accepted_ring("b"),
        "request": layout.job_request(JOB),
        "wish": layout.job_wish(JOB, "1"),
        "job": layout.job(JOB),
        "turn": layout.job_turn(),
        "over": layout.job_over(JOB),
        "state": layout.job_state(JOB, node, 1, 1),
        "command": layout.command(node),
    }


def may(principal: Principal, keys: dict[str, str], node: str = "") -> dict[str, set[Verb]]:
    """What the store lets it do to each kind of key, tried."""
    found: dict[str, set[Verb]] = {}
    for kind, key in keys.items():
        for verb in Verb:
            bucket = MemoryBucket()
            owner, store = bucket.open(None), bucket.open(principal, LAYOUT, node)
            if verb is not Verb.CREATE:
                owner.put(key, b"before")
            try:
                if verb is Verb.DELETE:
                    store.delete([key])
                else:
                    store.put(key, b"after")
            except Denied:
                continue
            found.setdefault(kind, set()).add(verb)
    return found


CREATE, WRITE, ANY = {Verb.CREATE}, {Verb.CREATE, Verb.OVERWRITE}, set(Verb)


# --- a stolen node ---
def test_a_stolen_node_writes_nothing_that_is_not_its_own() -> None:
    assert may(Principal.SHIPPER, everything(LAYOUT, "n1"), "n1") == {
        "meta": CREATE,
        "data": CREATE,
        "announced": CREATE,
        "hold": CREATE,
        "state": CREATE,
    }
    for other in ("n2", "n10", "n", "N1"):
        assert may(Principal.SHIPPER, everything(LAYOUT, other), "n1") == {"hold": CREATE}


def test_a_lie_of_one_node_takes_a_restore_back_and_commands_nobody() -> None:
    here = world()
    job = here.ask()
    here.agents["n2"].answer = lambda payload: "failed" if payload.verb == "check" else "done"
    here.run_until(job, "stopping")
    liar = here.bucket.open(Principal.SHIPPER, LAYOUT, "n2")
    command = here.owner.read(LAYOUT.command("n1")).body
    for key, body in ((LAYOUT.command("n1"), command), (LAYOUT.job_state(job, "n1", 9, 1), b"{}")):
        with pytest.raises(Denied):
            liar.put(key, body)
    here.run()
    assert here.job(job).phase == "rolled-back"
    assert here.verbs("n1")[-2:] == ["put-back", "start"]


def test_what_a_node_says_fills_no_job_and_plays_no_tricks() -> None:
    here = world()
    job = here.ask()
    here.call()
    liar = here.bucket.open(Principal.SHIPPER, LAYOUT, "n2")
    said = {
        "node": "n2",
        "job": job,
        "epoch": 1,
        "number": 1,
        "seq": 1,
        "verb": "prepare",
        "outcome": "failed",
        "at": 0,
    }
    why = "\x1b[2J\r\n[2026-11-23] INFO: committed" * 20_000
    liar.create(LAYOUT.job_state(job, "n2", 1, 1), json.dumps({"format": 1, **said, "why": why}).encode())
    huge = json.dumps({"format": 1, **said, "seq": 2, "bytes": 10**400}).encode()
    liar.create(LAYOUT.job_state(job, "n2", 1, 2), huge)
    called = here.call()
    assert [error.key for error in called[0].strange] == [LAYOUT.job_state(job, "n2", 1, 2)]
    assert here.job(job).phase == "rolling-back"
    assert here.job(job).why.isprintable()
    assert len(here.owner.read(LAYOUT.job(job)).body) < 20_000


# --- stolen functions ---
@pytest.mark.parametrize("principal", [Principal.INDEXER, Principal.VERIFY, Principal.REPORT])
def test_who_keeps_lists_and_findings_touches_no_backup_and_commands_nobody(principal: Principal) -> None:
    its_own = {Principal.INDEXER: {"row": ANY, "head": ANY}, Principal.VERIFY: {"finding": ANY}, Principal.REPORT: {}}
    assert may(principal, everything(LAYOUT, "n1")) == its_own[principal]


def test_who_purges_makes_no_backup_and_commands_nobody() -> None:
    assert may(Principal.PURGE, everything(LAYOUT, "n1")) == {
        "meta": {Verb.DELETE},
        "data": {Verb.DELETE},
        "announced": {Verb.DELETE},
        "row": {Verb.DELETE},
        "condemned": {Verb.CREATE, Verb.DELETE},
        "purge": ANY,
        "over": {Verb.DELETE},
    }


def test_a_mark_that_purge_took_away_begins_nothing() -> None:
    here = world()
    job = here.ask()
    here.run()
    here.bucket.open(Principal.PURGE, LAYOUT).delete([LAYOUT.job_over(job)])
    here.run()
    assert here.job(job).phase == "committed"
    assert here.verbs("n1") == FORWARDS
    assert here.owner.head(LAYOUT.job_over(job)).size == 0, "and it is there again"


@pytest.mark.parametrize("record", ["forged", "deleted"])
def test_a_job_that_is_over_is_not_begun_again_by_who_may_write_records(record: str) -> None:
    here = world()
    job = here.ask()
    here.run()
    stolen = here.bucket.open(Principal.COORDINATOR, LAYOUT)
    anew: dict[str, object] = {"phase": "preparing", "decision": None, "nodes": {}, "epoch": 99}
    if record == "deleted":
        stolen.delete([LAYOUT.job(job)])
    else:
        stolen.put(LAYOUT.job(job), encode(here.job(job).model_copy(update=anew)))
    stolen.put(LAYOUT.job_turn(), encode(JobTurn(revision="x", job=job)))
    assert here.call() == ()
    here.ask("backup")
    here.run()
    assert here.verbs("n1") == [*FORWARDS, "backup"]


def test_who_coordinates_reads_and_writes_no_backup() -> None:
    assert may(Principal.COORDINATOR, everything(LAYOUT, "n1")) == {
        "hold": CREATE,
        "request": {Verb.DELETE},
        "wish": {Verb.DELETE},
        "job": ANY,
        "state": {Verb.DELETE},
        "turn": WRITE,
        "over": CREATE,
        "command": WRITE,
    }
    here = world()
    for node in ("n1", "n2", "n3"):
        here.owner.put(LAYOUT.meta(node, "b", "manifest.json"), b"[]")
    here.ask()
    read: list[str] = []
    for _ in range(20):
        here.coordinator(lambda store: CheckedStore(store, lambda _, key: read.append(key))).coordinate(
            here.clock.now()
        )
        for agent in here.agents.values():
            agent.look(here.clock.now())
    assert here.verbs("n1") == FORWARDS
    assert read
    assert not [key for key in read if not key.startswith(f"{LAYOUT.root}index/")]


def command(**changed: object) -> Payload:
    """A command to n1 that it obeys."""
    usual: dict[str, object] = {
        "prefix": LAYOUT.prefix,
        "node": "n1",
        "job": JOB,
        "epoch": 1,
        "number": 2,
        "verb": "stop",
        "issued": NOW,
        "expires": NOW + 900,
    }
    return Payload.model_validate({**usual, **changed})


def spelled(payload: Payload, **changed: object) -> str:
    """Its text after a change that the model would not let pass."""
    return json.dumps({**json.loads(payload.text), **changed}, sort_keys=True, separators=(",", ":"))


def signed_text(text: str, signer: Ed25519Signer = SIGNER) -> Command:
    document = signed(command(), signer.key_id, lambda _: signer.sign(text.encode()))
    return document.model_copy(update={"payload": text})


PREPARE = command(verb="prepare", arguments=PrepareArguments(backup="b", sources=("n1",), targets=("n1",)))
ARGUMENTS = json.loads(PREPARE.text)["arguments"]


@pytest.mark.parametrize(
    "text",
    [
        spelled(command(), verb="run"),
        spelled(command(), verb="stop; rm -rf /"),
        spelled(command(), arguments={"program": "/bin/sh"}),
        spelled(command(), also="this"),
        spelled(command(), format=2),
        spelled(command(), node="../n1"),
        spelled(command(), job="../../x"),
        spelled(command(), expires=float("inf")),
        spelled(command(), number="2"),
        spelled(PREPARE, arguments={**ARGUMENTS, "backup": "../b"}),
        spelled(PREPARE, arguments={**ARGUMENTS, "sources": ["n1/../n2"]}),
        spelled(PREPARE, arguments={**ARGUMENTS, "targets": ["/etc"]}),
        spelled(PREPARE, arguments={**ARGUMENTS, "stop_cmd": "reboot"}),
        spelled(PREPARE, arguments={}),
        command().text.replace(":", ": "),
        "[]",
        "",
    ],
)
def test_a_signed_command_can_say_nothing_but_the_closed_list(text: str) -> None:
    assert verified(signed_text(command().text), KEYS) == command()
    with pytest.raises(Corrupt):
        verified(signed_text(text), KEYS)


# --- hostile objects ---
def mailbox(folder: Path, store: ObjectStore) -> Mailbox:
    return Mailbox(store, LAYOUT, "n1", KEYS, StateDirectory(folder))


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b"\xff\xfe",
        b"[" * 100_000,
        b"{}",
        b'{"format": 1, "payload": 5, "key": "k1", "signature": ""}',
        encode(signed_text(command().text).model_copy(update={"signature": "\u00e9"})),
        b'{"format": 1, "payload": "\\ud800", "key": "k1", "signature": "AAAA"}',
        encode(signed_text(command().text).model_copy(update={"key": "../k1"})),
    ],
)
def test_a_hostile_command_document_is_refused(tmp_path: Path, body: bytes) -> None:
    store = MemoryBucket().open(None)
    box = mailbox(tmp_path, store)
    store.put(LAYOUT.command("n1"), body)
    letter = box.look(Seen(), NOW)
    assert letter is not None
    assert (letter.verdict.kind, letter.verdict.code) == ("refuse", "signature")
    store.put(LAYOUT.command("n1"), b" " * (2 << 20))
    with pytest.raises(BackupError):
        box.look(Seen(), NOW)
    store.put(LAYOUT.command("n1"), encode(signed_text(command().text)))
    letter = box.look(Seen(), NOW)
    assert letter is not None
    assert letter.verdict.kind == "obey", "a good one after it is obeyed"


# --- replay ---
def history() -> list[Payload]:
    """All that a node is told in a restore that fails and goes back."""
    verbs = ["prepare", "stop", "place", "put-back", "start"]
    return [replaced(PREPARE if verb == "prepare" else command(), verb, number) for number, verb in enumerate(verbs, 1)]


def replaced(payload: Payload, verb: str, number: int) -> Payload:
    epoch = 2 if verb in {"put-back", "start"} else 1
    return payload.model_copy(update={"verb": verb, "number": number, "epoch": epoch, "issued": NOW + number})


HERE = Here(LAYOUT.prefix, "n1", None)


def taken(told: list[Payload], seen: Seen, now: float = NOW + 10) -> tuple[list[str], Seen]:
    """What a node does of these in this order, and what it remembers."""
    done: list[str] = []
    for payload in told:
        if accept(payload, seen, HERE, now).kind in {"obey", "go-on"}:
            done.append(payload.verb)
            seen = answered(obeyed(seen, payload), payload)
    return done, seen


@given(st.lists(st.integers(0, 4), max_size=12))
def test_no_command_of_a_job_is_obeyed_twice_in_whatever_order_they_come_back(order: list[int]) -> None:
    told = history()
    done, seen = taken(told, Seen())
    assert done == [payload.verb for payload in told]
    assert taken([told[number] for number in order], seen)[0] == []
    once, _ = taken([told[number] for number in order], Seen())
    places = [told[number].place for number in order]
    assert len(once) <= len(set(places)), "nor from the beginning"


def test_a_command_of_an_earlier_job_is_refused() -> None:
    later = command()
    _, seen = taken([later], Seen())
    for number, verb in itertools.product((1, 9), ("stop", "commit", "put-back")):
        old = command(job=EARLIER, issued=NOW - 1, number=number, verb=verb)
        assert accept(old, seen, HERE, NOW).code == "replayed"
    assert accept(command(expires=NOW), Seen(), HERE, NOW).code == "expired"


def two_jobs() -> list[Payload]:
    """All that a node is told in a job, and in the one after it."""
    later = [each.model_copy(update={"job": JOB, "issued": each.issued + 100}) for each in history()]
    return [each.model_copy(update={"job": EARLIER}) for each in history()] + later


@given(st.lists(st.tuples(st.integers(0, 9), st.booleans(), st.sampled_from([None, "", EARLIER, JOB])), max_size=25))
def test_whatever_is_shown_again_and_wherever_it_is_killed_nothing_leads_back(
    shown: list[tuple[int, bool, str | None]],
) -> None:
    """``shown``: which of all commands lies there now, whether the node comes to its end, whose restore is open on it."""
    told, seen, done = two_jobs(), Seen(), list[Payload]()
    for number, comes_to_its_end, restore in shown:
        payload = told[number]
        verdict = accept(payload, seen, Here(LAYOUT.prefix, "n1", restore), NOW + 200)
        if verdict.kind not in {"obey", "go-on"}:
            continue
        if verdict.kind == "obey":
            assert restore in {None, payload.job}
            assert payload not in done
            assert all(payload.place > other.place for other in done if other.job == payload.job)
            closed = [other.verb for other in done if other.job == payload.job and other.verb == "put-back"]
            assert not closed or payload.verb in {"put-back", "start"}
        else:
            assert payload == done[-1], "only what was obeyed last of all is gone on with"
        assert payload.job == JOB or not [other for other in done if other.job == JOB], "the later job has begun"
        done.append(payload)
        seen = obeyed(seen, payload)
        seen = answered(seen, payload) if comes_to_its_end else seen


# --- a neighbour ---
@pytest.mark.parametrize("principal", [each for each in Principal if each is not Principal.SHIPPER])
def test_a_neighbour_writes_nothing_below_another_prefix(principal: Principal) -> None:
    for prefix in ("other", "pfx2", "pf", ""):
        for node in ("n1", "other"):
            assert may(principal, everything(Layout(prefix), node)) == {}
            assert may(Principal.SHIPPER, everything(Layout(prefix), node), node) == {}


@pytest.mark.parametrize("changed", [{"prefix": "other"}, {"prefix": ""}, {"node": "n2"}, {"node": "n10"}])
def test_a_command_for_another_cluster_or_node_is_refused(tmp_path: Path, changed: dict[str, object]) -> None:
    store = MemoryBucket().open(None)
    store.put(LAYOUT.command("n1"), encode(signed_text(command(**changed).text)))
    letter = mailbox(tmp_path, store).look(Seen(), NOW)
    assert letter is not None
    assert (letter.verdict.kind, letter.verdict.code) == ("refuse", "elsewhere")


# --- an operator ---
def test_an_operator_asks_and_decides_nothing_by_writing() -> None:
    assert may(Principal.OPERATOR, everything(LAYOUT, "n1")) == {
        "hold": {Verb.CREATE, Verb.DELETE},
        "ring": CREATE,
        "request": CREATE,
        "wish": CREATE,
    }


# --- keys ---
def test_a_key_is_exchanged_while_a_job_is_under_way(tmp_path: Path) -> None:
    here = world()
    after = pair(tmp_path / "after")
    both = {**KEYS, **after.keys}
    job = here.ask()
    here.run_until(job, "placing")
    key = LAYOUT.command("n1")
    document = Command.model_validate_json(here.owner.read(key).body)
    assert verified(document, both).verb == "place"
    here.signer = after.signer
    assert sorted(here.call()[0].told) == ["n1", "n2", "n3"], "signed again"
    again = Command.model_validate_json(here.owner.read(key).body)
    assert again.payload == document.payload, "what was obeyed already is not obeyed twice"
    assert verified(again, both) == verified(again, after.keys)
    with pytest.raises(Denied):
        verified(again, KEYS)
    with pytest.raises(Denied):
        verified(document, after.keys)


def test_the_private_key_never_reaches_the_bucket() -> None:
    here = world()
    job = here.ask()
    here.run()
    assert here.verbs("n1") == FORWARDS
    assert here.job(job).phase == "committed"
    secret = KEY.split()[1].encode()
    assert not [name for name, body in here.contents().items() if secret in body]
    assert KEY.split()[1] not in repr(here.signer)


def test_the_table_of_writers_names_every_principal_but_those_who_only_read() -> None:
    named = {grant.principal for grant in writers.WRITERS}
    assert set(Principal) - named == {Principal.REPORT}
