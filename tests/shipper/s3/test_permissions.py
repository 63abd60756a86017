"""With the rights that ``docs/permissions.md`` names, and no others: a whole backup, killed and resumed, restored, indexed.

The policies are read from the document and given to users of a real server. What only Amazon knows, the refusal of
writes without a condition, is played by the proxy.
"""

from __future__ import annotations

import json
import re
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from backupstore.core.layout import Layout
from backupstore.core.writers import WRITERS, Principal, Verb
from backupstore.errors import Denied
from backupstore.operations.coordinate import Coordinator
from backupstore.operations.job_upkeep import KEPT, forgotten_marks, tidy_jobs
from backupstore.stores.s3.signing import Keys
from backupstore.stores.s3.store import S3Store
from tests.harness import s3_servers
from tests.harness.faulty_proxy import Fault, refusal
from tests.harness.s3_stores import FixedKeys, How, opened
from tests.played_nodes import SEED, PlayedCluster, PlayedNode, pair
from tests.recorded import NAME
from tests.shipper.s3.program import PREFIX, OnS3
from tests.shipper.s3.scene import Scene, killed_by, moved_on, scene, stands

Statement = dict[str, Any]
DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "permissions.md"
SECRET = "a-secret-of-its-own"
ARN = "arn:aws:s3:::BUCKET"
ONLY_AMAZON = "NeverOverwrite"
FORBIDDEN = refusal(403, "AccessDenied")


def _documented() -> dict[str, dict[str, Statement]]:
    """The statements of each role by their Sid."""
    blocks = [
        json.loads(block)
        for block in re.findall(r"^```json\n(.*?)^```", DOCUMENT.read_text(), re.MULTILINE | re.DOTALL)
    ]
    backup, further, obeying, keeping, verifying, purging, holding, commanding = blocks
    indexer = {each["Sid"]: each for each in keeping["Statement"]}
    node = {each["Sid"]: each for each in backup["Statement"]}
    return {
        "backup": node,
        "restore": {**node, **{each["Sid"]: each for each in further}},
        "agent": {**node, **{each["Sid"]: each for each in obeying}},
        "coordinator": {each["Sid"]: each for each in commanding["Statement"]},
        "indexer": indexer,
        "verify": {**indexer, **{each["Sid"]: each for each in verifying}},
        "purge": {**indexer, **{each["Sid"]: each for each in purging}},
        "operator": {**indexer, **{each["Sid"]: each for each in holding}},
    }


POLICIES = _documented()


def resources(role: str, action: str) -> set[str]:
    """What may be done that to."""
    found: set[str] = set()
    for statement in POLICIES[role].values():
        actions, named = statement["Action"], statement["Resource"]
        if statement["Effect"] == "Allow" and action in ([actions] if isinstance(actions, str) else actions):
            found |= {named} if isinstance(named, str) else set(named)
    return found


def granted(principal: Principal, verb: Verb) -> set[str]:
    """The same by the table of who may write what."""
    words = {"{P}": "PREFIX/", "{-}": "PREFIX", "{F}": "NODE", "{N}": "*"}
    patterns = {grant.pattern for grant in WRITERS if grant.principal is principal and verb in grant.verbs}
    for word, said in words.items():
        patterns = {pattern.replace(word, said) for pattern in patterns}
    return {f"{ARN}/{pattern}{'*' if pattern.endswith('/') else ''}" for pattern in patterns}


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with scene(tmp_path_factory.mktemp("permissions"), big=6 << 20) as made:
        for role in POLICIES:
            s3_servers.add_user(made.server, role, SECRET)
        yield made


NODES = ("backup", "restore", "indexer")


def with_rights(
    stage: Scene, *, without: tuple[str, ...] = (), strict: bool = False, roles: tuple[str, ...] = NODES
) -> OnS3:
    """A bucket where each of these roles has the rights of the document. ``strict``: no ``IfExists``.

    Not all roles at once: a server that keeps the policy beside its files has little room for it.
    """
    place = stage.place()
    said = {"BUCKET": place.bucket, "PREFIX": PREFIX, "NODE": NAME}
    statements = []
    for role in roles:
        text = json.dumps([each for sid, each in POLICIES[role].items() if sid not in {ONLY_AMAZON, *without}])
        for word, by in said.items():
            text = text.replace(word, by)
        text = text.replace("StringLikeIfExists", "StringLike") if strict else text
        statements += [
            {**each, "Sid": f"{role}{each['Sid']}", "Principal": {"AWS": [role]}} for each in json.loads(text)
        ]
    with stage.server.boto() as boto:
        boto.put_bucket_policy(
            Bucket=place.bucket,
            Policy=json.dumps({"Version": "2012-10-17", "Statement": statements}, separators=(",", ":")),
        )
    return place


