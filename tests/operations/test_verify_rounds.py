"""A verification shared by many workers comes to what one process finds, whatever becomes of the workers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random

import pytest

from backupstore.core import layout as grammar
from backupstore.core.documents import Damaged, Level, encode
from backupstore.core.verify_records import VerifyRound
from backupstore.core.work import VerifyWork
from backupstore.errors import Corrupt, OutOfTime, Retryable
from backupstore.operations import rounds
from backupstore.operations.rounds import PATIENCE
from backupstore.ports import ObjectStore, Sink, StoredObject
from tests.interleaving import Around, Interleaved, Stepper
from tests.operations.ring import NODES, Ring
from tests.operations.team import DAY, ListQueue, Team, plain

DATA = "nb-2-big-Data.db"


def team(level: Level, ring: Ring | None = None, **more: object) -> Team:
    """A backup of which that level is due."""
    made = Team(ring or Ring(), **more)  # type: ignore[arg-type]  # fields of Team
    if ring is None:
        made.ring.back_up("b")
    made.index()
    if level != "listing":
        made.plan()
        made.work_all()
        made.now += DAY
    if level == "content":
        made.share = 0.5
    return made


def planned(made: Team, level: Level) -> VerifyRound:
    (plan,) = (plan for plan in made.plan().rounds if plan.level == level)
    return plan


def of(ring: Ring, node: str, file: str) -> str:
    """The key of a file, whatever the mode."""
    (key,) = (each["path"] for each in ring.objects(node, "b") if each["path"].endswith(f"/{file}"))
    return str(key)


def lose_object(ring: Ring) -> None:
    ring.store.delete([of(ring, "n2", DATA)])


def change_object(ring: Ring) -> None:
    key = of(ring, "n1", DATA)
    ring.store.put(key, ring.store.read(key).body[:-1])


def lose_component(ring: Ring) -> None:
    kept = [each for each in ring.objects("n3", "b") if not each["path"].endswith("nb-2-big-Index.db")]
    ring.commit("n3", "b", kept)


def lose_node(ring: Ring) -> None:
    ring.store.delete([each.key for each in ring.store.list(ring.layout.backup("n3", "b"))])


def spoil_manifest(ring: Ring) -> None:
    ring.store.put(ring.layout.meta("n2", "b", grammar.MANIFEST), b"[{]")


def give_up(ring: Ring) -> None:
    ring.store.put(ring.layout.meta("n1", "b", grammar.ABANDONED), b"{}")


def put_damage_on_record(ring: Ring) -> None:
    objects = ring.objects("n1", "b")
    objects[0]["corrupt"] = "bit rot"
    ring.commit("n1", "b", objects)
    damaged = Damaged(node="n1", backup="b", by="c", at=1.0, count=7)
    ring.store.create(ring.layout.meta("n1", "b", grammar.DAMAGED), encode(damaged))


def leave_good(ring: Ring) -> None:
    """As it is."""


WRONG = [
    leave_good,
    lose_object,
    change_object,
    lose_component,
    lose_node,
    spoil_manifest,
    give_up,
    put_damage_on_record,
]


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("level", ["listing", "structure", "content"])
def test_it_comes_to_what_one_process_finds(level: Level, wrong: Callable[[Ring], None]) -> None:
    made = team(level)
    wrong(made.ring)
    plan = planned(made, level)
    made.work_all()
    alone = made.alone(plan)
    assert plain(made.found(level)) == plain(alone)
    assert alone.ok == (wrong is leave_good or (wrong is lose_component and level == "listing"))
    assert made.levels()[level] == alone.ok
    assert made.left() == []


@pytest.mark.parametrize("wrong", WRONG)
def test_a_node_in_many_pieces_comes_to_the_same(
    monkeypatch: pytest.MonkeyPatch, wrong: Callable[[Ring], None]
) -> None:
    ring = Ring(sstables=9)
    ring.back_up("b", "full")
    ring.store.create(ring.key("n1", "nb-99-big-Data.db", "b"), b"too much")
    made = team("content", ring)
    monkeypatch.setattr(rounds, "PIECE_BYTES", 2000)
    plan = planned(made, "content")
    assert min(plan.backups["b"].values()) > 3
    wrong(ring)
    items = made.taken()
    assert len(items) == sum(plan.backups["b"].values()) + len(NODES), "and the structure of all"
    made.queue.send([item.model_dump_json() for item in items])
    made.work_all()
    found = made.found("content")
    assert found
    alone = plain(made.alone(plan))
    if wrong is spoil_manifest:  # each piece says so
        assert not found.ok
    else:
        assert plain(found) == alone
    assert found.read <= found.size / 2 + 5000


@pytest.mark.parametrize("seed", range(20))
def test_items_in_any_order_twice_and_late_change_nothing(seed: int) -> None:
    made, random = team("content"), Random(seed)
    random.choice(WRONG)(made.ring)
    plan = planned(made, "content")
    items = made.taken()
    items += random.choices(items, k=4)
    random.shuffle(items)
    alone = plain(made.alone(plan))
    for item in items:
        made.now += random.random()
        made.work(item)
    assert plain(made.found("content")) == alone
    assert made.left() == []
    for item in random.sample(items, 3):
        assert made.work(item).looked == 0, "its round is over"
    assert made.left() == []


@pytest.mark.parametrize("seed", range(20))
def test_workers_at_the_same_time_agree(seed: int) -> None:
    made = team("structure")
    WRONG[seed % len(WRONG)](made.ring)
    plan = planned(made, "structure")
    items = made.taken()
    alone = plain(made.alone(plan))
    stepper = Stepper(f"rounds {seed}")
    made.weather = lambda store: Interleaved(store, stepper)
    stepper.run([lambda item=item: made.work(item) for item in (*items, *items[:2])])  # type: ignore[misc]
    made.weather = lambda store: store
    assert plain(made.found("structure")) == alone
    left = made.left()
    assert not [key for key in left if key.endswith("plan.json")]
    made.now += PATIENCE + 1
    made.plan()
    assert not set(left) & set(made.left()), "what came late is swept"


class Mortal(Around):
    """Ends at its n-th call."""

    def __init__(self, store: ObjectStore, left: list[int], error: BaseException) -> None:
        super().__init__(store)
        self._left, self._error = left, error

    def before(self, call: str) -> None:  # noqa: ARG002 # whatever it is
        self._left[0] -= 1
        if self._left[0] < 0:
            raise self._error


class Dead(BaseException):
    """The worker was killed."""


@pytest.mark.parametrize("error", [Dead(), Retryable("no"), OutOfTime("over")])
def test_a_worker_that_ends_anywhere_is_followed_by_the_same_item(error: BaseException) -> None:
    """At each of its calls: what was told as done is not lost, and what comes of it is the same."""
    calls = 0
    while True:
        made = team("structure")
        lose_object(made.ring)
        plan = planned(made, "structure")
        *others, last = made.taken()
        for item in others:
            made.work(item)
        left = [calls]
        made.weather = lambda store, left=left: Mortal(store, left, error)  # type: ignore[misc]
        try:
            made.queue.send([item.model_dump_json() for item in made.work(last).rest])
            over = left[0] >= 0
        except (Dead, Retryable):
            over = False
            made.queue.send([last.model_dump_json()])
        made.weather = lambda store: store
        made.work_all()
        assert plain(made.found("structure")) == plain(made.alone(plan)), f"it ended at call {calls}"
        assert made.levels()["structure"] is False
        assert made.left() == []
        if over:
            break
        calls += 1
    assert calls > 20


def test_what_does_not_fit_is_done_in_smaller_items() -> None:
    """Each worker has time for so many calls; the data of one SSTable after the other would take longer."""
    ring = Ring(sstables=20)
    ring.back_up("b")
    made = team("content", ring)
    made.share = 1.0
    plan = planned(made, "content")
    alone = plain(made.alone(plan))
    sizes: list[int] = []
    pieces = set()
    while items := made.taken():
        for item in items:
            made.weather = lambda store: Mortal(store, [90], OutOfTime("over"))
            pieces.add(item.piece)
            try:
                rest = made.work(item).rest
            except OutOfTime:  # of merging: the queue gives it again
                rest = (item,)
            made.queue.send([smaller.model_dump_json() for smaller in rest])
            sizes.append(len(rest))
    made.weather = lambda store: store
    assert plain(made.found("content")) == alone
    assert {"1/1", "1/4", "4/4"} <= pieces
    assert max(sizes) == 4


def test_many_backups_that_do_not_fit_go_on_where_they_ended() -> None:
    ring = Ring()
    names = [f"b{number:02}" for number in range(12)]
    for name in names:
        ring.back_up(name)
    made = Team(ring)
    made.index()
    made.plan()
    items = made.taken()
    assert [(item.node, item.backups) for item in items] == [(node, tuple(names)) for node in NODES]
    given = [*items]
    times = 0
    while given:
        item, *given = given
        made.weather = lambda store: Mortal(store, [100], OutOfTime("over"))
        try:
            given += made.work(item).rest
        except OutOfTime:
            given.append(item)
        times += 1
        assert times < 30
    made.weather = lambda store: store
    assert all(made.levels(name) == {"listing": True} for name in names)
    assert made.left() == []
    assert times > len(NODES)


def test_what_takes_longer_than_a_worker_has_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A single manifest that does not fit: no smaller item would help, and nobody takes it for done."""
    made = team("listing")
    made.plan()
    item, *_ = made.taken()
    made.weather = lambda store: Mortal(store, [6], OutOfTime("over"))
    with pytest.raises(OutOfTime):
        made.work(item)
    made.share = 1.0
    content = team("content")
    planned(content, "content")
    (reading,) = (item for item in content.taken() if item.node == "n1" and "content" in level_of(content, item))
    content.weather = lambda store: Mortal(store, [12], OutOfTime("over"))
    with pytest.raises(OutOfTime):
        content.work(reading, all_day=False)
    assert len(content.work(reading).rest) == 4
    monkeypatch.setattr("backupstore.core.work.MOST_PIECES", 3)
    with pytest.raises(OutOfTime):
        content.work(reading)


