"""One node's part of a job: the verbs of ``phases`` on a ``World``, as a coordinator commands them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from shipper.progress import Progress
from shipper.restore import phases
from shipper.restore.phases import Machine, Request
from shipper.site import Site
from tests.killing import Point, Trigger, killed
from tests.shipper.restore.dying import dying
from tests.shipper.restore.world import World

JOB = "restore-20261123020000-0badcafe"
FORWARD = ("prepare", "stop", "place", "start", "check", "commit")
BACK = ("put_back", "start")
_VERBS: dict[str, Callable[[Site, Machine, str, Progress], str | None]] = {
    "stop": phases.stop,
    "place": phases.place,
    "start": phases.start,
    "check": phases.check,
    "commit": phases.commit,
    "put_back": phases.put_back,
}


def act(site: Site, machine: Machine, verb: str, request: Request, progress: Progress) -> None:
    """Do what the verb says."""
    if verb == "prepare":
        phases.prepare(site, machine, request, progress)
    else:
        _VERBS[verb](site, machine, request.job or JOB, progress)


def obey(world: World, verb: str, job: str = JOB, **options: object) -> None:
    """Do what the verb says."""
    request = Request("monday", job=job, **options)  # type: ignore[arg-type]  # what the test says
    act(world.site, world.machine, verb, request, world.listener)


def obey_all(world: World, verbs: Sequence[str], **options: object) -> None:
    """One after the other."""
    for verb in verbs:
        obey(world, verb, **options)  # type: ignore[arg-type]  # what the test says


def points_of(world: World, verb: str) -> list[Point]:
    """Do it, and say at which points it could have been killed."""
    trigger = Trigger()
    with dying(trigger, world.base):
        obey(world.deadly(trigger), verb)
    points = [Point(number) for number in range(1, len(trigger.calls) + 1)]
    calls = zip(points, trigger.calls, strict=True)
    return [*points, *(Point(each.number, "after") for each, kind in calls if "disk" not in kind)]


def die(world: World, at: Point, verb: str) -> bool:
    """Begin, and be killed there."""
    trigger = Trigger(at)
    with dying(trigger, world.base):
        return killed(lambda: obey(world.deadly(trigger), verb))