def as_role(place: OnS3, role: str) -> OnS3:
    return replace(place, access=role, secret=SECRET)


def store_of(stage: Scene, place: OnS3, role: str) -> S3Store:
    return opened(stage.server, place.bucket, How(keys=FixedKeys(Keys(role, SECRET))))


def only_creating(method: str, target: str, headers: dict[str, str]) -> Fault | None:
    """As Amazon does it: a write that would make an object is refused without the condition."""
    creates = (method == "PUT" and "partNumber" not in target) or (method == "POST" and "uploadId" in target)
    return Fault(answer=FORBIDDEN) if creates and headers.get("if-none-match") != "*" else None


def test_the_document_says_what_the_table_says() -> None:
    holds = {f"{ARN}/PREFIX/index/holds/*"}
    states = {f"{ARN}/PREFIX/index/jobs/nodes/NODE/*"}
    assert resources("agent", "s3:PutObject") == granted(Principal.SHIPPER, Verb.CREATE)
    assert resources("restore", "s3:PutObject") == granted(Principal.SHIPPER, Verb.CREATE) - states
    assert resources("backup", "s3:PutObject") == granted(Principal.SHIPPER, Verb.CREATE) - states - holds
    for verb, action in (
        (Verb.CREATE, "s3:PutObject"),
        (Verb.OVERWRITE, "s3:PutObject"),
        (Verb.DELETE, "s3:DeleteObject"),
    ):
        assert resources("indexer", action) == granted(Principal.INDEXER, verb)
    for role in ("backup", "restore", "agent"):
        assert resources(role, "s3:DeleteObject") == set()
    commands = granted(Principal.COORDINATOR, Verb.CREATE) | granted(Principal.COORDINATOR, Verb.OVERWRITE)
    assert resources("coordinator", "s3:PutObject") == commands
    assert resources("coordinator", "s3:DeleteObject") == granted(Principal.COORDINATOR, Verb.DELETE)
    for role, principal in (
        ("verify", Principal.VERIFY),
        ("purge", Principal.PURGE),
        ("operator", Principal.OPERATOR),
    ):
        both = granted(principal, Verb.CREATE) | granted(principal, Verb.OVERWRITE)
        indexer = granted(Principal.INDEXER, Verb.CREATE)
        assert resources(role, "s3:PutObject") == both | indexer
        assert resources(role, "s3:DeleteObject") == granted(principal, Verb.DELETE) | indexer


@pytest.mark.parametrize("without", [(), ("GiveUpUploads",)], ids=str)
def test_a_whole_backup_killed_and_resumed(stage: Scene, without: tuple[str, ...]) -> None:
    place = with_rights(stage, without=without)
    node = as_role(place, "backup")
    stage.proxy.chance = only_creating
    try:
        for target in ("partNumber=2", "uploadId="):
            method = "PUT" if "part" in target else "POST"
            fault = Fault(method, target, lose_request=True)
            done = killed_by(stage.proxy, fault, lambda: node.start("backup", "--backup-name", "monday"))
            assert done.code == -signal.SIGKILL
        done = node.run("backup", "--backup-name", "monday")
        assert done.code == 0, done
        stage.node.restart_generations()
        done = node.run("backup", "--backup-name", "tuesday", "--mode", "full")
        assert done.code == 0, done
        assert "forbids" not in done.err
        done = node.run("backup", "--backup-name", "wednesday")
        assert done.code == 0, done
    finally:
        stage.proxy.chance = None
    world = stage.world(place)
    world.check_backup("wednesday", world.node.contents())
    world.check_backup("tuesday", world.node.contents())