def level_of(made: Team, item: VerifyWork) -> str:
    plan = rounds.read_plan(made.ring.store, made.layout, item.round)
    assert plan
    return plan.level


def test_a_round_that_has_died_is_planned_again_and_only_then() -> None:
    made = team("listing")
    first = made.plan()
    lost = made.taken()
    assert first.items == len(lost) == len(NODES)
    made.work(lost[0])
    made.now += PATIENCE
    assert made.plan() == type(first)((), 0, ()), "somebody may still be at it"
    made.work(lost[1])
    made.now += 1
    assert made.plan().rounds == (), "somebody was, a moment ago"
    assert made.levels() == {}, "what nobody has looked at whole was not verified"
    made.now += PATIENCE
    again = made.plan()
    assert again.died == (first.rounds[0].round,)
    assert [plan.level for plan in again.rounds] == ["listing"]
    assert made.work(lost[2]).looked == 0
    made.work_all()
    assert made.levels() == {"listing": True}
    assert made.left() == []


def test_a_round_that_was_given_up_does_not_undo_a_later_one() -> None:
    made = team("listing")
    old = planned(made, "listing")
    *_, last = items = made.taken()
    for item in items[:-1]:
        made.work(item)
    made.now += 100
    later = old.model_copy(update={"created": made.now, "round": "later"})
    alone = made.alone(later)
    made.ring.store.put(made.layout.finding("b", "listing"), encode(alone))
    made.ring.store.delete([made.ring.key("n1", DATA)])
    made.work(last)
    assert plain(made.found("listing")) == plain(alone)


