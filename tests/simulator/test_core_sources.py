"""Sources that wait for answers: a user who is refused leaves."""

import pytest

CLOSED = {"process": "closed", "users": 2}
SESSIONS = {"process": "sessions", "rate": "60 /min", "turns": 4, "think": "1 s"}


@pytest.mark.parametrize("arrivals", [CLOSED, SESSIONS])
def test_nothing_follows_a_rejection(boards, arrivals):
    """A cache of 17 blocks, 272 tokens, rejects prompts of 500 at once: each user asks once, no turn follows, and time goes on."""
    simulation = boards(1, {"kv_capacity": "6 MiB"}, arrivals, prompt=500)
    assert simulation.replicas["chat.only"].kv.capacity == 17
    requests = []
    simulation.machine.signals.submitted.subscribe(requests.append)
    simulation.run_until(5.0)
    jobs = simulation.recorder.tables(simulation.now)["jobs"]
    assert simulation.now == 5.0
    assert len(jobs["job"]) >= 2
    assert set(jobs["status"]) == {"rejected"}
    assert jobs["finished_s"].tolist() == jobs["arrival_s"].tolist()
    assert len(requests) == len(jobs["job"])
    assert {request.job.turn for request in requests} == {0}
    assert len({request.job.index for request in requests}) == len(requests)


def test_nothing_follows_a_failure(boards):
    """Prompts of 64 tokens and answers of 600 outgrow the cache: both users fail, one after the other, and neither comes back."""
    simulation = boards(1, {"kv_capacity": "6 MiB"}, CLOSED, output=600)
    simulation.run_until(60.0)
    assert simulation.recorder.over == {"failed": 2}
    assert simulation.drained


def test_users_who_are_served_come_back(boards):
    """The next question follows the answer at once: two jobs are in flight at any time, and more than 20 have been answered after 30 s."""
    simulation = boards(1, arrivals=CLOSED)
    simulation.run_until(30.0)
    assert len(simulation.recorder.open) == 2
    assert simulation.recorder.over["completed"] > 20