def test_overwriting_is_refused_as_amazon_does_it(stage: Scene) -> None:
    """The refusal that is played is one."""
    place = with_rights(stage)
    store = opened(stage.server, place.bucket, How(port=stage.proxy.port, keys=FixedKeys(Keys("backup", SECRET))))
    key = f"{PREFIX}/{NAME}/monday/meta/schema.cql"
    stage.proxy.chance = only_creating
    try:
        store.create(key, b"first")
        with pytest.raises(Denied):
            store.put(key, b"second")
        with pytest.raises(Denied):
            store.replace(key, b"second", store.read(key).version)
    finally:
        stage.proxy.chance = None
    assert store.read(key).body == b"first"


def test_what_a_node_may_not_do(stage: Scene) -> None:
    place = with_rights(stage)
    other, own = f"{PREFIX}/{NAME}0/monday/meta/schema.cql", f"{PREFIX}/{NAME}/monday/meta/schema.cql"
    for key in (other, own, f"{PREFIX}/index/catalog/head.json", f"{PREFIX}/index/condemned/{NAME}/run.json"):
        stage.world(place).owner.create(key, b"body")
    for role in ("backup", "restore"):
        store = store_of(stage, place, role)
        for key in (own, other, f"{PREFIX}/index/catalog/head.json", f"{PREFIX}/index/condemned/{NAME}/run.json"):
            with pytest.raises(Denied):
                store.delete([key])
        for key in (other, "top", f"{PREFIX}/index/catalog/head.json", f"{PREFIX}/index/backup_index/monday/x"):
            with pytest.raises(Denied):
                store.put(key, b"")
        with pytest.raises(Denied):
            store.read(other)
        with pytest.raises(Denied):
            list(store.list(f"{PREFIX}/{NAME}0/"))
        assert store.read(own).body == b"body"


def test_restoring_with_a_hold_or_without(stage: Scene) -> None:
    place = with_rights(stage)
    for role in ("backup", "restore"):
        node = as_role(place, role)
        name = f"for-{role}"
        assert node.run("backup", "--backup-name", name).code == 0
        restored = moved_on(node)
        if role == "backup":
            done = restored.run("restore-node", "--backup-name", name)
            assert done.code == 1
            assert "index/holds/" in done.err
            assert "--without-hold" in done.err
            done = restored.run("restore-node", "--backup-name", name, "--without-hold")
        else:
            done = restored.run("restore-node", "--backup-name", name)
        assert done.code == 0, done
        assert "is restored" in done.out
        assert stands(restored) == "new"


def test_the_indexer_keeps_the_index_and_nothing_else(stage: Scene) -> None:
    place = with_rights(stage)
    node, indexer = as_role(place, "backup"), as_role(place, "indexer")
    fault = Fault("PUT", "partNumber=2", lose_request=True)
    assert (
        killed_by(stage.proxy, fault, lambda: node.start("backup", "--backup-name", "monday")).code == -signal.SIGKILL
    )
    assert node.run("backup", "--backup-name", "monday").code == 0

    done = replace(indexer, shipper=(*indexer.shipper, "verify_interval = 0")).run("serve", "--once")
    assert done.code == 0, done
    assert "forbids" not in done.err, done.err
    listed = node.run("list-backups")
    assert (listed.code, "reading the bucket itself" in listed.err) == (0, False), listed
    assert listed.out.startswith("monday ")
    told = node.run("report-last-backup")
    assert (told.code, told.err) == (0, ""), told
    assert "Latest backup:\n- Name: monday\n" in told.out
    assert indexer.run("build-index").code == 0
    store = store_of(stage, place, "indexer")
    assert store.sweep_uploads(4e9) == 1
    world = stage.world(place)
    for key in world.listing(f"{PREFIX}/{NAME}/"):
        with pytest.raises(Denied):
            store.delete([key])
        with pytest.raises(Denied):
            store.put(key, b"")
    with pytest.raises(Denied):
        store.read(next(iter(world.entries("monday").values())).path)


def verified(place: OnS3, *arguments: str) -> set[str]:
    """The kinds of what is found, but for what follows from the ring of which only one node is there."""
    done = place.run("verify", "--backup-name", "monday", "--output", "json", *arguments)
    assert done.code == 1
    assert ("what was found was not put down" in done.err) == ("forbids" in done.err), done.err
    return set(done.json["counts"]) - {"incomplete", "uncovered"}


