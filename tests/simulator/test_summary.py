"""The figures of the summary, with the arithmetic visible. The bare run is measured from 10 s to 90 s: 80 s."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewright.simulator.summary import metrics
from edgewright.simulator.summary_quantiles import distribution, quantiles
from edgewright.simulator.summary_text import Grid, aligned, readable

REPLICA = {"replica": ["chat.0"], "service": ["chat"], "devices": ["d"], "kv_capacity_tokens": [64.0], "kv_capacity_bytes": [1024.0]}
REPLICA |= {"derivation": ["by hand"], "preemptions": [2], "evictions": [3], "expert_hits": [9], "expert_misses": [1]}
REPLICA |= {"prompt_tokens": [100], "hit_tokens": [25], "swapped_out_bytes": [8.0], "swapped_in_bytes": [4.0]}


def figures(result, scope="total", name=""):
    return {each.metric: each.value for each in metrics(result) if (each.scope, each.name) == (scope, name)}


def bins(edges, watts, domain="rack", budget=float("nan")):
    count, length = len(watts), np.diff(edges)
    table = {"domain": [domain] * count, "start_s": edges[:-1], "end_s": edges[1:], "joules": length * watts}
    return table | {"mean_W": watts, "peak_W": [watt + 5.0 for watt in watts], "budget_W": [budget] * count}


# -- quantiles ---------------------------------------------------------------------------------------------------------------------------


def test_quantiles_by_hand():
    values = np.array([4.0, 1.0, 3.0, 2.0, np.nan])
    assert quantiles(values, [0.25, 0.5, 0.75, 0.76, 1.0]) == [1.0, 2.0, 3.0, 4.0, 4.0]


def test_a_weight_is_so_many_equal_values():
    weighted = quantiles(np.array([1.0, 5.0]), [0.5, 0.9, 0.99], np.array([98, 2]))
    assert weighted == [1.0, 1.0, 5.0]
    assert weighted == quantiles(np.array([1.0] * 98 + [5.0] * 2), [0.5, 0.9, 0.99])


def test_no_values_have_no_quantile():
    assert math.isnan(quantiles(np.array([np.nan]), [0.5])[0])


@given(st.lists(st.tuples(st.integers(-50, 50), st.integers(0, 5)), min_size=1, max_size=40), st.floats(0.01, 1.0))
def test_a_quantile_is_the_least_value_that_reaches_its_level(pairs, level):
    repeated = np.repeat([float(value) for value, _ in pairs], [weight for _, weight in pairs])
    (found,) = quantiles(np.array([float(value) for value, _ in pairs]), [level], np.array([weight for _, weight in pairs]))
    if not len(repeated):
        assert math.isnan(found)
        return
    assert (repeated <= found).mean() >= level - 1e-9
    assert (repeated < found).mean() < level


def test_a_distribution_ends_at_one():
    values, shares = distribution(np.array([2.0, 1.0]), np.array([1, 3]))
    assert (values.tolist(), shares.tolist()) == ([1.0, 2.0], [0.75, 1.0])


# -- jobs --------------------------------------------------------------------------------------------------------------------------------


def test_only_jobs_that_arrived_in_the_window_are_measured(bare, jobs_of):
    found = figures(bare(jobs=jobs_of([{"arrival_s": 9.9}, {"arrival_s": 10.0, "first_token_s": 11.0}, {"arrival_s": 90.0}])))
    assert (found["jobs"], found["completed"], found["ttft_p99_s"]) == (1, 1, 1.0)


def test_statuses_are_counted_and_unfinished_jobs_have_no_end_to_end(bare, jobs_of):
    nan = float("nan")
    lost = {"status": "rejected", "scheduled_s": nan, "first_token_s": nan, "finished_s": 20.0, "output_tokens": 0}
    open_ = {"status": "in_flight", "finished_s": nan, "output_tokens": 1}
    found = figures(bare(jobs=jobs_of([{}, lost, open_, {"finished_s": 28.0}])))
    assert [found[status] for status in ("jobs", "completed", "rejected", "failed", "in_flight")] == [4, 2, 1, 0, 1]
    assert (found["e2e_p50_s"], found["e2e_p99_s"]) == (3.0, 8.0)


def test_goodput_counts_jobs_within_every_objective(bare, jobs_of):
    slow_start, slow_tokens = {"first_token_s": 26.0, "finished_s": 26.5}, {"finished_s": 29.0}
    short = {"output_tokens": 1, "finished_s": 22.0}  # no time per token: the objective is met
    found = figures(bare(slo={"chat": {"ttft_s": 2.0, "tpot_s": 1.0}}, jobs=jobs_of([{}, slow_start, slow_tokens, short])))
    assert found["slo_met"] == 2 / 4
    assert found["goodput_per_s"] == 2 / 80


def test_rejected_jobs_lower_the_fraction_within_objectives(bare, jobs_of):
    found = figures(bare(slo={"chat": {"ttft_s": 2.0}}, jobs=jobs_of([{}, {"status": "rejected", "output_tokens": 0}])))
    assert found["slo_met"] == 0.5


def test_without_objectives_goodput_is_unknown_not_zero(bare, jobs_of):
    found = figures(bare(jobs=jobs_of([{}])))
    assert math.isnan(found["goodput_per_s"])
    assert math.isnan(found["slo_met"])
    assert math.isnan(found["deadline_misses"])


def test_deadlines_count_among_the_jobs_that_have_one(bare, jobs_of):
    found = figures(bare(jobs=jobs_of([{"deadline_s": 22.5}, {"deadline_s": 23.5}, {"deadline_s": 23.0}, {}])))
    assert (found["deadline_misses"], found["deadline_miss_fraction"]) == (1, 1 / 3)
    assert found["slo_met"] == 2 / 3


def test_services_are_told_apart(bare, jobs_of):
    result = bare(jobs=jobs_of([{"first_token_s": 21.0}, {"service": "other", "first_token_s": 25.0, "finished_s": 26.0}]))
    assert figures(result, "service", "chat")["ttft_p50_s"] == 1.0
    assert figures(result, "service", "other")["ttft_p50_s"] == 5.0


def test_gaps_count_by_their_number(bare):
    found = figures(bare(itl={"service": ["chat", "chat"], "gap_s": [0.1, 0.7], "tokens": [95, 5]}))
    assert (found["itl_p50_s"], found["itl_p90_s"], found["itl_p99_s"]) == (0.1, 0.1, 0.7)


# -- throughput, power, resources --------------------------------------------------------------------------------------------------------


def steps(*rows):
    names = ("start_s", "end_s", "iterations", "decode", "prefill_tokens", "output_tokens")
    table = {name: [row[index] for row in rows] for index, name in enumerate(names)}
    return table | {"replica": ["chat.0"] * len(rows)} | {name: [0] * len(rows) for name in ("context_tokens", "waiting", "kv_blocks")}


def test_steps_that_straddle_the_window_count_in_proportion(bare):
    result = bare(steps=steps((0.0, 20.0, 10, 4, 0, 40), (50.0, 60.0, 1, 0, 100, 1), (95.0, 99.0, 9, 9, 9, 9)), replicas=REPLICA)
    for found in (figures(result), figures(result, "service", "chat")):
        assert found["tokens_per_s"] == (40 / 2 + 1) / 80
        assert found["prompt_tokens_per_s"] == 100 / 80
        assert found["mean_batch"] == 4  # the prefill alone decodes nothing


def test_power_is_weighted_by_time_in_the_window(bare):
    found = figures(bare(power=bins([0.0, 20.0, 90.0, 100.0], [10.0, 40.0, 999.0], budget=30.0)), "domain", "rack")
    assert found["energy_J"] == 10 * 10 + 70 * 40  # half of the first bin, none of the last
    assert found["mean_power_W"] == found["energy_J"] / 80
    assert found["peak_power_W"] == 45  # the bin at 999 W lies outside
    assert (found["budget_W"], found["over_budget"]) == (30.0, 70 / 80)


def test_domains_add_up_but_not_their_peaks(bare):
    one, two = bins([0.0, 100.0], [10.0]), bins([0.0, 100.0], [7.0], domain="shelf")
    found = figures(bare(power={name: [*one[name], *two[name]] for name in one}))
    assert found["mean_power_W"] == 17
    assert math.isnan(found["peak_power_W"])


def test_joules_per_token(bare):
    result = bare(power=bins([0.0, 100.0], [20.0]), steps=steps((10.0, 90.0, 10, 4, 0, 40)), replicas=REPLICA)
    assert figures(result)["joules_per_token"] == pytest.approx(20 * 80 / 40, rel=1e-12)


def test_without_samples_power_is_unknown(bare):
    found = figures(bare())
    assert all(math.isnan(found[name]) for name in ("energy_J", "mean_power_W", "joules_per_token"))


def test_a_domain_without_budget_is_not_over_it(bare):
    assert math.isnan(figures(bare(power=bins([0.0, 100.0], [10.0])), "domain", "rack")["over_budget"])


def test_utilisation_is_of_the_window(bare):
    usage = {"resource": ["l>"] * 3, "start_s": [0.0, 10.0, 50.0], "end_s": [10.0, 50.0, 90.0], "utilisation": [1.0, 0.2, 0.4]}
    row = {"resource": ["l>", "l<"], "kind": ["link"] * 2, "capacity": [1.0] * 2, "amount": [0.0] * 2, "busy_s": [0.0] * 2}
    result = bare(usage=usage, resources=row | {"utilisation": [0.34, 0.5]})
    found = figures(result, "resource", "l>")
    assert (found["utilisation"], found["peak_utilisation"], found["run_utilisation"]) == (pytest.approx(0.3), 0.4, 0.34)
    assert math.isnan(figures(result, "resource", "l<")["utilisation"])  # never sampled


def test_energy_parts_add_up(bare):
    energy = {"domain": ["rack"] * 3, "owner": ["a", "b", "a"], "part": ["idle", "idle", "dynamic"], "joules": [1.0, 2.0, 4.0]}
    found = figures(bare(energy=energy))
    assert (found["run_idle_J"], found["run_dynamic_J"]) == (3.0, 4.0)


def test_replicas_and_pools(bare):
    kv = {"replica": ["chat.0"] * 2, "time_s": [1.0, 2.0], "blocks": [2, 3], "capacity_blocks": [4, 4]}
    memory = {"pool": ["d.ram"] * 2, "allocation": ["chat.0 KV", "total"], "capacity_bytes": [10.0] * 2, "peak_bytes": [4.0, 7.0]}
    result = bare(replicas=REPLICA, kv=kv, memory=memory)
    found = figures(result, "replica", "chat.0")
    assert (found["peak_kv_occupancy"], found["expert_hit_rate"], found["kv_capacity_tokens"]) == (0.75, 0.9, 64)
    assert figures(result, "pool", "d.ram") == {"peak_B": 7.0, "capacity_B": 10.0}
    assert figures(result, "allocation", "d.ram chat.0 KV") == {"peak_B": 4.0}
    assert (figures(result)["preemptions"], figures(result)["kv_evictions"]) == (2, 3)
    assert (figures(result)["cache_hit_rate"], figures(result)["swapped_B"]) == (0.25, 12.0)


# -- texts -------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "unit", "said"),
    [
        (0.1825, "s", "182.5 ms"),
        (5000.0, "s", "5000 s"),
        (0.0, "s", "0 s"),
        (1500.0, "W", "1.5 kW"),
        (3 * 2**30, "B", "3 GiB"),
        (512.0, "B", "512 B"),
        (0.314159, "%", "31.4 %"),
        (7.0, "", "7"),
        (0.25, "1/s", "0.25"),
        (float("nan"), "s", "-"),
    ],
)
def test_readable(value, unit, said):
    assert readable(value, unit) == said


def test_aligned():
    assert aligned(Grid("T", ["name", "n"], [["a", "10"], ["long", "2"]])) == "T\n  name   n\n  a     10\n  long   2"


def test_the_text_has_every_section(made_up):
    text = made_up().summary_text()
    titles = (
        "Requests",
        "Latencies",
        "Throughput",
        "Power in the window",
        "Energy over the whole run",
        "Utilisation",
        "Memory",
        "Replicas",
    )
    assert [title for title in titles if f"\n{title}" not in text] == []
    assert "chat thinned to 0.31 of its arrivals" in text
    assert "0.90 × 59.6 GiB − weights 4.6 GiB" in text
    (row,) = [line.split() for line in text.splitlines() if line.startswith("  chat.0 ") and "weights" in line]
    assert row[4:6] == ["25", "%"]
    assert row[row.index("GiB") - 2 : row.index("GiB") + 2] == ["3", "2.794", "GiB", "12"]
    assert "Note: operations are those of the first 0.4 s" in text


def test_an_overload_run_says_so(made_up, bare):
    loud = type(made_up())(made_up().meta | {"overload": True, "clairvoyant": ["oracle"]}, {})
    assert "OVERLOAD RUN" in loud.summary_text()
    assert "clairvoyant: oracle" in loud.summary_text()
    assert "OVERLOAD" not in bare().summary_text()
