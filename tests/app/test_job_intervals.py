"""How often guests' jobs run on a hurried loop: their own intervals are the market's, those of settings the wall's."""

from types import SimpleNamespace
from typing import Any

import pytest

from tradecore.engine.guestjobs import GuestJobs
from tradecore.model.signal import Job, JobAnswer


class Plan:
    """Takes what would be planned."""

    def __init__(self) -> None:
        self.intervals_s: dict[str, float] = {}

    def add(self, name: str, work: Any, interval_s: float) -> None:
        self.intervals_s[name] = interval_s


def planned(scale: float, *jobs: Job) -> dict[str, float]:
    def answered() -> list[tuple[str, Job]]:
        return [("guest", job) for job in jobs]

    desk: Any = SimpleNamespace(config=SimpleNamespace(time_scale=scale), calls=SimpleNamespace(jobs=answered))
    plan: Any = Plan()
    none: Any = None
    guest_jobs = GuestJobs(desk, jobs=plan, pictures=none, scanner=none, pipeline=none, exits=none, dust=none)
    guest_jobs.plan({"metrics_export": 60.0, "persist": 30.0}, 5.0)
    return plan.intervals_s


def job(name: str, interval_s: float) -> Job:
    return Job(name, interval_s, lambda portfolio, market, last: JobAnswer())


@pytest.mark.parametrize("scale", [1.0, 120.0, 0.5])
def test_r5_a_job_of_a_setting_runs_by_the_wall_and_a_guests_own_by_the_market(scale):
    found = planned(scale, job("metrics_export", 7.0), job("look", 10.0), job("eager", 0.1))
    assert found == {"guest.metrics_export": 60.0 * scale, "guest.look": 10.0, "guest.eager": 5.0}


def test_r5_no_job_runs_more_often_than_rows_close():
    assert planned(0.01, job("metrics_export", 7.0)) == {"guest.metrics_export": 5.0}