def test_verify_reads_data_and_puts_down_what_it_found(stage: Scene) -> None:
    place = with_rights(stage, roles=("backup", "verify"))
    assert as_role(place, "backup").run("backup", "--backup-name", "monday").code == 0
    verify = as_role(place, "verify")
    for arguments in ((), ("--checksums",), ("--level", "content")):
        assert verified(verify, *arguments) <= {"warning"}
    world = stage.world(place)
    folder = f"{PREFIX}/index/findings/monday/"
    assert {key.removeprefix(folder) for key in world.listing(folder)} == {"content.json", "listing.json"}
    store = store_of(stage, place, "verify")
    for key in world.listing(f"{PREFIX}/{NAME}/"):
        with pytest.raises(Denied):
            store.delete([key])
        with pytest.raises(Denied):
            store.put(key, b"")


def test_without_these_rights_nothing_is_taken_for_good_that_was_not_read(stage: Scene) -> None:
    place = with_rights(stage, roles=("backup", "indexer"))
    assert as_role(place, "backup").run("backup", "--backup-name", "monday").code == 0
    indexer = as_role(place, "indexer")
    assert verified(indexer) == set()
    assert "unchecked" in verified(indexer, "--level", "content")
    assert not list(stage.world(place).listing(f"{PREFIX}/index/findings/"))


def test_purge_deletes_backups_and_nobody_elses_words(stage: Scene) -> None:
    # What the others let purge say, tests/shipper/cli/test_purge_versions shows.
    place = with_rights(
        stage, roles=("backup", "purge", "operator"), without=("SeeWhatStays", "SeeLocks", "AskForJobs", "AcceptRings")
    )
    node = as_role(place, "backup")
    for name in ("monday", "tuesday", "wednesday"):
        assert node.run("backup", "--backup-name", name).code == 0
    assert as_role(place, "purge").run("build-index").code == 0
    held = as_role(place, "operator").run("hold", "--backup-name", "monday", "--why", "audit")
    assert held.code == 0, held

    purge = as_role(place, "purge")
    refused = purge.run("delete-backup", "--backup-name", "monday", "--force")
    assert (refused.code, "audit" in refused.err) == (1, True), refused
    for command in (("delete-backup", "--backup-name", "tuesday", "--force"), ("purge",)):
        done = purge.run(*command)
        assert done.code == 0, done
        assert "forbids" not in done.err, done.err
    world = stage.world(place)
    folder = f"{PREFIX}/{NAME}/"
    assert {key.removeprefix(folder).partition("/")[0] for key in world.listing(folder)} == {
        "data",
        "monday",
        "wednesday",
    }
    world.check_backup("wednesday", world.node.contents())
    hold = next(iter(world.listing(f"{PREFIX}/index/holds/monday/")))
    layout, job = Layout(PREFIX), "restore-20261123020000-00000001"
    for key in (hold, layout.command(NAME), layout.job_request(job), layout.job(job), layout.job_turn()):
        with pytest.raises(Denied):
            store_of(stage, place, "purge").delete([key])
    assert list(world.listing(f"{PREFIX}/index/purges/")), "of those it deletes what is old and needed by nobody"
    released = as_role(place, "operator").run("release", "--backup-name", "monday")
    assert released.code == 0, released
    assert purge.run("delete-backup", "--backup-name", "monday", "--force").code == 0
    assert not list(world.listing(f"{folder}monday/"))
    with pytest.raises(Denied):
        store_of(stage, place, "operator").delete([f"{folder}wednesday/meta/manifest.json"])


