"""The part of the bucket's grammar that is about cluster jobs: ``index/jobs/`` and ``index/commands/``.

Who asks, who coordinates and who obeys have a folder each, and each node one below that of all nodes, so that the beginning of a
key tells who may write there.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class JobLayout:
    """Keys of one cluster's jobs. ``prefix`` is one segment, or empty."""

    prefix: str = ""

    @property
    def root(self) -> str:
        """The folder of the whole cluster; empty without a prefix."""
        return f"{self.prefix}/" if self.prefix else ""

    def jobs(self) -> str:
        """Folder of everything about cluster jobs but commands."""
        return f"{self.root}index/jobs/"

    def all_job_requests(self) -> str:
        """Folder of what operators asked for; one folder for each job."""
        return f"{self.jobs()}requests/"

    def job_request(self, job: str) -> str:
        """What a job is about."""
        return f"{self.all_job_requests()}{job}/request.json"

    def job_wishes(self, job: str) -> str:
        """Folder of what operators want of a job that is under way."""
        return f"{self.all_job_requests()}{job}/wishes/"

    def job_wish(self, job: str, wish: str) -> str:
        """One wish."""
        return f"{self.job_wishes(job)}{wish}.json"

    def job(self, job: str) -> str:
        """Where a job stands."""
        return f"{self.jobs()}records/{job}.json"

    def jobs_over(self) -> str:
        """Folder of the names of the jobs that are over."""
        return f"{self.jobs()}over/"

    def job_over(self, job: str) -> str:
        """Says by being there that nothing is to be done for a job any more."""
        return f"{self.jobs_over()}{job}"

    def job_turn(self) -> str:
        """Which job is being coordinated."""
        return f"{self.jobs()}turn.json"

    def all_job_states(self) -> str:
        """Folder of what nodes answered; one folder for each node, so that each may write below its own name only."""
        return f"{self.jobs()}nodes/"

    def job_states(self, job: str, node: str) -> str:
        """Folder of what one node answered in one job."""
        return f"{self.all_job_states()}{node}/{job}/"

    def job_state(self, job: str, node: str, number: int, seq: int) -> str:
        """One answer: to the command of this number, the seq-th of the node in this job."""
        return f"{self.job_states(job, node)}{number}-{seq}.json"

    def commands(self) -> str:
        """Folder of what the nodes have to obey now."""
        return f"{self.root}index/commands/"

    def command(self, node: str) -> str:
        """What one node has to obey now."""
        return f"{self.commands()}{node}.json"
