"""Services over a network: calls and answers cross it; and what happens when a slot is full."""

import pytest

DRAFT = {"model": "smollm-135m", "format": "q8_0", "replicas": [{"name": "d", "devices": ["pi0"]}]}
TARGET = {"model": "smollm-360m", "format": "q8_0", "replicas": [{"name": "t", "devices": ["pi1"]}]}
CHAT = {
    "orchestration": {"policy": "speculative", "draft": "draft", "target": "target", "tokens": 4},
    "outcomes": {"accepted": {"outcome": "acceptance", "rate": 1.0, "drafted": 4}},
}
SPECULATIVE = {"draft": DRAFT, "target": TARGET, "chat": CHAT}
"""The draft on pi0, the target on pi1; every drafted token is accepted, so that a round is worth 5."""

TEXT = {"ingress_bytes": 64 * 4.0, "egress_bytes_per_token": 4.0}
FAR = {"lan1": {"latency": "500 ms"}}


def elapsed(request):
    return request.first_token - request.arrival, request.finished - request.arrival


def test_tokens_of_calls_travel_from_replica_to_replica(boards, ask):
    """64 tokens of 4 B to both, who compute them; the target adds the first token. Then twice: the last token (4 B) from the target to the
    draft, it and the 4 drafted ones (20 B) back, worth 5. The 11 tokens of the answer travel from the target to the user: 44 B."""
    simulation = boards(2, services=SPECULATIVE)
    job = ask(simulation, 0, 64, 11, entry="user", **TEXT)
    simulation.run_until(20.0)
    assert (job.status, job.generated) == ("completed", 11)
    sent = {name: traffic.sent for name, traffic in simulation.machine.traffic.items()}
    assert sent == pytest.approx({"lan>": 512, "lan0<": 256 + 8, "lan1<": 256 + 40, "lan1>": 8 + 44, "lan0>": 40, "lan<": 44})


def test_every_crossing_of_a_slow_link_counts(boards, ask):
    """To the target, twice from it to the draft and back, and the answer: 6 crossings until the last token, 2 until the first. A crossing
    takes half a second instead of the link's usual latency."""
    near, far = boards(2, services=SPECULATIVE), boards(2, services=SPECULATIVE, links=FAR)
    jobs = [ask(simulation, 0, 64, 11, entry="user", **TEXT) for simulation in (near, far)]
    for simulation in (near, far):
        simulation.run_until(20.0)
    usual = near.machine.cluster.connections[1].link.latency
    (first, last), (first_far, last_far) = map(elapsed, jobs)
    assert first_far - first == pytest.approx(2 * (0.5 - usual))
    assert last_far - last == pytest.approx(6 * (0.5 - usual))


def test_the_first_token_and_the_last_have_a_way_back(boards, ask):
    """The question takes its time to the board; and each token, at the board, one message of 4 B to the user."""
    simulation = boards(2, {"devices": ["pi1"]}, links=FAR)
    back = float(simulation.machine.cluster.transfer("pi1", "user", 4.0).alone(simulation.machine.cluster.capacities))
    assert back > 0.5
    near = ask(simulation, 0, 64, 8)
    simulation.run_until(5.0)
    far = ask(simulation, 1, 64, 8, entry="user", **TEXT)
    simulation.run_until(10.0)
    forth = float(simulation.machine.cluster.transfer("user", "pi1", 256.0).alone(simulation.machine.cluster.capacities))
    assert elapsed(far) == pytest.approx([each + forth + back for each in elapsed(near)])
    assert simulation.machine.traffic_of("lan<").sent == pytest.approx(8 * 4.0)


def test_answers_of_the_way_back_cost_energy(boards, ask):
    """All the messages of an answer are accounted, not the first alone."""
    simulation = boards(1)
    ask(simulation, 0, 64, 8, entry="user", **TEXT)
    simulation.run_until(10.0)
    cluster = simulation.machine.cluster
    spent = simulation.machine.joules()
    expected = cluster.transfer("user", "pi0", 256.0).joules["lan0"] + 8 * cluster.transfer("pi0", "user", 4.0).joules["lan0"]
    assert spent.get(("lan0", "dynamic"), 0.0) == pytest.approx(expected)


def test_a_job_that_fills_its_slot_fails(boards, ask):
    """Slots of 100 tokens: 64 of the prompt and 36 more are cached, the 37th token is the last. Its neighbour has its 37 tokens."""
    simulation = boards(1, engine={"preset": "llama.cpp", "slot_tokens": 100, "block_size": 1})
    jobs = [ask(simulation, number, 64, output) for number, output in enumerate((200, 37))]
    simulation.run_until(30.0)
    assert [(job.status, job.reason, job.generated) for job in jobs] == [
        ("failed", "its slot of 100 tokens is full", 37),
        ("completed", "", 37),
    ]
    assert simulation.replicas["chat.only"].kv.used == 0


def test_a_prompt_that_fills_a_slot_is_rejected(boards, ask):
    """There is no room for a token after 100; 99 leave room for the first, which needs none, and one more."""
    simulation = boards(1, engine={"preset": "llama.cpp", "slot_tokens": 100, "block_size": 1})
    jobs = [ask(simulation, number, prompt, 2) for number, prompt in enumerate((100, 99))]
    simulation.run_until(30.0)
    assert [(job.status, job.generated) for job in jobs] == [("rejected", 0), ("completed", 2)]