def test_a_job_from_the_request_to_its_end_and_what_each_of_its_hands_may_not_do(stage: Scene, tmp_path: Path) -> None:
    place = with_rights(stage, roles=("agent", "coordinator", "operator"))
    keys, layout = pair(tmp_path / "keys"), Layout(PREFIX)
    stores = {role: store_of(stage, place, role) for role in ("agent", "coordinator", "operator")}
    operator, played = (
        PlayedCluster(stores[role], layout, (PlayedNode(stores[role], layout, NAME, keys.keys),))
        for role in ("operator", "agent")
    )
    coordinator = Coordinator(stores["coordinator"], layout, keys.signer, lambda: "revision")
    job = operator.ask()
    for _ in range(8):
        coordinator.coordinate(time.time())
        played.turn()
    assert operator.phase(job) == "committed"
    assert played.obeyed == [SEED]
    stores["agent"].head(layout.job_over(job))

    backup = layout.meta(NAME, "b1", "schema.cql")
    other: dict[str, tuple[str, ...]] = {
        "agent": (layout.job_state(job, f"{NAME}0", 1, 1), layout.job(job), layout.job_wish(job, "x")),
        "coordinator": (layout.job_state(job, NAME, 9, 9), layout.job_request("x"), layout.job_wish(job, "x"), backup),
        "operator": (layout.job_state(job, NAME, 9, 9), layout.job(job), layout.job_turn(), backup),
    }
    for role, keys_of_others in other.items():
        its_own = () if role == "coordinator" else (layout.job_over(job), layout.command(NAME))
        for key in [*keys_of_others, *its_own]:
            with pytest.raises(Denied):
                stores[role].put(key, b"")
        its_records = (layout.job(job), layout.job_request(job), layout.job_state(job, NAME, 1, 1))
        for key in (layout.command(NAME), layout.job_over(job), *(() if role == "coordinator" else its_records)):
            with pytest.raises(Denied):
                stores[role].delete([key])
    for key in (layout.command(f"{NAME}0"), layout.job_request(job), layout.job(job)):
        stage.world(place).owner.put(key, b"")
        with pytest.raises(Denied):
            stores["agent"].read(key)
    stage.world(place).owner.put(backup, b"")
    with pytest.raises(Denied):
        stores["coordinator"].read(backup)


def test_who_coordinates_forgets_old_jobs_and_purge_their_marks(stage: Scene, tmp_path: Path) -> None:
    place = with_rights(stage, roles=("coordinator", "purge"), without=("SeeWhatStays", "SeeLocks"))
    keys, layout, owner = pair(tmp_path / "keys"), Layout(PREFIX), stage.world(place).owner
    there = PlayedCluster(owner, layout, (PlayedNode(owner, layout, NAME, keys.keys),))
    store = store_of(stage, place, "coordinator")
    coordinator, jobs = Coordinator(store, layout, keys.signer, lambda: "revision"), []
    for number in (1, 2):
        jobs.append(there.ask("backup", number))
        there.wish(jobs[-1], "resume")
        for _ in range(3):
            coordinator.coordinate(time.time())
            there.turn()
    assert [there.phase(job) for job in jobs] == ["done", "done"]
    later = time.time() + KEPT + 60
    assert tidy_jobs(store, layout, later) == (jobs[0],)
    left = [key for key in stage.world(place).listing(layout.jobs()) if jobs[0] in key]
    assert left == [layout.job_over(jobs[0])]
    purge = store_of(stage, place, "purge")
    marks = list(forgotten_marks(purge, layout, later))
    assert marks == left
    purge.delete(marks)
    assert not [key for key in stage.world(place).listing(layout.jobs()) if jobs[0] in key]


def test_where_absent_objects_are_forbidden(stage: Scene) -> None:
    """Without the right to list what it asks for, Amazon says 403 of an object that is not there."""
    place = with_rights(stage, strict=True)
    node = as_role(place, "backup")

    def absent_is_forbidden(method: str, target: str, _: dict[str, str]) -> Fault | None:
        key = target.partition("?")[0].removeprefix(f"/{place.bucket}").removeprefix("/")
        asks = key and method in {"GET", "HEAD"}
        return Fault(answer=FORBIDDEN) if asks and not stage.world(place).has(key) else None

    stage.proxy.chance = absent_is_forbidden
    try:
        done = node.run("backup", "--backup-name", "monday")
        assert done.code == 0, done
        assert "whether it is in the catalog cannot be seen" in done.err
        stage.node.restart_generations()
        fault = Fault("PUT", "partNumber=2", lose_request=True)
        done = killed_by(stage.proxy, fault, lambda: node.start("backup", "--backup-name", "tuesday"))
        assert done.code == -signal.SIGKILL
        done = node.run("backup", "--backup-name", "tuesday")
        assert done.code == 0, done
    finally:
        stage.proxy.chance = None
    world = stage.world(place)
    world.check_backup("tuesday", world.node.contents())
