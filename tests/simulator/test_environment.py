"""The time that is read from a slot is the time of SimPy's loop."""

from edgewright.simulator.environment import Environment


def test_now_is_the_time_of_the_event_under_way():
    env, seen = Environment(2.0), []
    for seconds in (3.0, 1.5):
        env.timeout(seconds).callbacks.append(lambda event: seen.append(event.env.now))
    assert env.now == 2.0
    env.run(until=4.0)
    assert (env.now, seen) == (4.0, [3.5])
    env.run()
    assert (env.now, seen) == (5.0, [3.5, 5.0])