def test_what_cannot_be_sent_is_not_left_as_if_it_were_under_way() -> None:
    class Full(ListQueue):
        def send(self, texts: object) -> None:  # noqa: ARG002 # whatever they are
            raise Retryable("full")

    made = team("listing")
    made.queue = Full()
    with pytest.raises(Retryable):
        made.plan()
    assert made.left() == []
    made.queue = ListQueue()
    assert made.plan().items == len(NODES)


def test_nothing_that_is_not_due_costs_more_than_a_read_and_a_listing() -> None:
    made = team("listing")
    made.plan()
    made.work_all()
    calls: list[str] = []

    class Counting(Around):
        def before(self, call: str) -> None:
            calls.append(call)

    made.weather = Counting
    assert made.plan().items == 0
    assert calls == ["read", "list"]


def test_the_data_of_a_node_is_listed_once_for_all_backups() -> None:
    made = Team()
    for name in ("b", "c", "d"):
        made.ring.back_up(name)
    made.index()
    made.plan()
    listed: list[str] = []

    class Listing(Around):
        def list(self, folder: str) -> Iterator[StoredObject]:
            listed.append(folder)
            return super().list(folder)

    made.weather = Listing
    made.work_all()
    data = [made.layout.shared_data(node) for node in NODES]
    assert sorted(folder for folder in listed if "/data" in folder) == data
    assert all(made.levels(name) == {"listing": True} for name in ("b", "c", "d"))


