"""Engines that know no batches, and engines that pad: what a step computes besides."""

import pytest

BATCH = {"model": "smollm-135m", "format": "fp16", "replicas": [{"name": "r", "devices": ["pi0"]}]}


def served(boards, ask, outputs, **engine):
    """Seconds until every one of the jobs, asked at once with prompts of 8 tokens, has its tokens; and joules of the device."""
    simulation = boards(1, services={"chat": {**BATCH, "engine": engine}})
    jobs = [ask(simulation, index, 8, output) for index, output in enumerate(outputs)]
    simulation.run_until(600.0)
    assert [job.status for job in jobs] == ["completed"] * len(outputs)
    return [job.finished - job.first_token for job in jobs]


def test_instances_read_the_weights_again_each(boards, ask):
    """Decoding is bound by memory: four sequences side by side take as long as four of one, and a batch of four hardly longer than one."""
    (alone,) = served(boards, ask, [65])
    batch = served(boards, ask, [65] * 4)
    turns = served(boards, ask, [65] * 4, instances=True)
    assert turns == pytest.approx([4 * alone] * 4)
    assert max(batch) < 1.5 * alone


def test_one_sequence_is_the_same_either_way(boards, ask):
    assert served(boards, ask, [33], instances=True, padding=True) == served(boards, ask, [33])


def test_padding_computes_rows_that_have_ended_on(boards, ask):
    """Of two sequences, one of 5 tokens and one of 105: 4 steps of both, then 100 of one, or of one and the row of the other at its last
    context (8 + 4 tokens; the last token is not cached). That row costs what it would if it decoded there for ever."""
    _, without = served(boards, ask, [5, 105])
    _, padded = served(boards, ask, [5, 105], padding=True)
    both = max(served(boards, ask, [105, 105]))
    assert without < padded < both
