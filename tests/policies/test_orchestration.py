"""Orchestration scripts, driven by hand: whom they call, with what, and when they stop."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewright.policies.compile import compile_plan
from edgewright.policies.families import Outcome
from edgewright.policies.orchestration import Cascade, Composition, Disaggregated, EarlyExit, Speculative, SplitDecoding, call, result_of
from edgewright.policies.plan import Call, Delay, Transfer, Wait
from edgewright.workloads import Stream


@dataclass(frozen=True)
class View:
    """A job as an orchestrator sees it."""

    prompt: int
    id: int = 0
    service: str = "front"
    arrival: float = 0.0
    priority: int = 0
    deadline: float | None = None
    session: int | None = None


def drive(policy, *, prompt=100, output=10, reveals=None):
    """Run a script against services that do what they are asked: every call with its overrides, and the tokens that the job ended with."""
    script, calls, emitted = policy.serve(View(prompt)), [], 0
    draws = {name: iter(values) for name, values in (reveals or {}).items()}
    plan = next(script, None)
    while plan is not None:
        revealed = {}
        for op in compile_plan(plan).strands[0].ops:
            if isinstance(op, Call):
                job = dict(op.job)
                calls.append((op.service, job))
                generated = job.get("output", output - emitted)
                emitted = min(output, emitted + job.get("emits", generated))
            elif isinstance(op, Delay):
                revealed[op.reveals] = next(draws[op.reveals])
        revealed["call"] = {"replica": f"{calls[-1][0]}.r0" if calls else "", "done": emitted >= output}
        try:
            plan = script.send(Outcome(revealed, 0.0, 1.0))
        except StopIteration:
            plan = None
    return calls, emitted


def test_a_call_holds_only_what_is_said():
    """None is left to the calling job."""
    assert call("chat", output=0, emits=None) == Call("chat", (("output", 0),))
    assert result_of(Outcome({"call": {"done": True}}, 0.0, 1.0))["done"]


def test_disaggregation_hands_the_cache_over():
    """One token where the prompt is computed, the rest where its 100 cached tokens are carried to."""
    calls, emitted = drive(Disaggregated(prefill="p", decode="d"))
    assert calls == [("p", {"output": 1}), ("d", {"prefilled": 100, "kv_from": "p.r0"})]
    assert emitted == 10


def test_an_answer_of_one_token_is_not_handed_over():
    """The first token was the last."""
    assert drive(Disaggregated(prefill="p", decode="d"), output=1) == ([("p", {"output": 1})], 1)


def test_a_cascade_keeps_a_sure_answer():
    """Confidence 0.7 against 0.5."""
    policy = Cascade(small="s", big="b")
    assert drive(policy, reveals={"confidence": [0.7]}) == ([("s", {})], 10)


def test_a_cascade_asks_the_big_model_where_the_small_one_is_unsure():
    """The small answer is worth nothing then."""
    policy = Cascade(small="s", big="b", threshold=0.8)
    assert drive(policy, reveals={"confidence": [0.7]}) == ([("s", {"emits": 0}), ("b", {})], 10)


def test_speculation_round_by_round():
    """Prompt 100, 4 drafted: all computed; 1 token; 2 of 4 accepted (3 tokens, context 104); 4 of 4 (5 tokens, 109); 0 of 4 (1 token)."""
    calls, emitted = drive(Speculative(draft="d", target="t"), reveals={"accepted": [2, 4, 0]})
    assert calls == [
        ("d", {"output": 0, "emits": 0}),
        ("t", {"output": 1}),
        ("d", {"prompt": 101, "prefilled": 100, "output": 4, "emits": 0}),
        ("t", {"prompt": 105, "prefilled": 100, "output": 1, "emits": 3}),
        ("d", {"prompt": 104, "prefilled": 103, "output": 4, "emits": 0}),
        ("t", {"prompt": 108, "prefilled": 103, "output": 1, "emits": 5}),
        ("d", {"prompt": 109, "prefilled": 108, "output": 4, "emits": 0}),
        ("t", {"prompt": 113, "prefilled": 108, "output": 1, "emits": 1}),
    ]
    assert emitted == 10


@given(tokens=st.integers(1, 8), output=st.integers(1, 60), accepted=st.lists(st.integers(0, 12), min_size=60, max_size=60))
def test_speculation_yields_what_was_accepted_and_one_more(tokens, output, accepted):
    """Rounds stop when the tokens are there; each verifies one token more than were drafted; no more than were drafted count."""
    calls, emitted = drive(Speculative(draft="d", target="t", tokens=tokens), output=output, reveals={"accepted": accepted})
    verified = [job for service, job in calls if service == "t"][1:]
    assert emitted == output
    assert all(job["prompt"] - job["prefilled"] == tokens + 1 for job in verified)
    assert [job["emits"] for job in verified] == [min(each, tokens) + 1 for each in accepted[: len(verified)]]
    assert 1 + sum(job["emits"] for job in verified[:-1]) < output or not verified


WIRES = {"edge": "phone", "gateway": "dc", "state": 8.0}


def amounts(policy, exits, *, output, prompt=100):
    """Bytes of every transfer and counts of every wait, in order, of a script whose calls yield what they are worth."""
    script, found, emitted, draws = policy.serve(View(prompt)), [], 0, iter(exits)
    plan = next(script, None)
    while plan is not None:
        for op in compile_plan(plan).strands[0].ops:
            if isinstance(op, Transfer):
                found.append(("sent", op.nbytes))
            elif isinstance(op, Wait):
                found.append(("awaited", op.count))
            elif isinstance(op, Call):
                emitted += dict(op.job)["emits"]
        exit_ = next(draws, None) if isinstance(plan, Delay) else None
        try:
            plan = script.send(Outcome({"exit": exit_, "call": {"done": emitted >= output}}, 0.0, 1.0))
        except StopIteration:
            plan = None
    return found


def test_early_exit_token_by_token():
    """Exits 0, 1, 2, 0, 2: what an exit skipped is computed by the next token that goes so deep, at the edge and in the cloud."""
    calls, emitted = drive(EarlyExit(first="a", second="b", cloud="c", **WIRES), output=5, reveals={"exit": [0, 1, 2, 0, 2]})

    def one(service, prompt, prefilled, emits):
        return service, {"prompt": prompt, "prefilled": prefilled, "output": 1, "emits": emits}

    assert calls == [
        one("a", 100, 0, 1),
        *(one("a", 101, 100, 0), one("b", 101, 0, 1)),
        *(one("a", 102, 101, 0), one("b", 102, 101, 0), one("c", 102, 0, 1)),
        one("a", 103, 102, 1),
        *(one("a", 104, 103, 0), one("b", 104, 102, 0), one("c", 104, 102, 1)),
    ]
    assert emitted == 5


def test_every_hidden_state_goes_up_once_and_the_cloud_waits_for_all_of_them():
    """100 of the prompt, then one each, 8 B of it; the cloud is asked at the third token (102 states) and the fifth (2 more)."""
    found = amounts(EarlyExit(first="a", second="b", cloud="c", **WIRES), [0, 1, 2, 0, 2], output=5)
    sent = [("sent", nbytes) for nbytes in (800.0, 8.0, 8.0, 8.0, 8.0)]
    assert found == [*sent[:3], ("awaited", 102), *sent[3:], ("awaited", 2)]


def test_the_edge_alone_sends_nothing_and_takes_the_second_exit():
    calls, emitted = drive(EarlyExit(first="a", second="b", **WIRES), output=2, reveals={"exit": [2, 0]})
    assert ([service for service, _ in calls], emitted) == (["a", "b", "a"], 2)
    assert amounts(EarlyExit(first="a", second="b", **WIRES), [2, 0], output=2) == []


def test_the_naive_split_sends_the_whole_context_each_time():
    """8 B of 100, 101 and 102 positions, and the cloud computes all of them anew."""
    policy = SplitDecoding(first="a", cloud="c", **WIRES)
    assert amounts(policy, [], output=3) == [("sent", 800.0), ("sent", 808.0), ("sent", 816.0)]
    calls, _ = drive(policy, output=3)
    assert [job["prompt"] - job["prefilled"] for service, job in calls if service == "c"] == [100, 101, 102]


@pytest.mark.parametrize(
    ("policy", "services"),
    [
        (Disaggregated(prefill="a", decode="b"), ("a", "b")),
        (Cascade(small="a", big="b"), ("a", "b")),
        (Speculative(draft="a", target="b"), ("a", "b")),
        (EarlyExit(first="a", second="b", cloud="c", **WIRES), ("a", "b", "c")),
        (EarlyExit(first="a", second="b", **WIRES), ("a", "b")),
        (SplitDecoding(first="a", cloud="b", **WIRES), ("a", "b")),
    ],
)
def test_policies_say_whom_they_call(policy, services):
    """So that a scenario can be checked for services that are missing or call each other in a circle."""
    assert policy.services == services


@pytest.mark.parametrize(
    "wrong", [lambda: Cascade(small="a", big="b", threshold=1.5), lambda: Speculative(draft="a", target="b", tokens=0)]
)
def test_impossible_hyper_parameters_are_refused(wrong):
    """Named, with what is accepted."""
    with pytest.raises(ValueError, match="is not accepted; accepted are numbers"):
        wrong()


COMPOSITION = Composition(router="router", expert="expert", slots=2, model=1e9, source="store", target="gpu", prompts=4, tokens=5)


def switches(agent, experts):
    """How often a job of as many prompts copies an expert, by the script's own transfers."""
    script, copied, left = agent.serve(View(10)), 0, list(experts)
    plan = next(script, None)
    while plan is not None:
        ops = compile_plan(plan).strands[0].ops
        copied += sum(isinstance(op, Transfer) for op in ops)
        revealed = {"call": {"done": False}} if any(isinstance(op, Call) for op in ops) else {}
        if any(op.reveals == "expert" for op in ops):
            revealed["expert"] = left.pop(0)
        try:
            plan = script.send(Outcome(revealed, 0.0, 0.0))
        except StopIteration:
            plan = None
    return copied


def test_a_composition_copies_experts_that_are_not_there():
    """Two slots hold experts 0 and 1 at first: 0 and 1 are there, 7 takes the place of 0, and 1 is still there; then 0 takes that of 7."""
    agent = COMPOSITION.start("chat", Stream(0))
    assert switches(agent, [0, 1, 7, 1]) == 1
    assert switches(agent, [1, 7, 1, 0]) == 1
    assert switches(agent, [7, 7, 7, 7]) == 1


def test_a_composition_routes_all_prompts_and_answers_one_after_another():
    calls, _ = drive(COMPOSITION, output=20, reveals={"expert": [0, 0, 0, 0]})
    assert [service for service, _ in calls] == ["router"] * 4 + ["expert"] * 4
    assert [job.get("output") for _, job in calls[4:]] == [5, 5, 5, None]