def test_a_node_backup_that_nobody_looked_at_is_not_good() -> None:
    """It was finished while the others were looked at: no worker was ever told of it."""
    ring = Ring()
    ring.back_up("b")
    made = Team(ring)
    made.index()
    plan = planned(made, "listing")
    without = {node: 1 for node in NODES if node != "n3"}
    plan = plan.model_copy(update={"backups": {"b": without}})
    ring.store.put(made.layout.round_plan(plan.round), encode(plan))
    made.work_all()
    found = made.found("listing")
    assert found
    assert [(each.kind, each.node) for each in found.findings] == [("unchecked", "n3")]


def test_a_store_that_does_not_answer_is_asked_again_and_at_last_told() -> None:
    made = team("listing")
    planned(made, "listing")

    class Closed(Around):
        def list(self, folder: str) -> Iterator[StoredObject]:
            if folder == made.layout.shared_data("n2"):
                raise Retryable("not now")
            return super().list(folder)

    made.weather = Closed
    for item in made.taken():
        if item.node == "n2":
            with pytest.raises(Retryable):
                made.work(item)
        made.work(item, hands_back=False)
    found = made.found("listing")
    assert found
    assert [(each.kind, each.node) for each in found.findings] == [("unchecked", "n2")]


def test_a_plan_that_cannot_be_read_is_told_and_dies() -> None:
    made = team("listing")
    plan = planned(made, "listing")
    items = made.taken()
    key = made.layout.round_plan(plan.round)
    for body in (b"{", encode(plan.model_copy(update={"subset": "x"})), encode(plan.model_copy(update={"round": "y"}))):
        made.ring.store.put(key, body)
        with pytest.raises(Corrupt):
            made.work(items[0])
    assert made.plan().items == len(NODES), "nobody can work by it"


def test_reading_what_rots_is_found_by_the_worker_who_reads_it() -> None:
    made = team("content")
    made.share = 1.0
    key = made.ring.key("n1", "nb-1-big-Index.db")

    class Rotten(Around):
        def fetch(self, key_: str, sink: Sink) -> StoredObject:
            return super().fetch(key_, (lambda piece: sink(bytes(len(piece)))) if key_ == key else sink)

    plan = planned(made, "content")
    made.weather = Rotten
    made.work_all()
    assert plain(made.found("content")) == plain(made.alone(plan, store=Rotten(made.ring.store)))
    assert made.levels() == {"listing": True, "structure": True, "content": False}


def test_what_was_found_in_other_parts_of_the_data_stays() -> None:
    made = team("content")
    key = made.ring.key("n1", "nb-1-big-Index.db")
    body = made.ring.store.read(key).body
    made.ring.store.put(key, bytes(len(body)))
    for _ in range(2):
        plan = planned(made, "content")
        alone = plain(made.alone(plan))
        made.work_all()
        assert plain(made.found("content")) == alone
        made.now += DAY
    assert made.levels()["content"] is False
