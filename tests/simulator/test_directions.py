"""What-ifs by one changed value of a scenario: results differ in the direction, and where theory gives it by the amount, that they should.

Every pair of runs is one scenario and one `override`, as the YAML would have it; no test reaches into a policy. Directions are strict
inequalities, and wide of noise because both runs have the same seed, so the same jobs. Amounts hold to 1e-9 where nothing but rounding
stands between theory and run, and elsewhere within a tolerance that the test explains.
"""

import numpy as np
import pytest

from edgewright.hwmodels import catalog
from edgewright.simulator import Scenario, simulate


def site(device, service, workload, *, link=None, count=None, replica=None, **tables):
    """Devices `d` (or `d0`, `d1`, ...) of one kind on a switch with `users`; one service `s` on all of them, one workload `w`."""
    group = {"device": device} | ({} if count is None else {"count": count})
    wire = {"bandwidth": "10 Gbit/s", "latency": 0} if link is None else link
    lan = [{"name": "lan", "between": ["switch", "d"], **wire}, {"name": "up", "between": ["users", "switch"], **wire}]
    return Scenario.of(
        {
            "name": "site",
            "seed": 5,
            "run": {"window": 30, "drain": "2 h"},
            "record": {"period": 1, "operations": 0},
            "cluster": {"devices": {"d": group}, "switches": ["switch"], "nodes": ["users"], "links": lan},
            "services": {"s": {"replicas": [{"name": "r", "devices": ["d"]} | (replica or {})], **service}},
            "workloads": {"w": {"service": "s", **workload}},
        }
        | tables
    )


def run(scenario, **changes):
    """The scenario with values of service `s` (`kv="full"`) or its replica (`r_residency="lru"`) changed."""
    keys = {name: name.replace("r_", "replicas.r.") if name.startswith("r_") else name for name in changes}
    return done(scenario.override({f"services.s.{keys[name]}": value for name, value in changes.items()}))


def done(scenario):
    result = simulate(scenario)
    assert set(result.tables["jobs"]["status"]) == {"completed"}
    return result


def at(*times):
    return {"process": "replay", "at": list(times)}


def tokens(prompt, output):
    return {"lengths": "joint", "prompt": {"shape": "fixed", "value": prompt}, "output": {"shape": "fixed", "value": output}}


def mean(result, column):
    return float(np.mean(result.tables["jobs"][column]))


CHAT = {"model": "llama-3.2-1b", "format": "fp16"}
SMALL = {"model": "pythia-160m", "format": "q8_0"}
BURST = {"arrivals": at(*[0.0] * 40), "lengths": tokens(400, 100)}
ONE = {"arrivals": at(0.0), "lengths": tokens(16, 17)}
"""One question of 16 tokens; its answer has 16 decode steps behind the first token."""


# -- kv ----------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kv", [{"policy": "sliding_window", "sinks": 4, "window": 96}, {"policy": "heavy_hitters", "budget": 0.25}])
def test_a_smaller_kv_budget_takes_less_memory_and_lets_more_jobs_in(kv):
    """40 questions of 400 + 100 tokens. With room for all, memory peaks at 40 x 500 tokens; the budget keeps 100 of each: a fifth.

    With room for 2000 tokens (of 32 KiB) at most five whole contexts run together, and twenty of 100 tokens; all are done earlier.
    """
    roomy = site("rtx4090", CHAT, BURST)
    assert held(run(roomy, kv=kv)) == pytest.approx(held(run(roomy)) / 5, rel=0.01)  # the last token of each is never cached
    tight = site("rtx4090", CHAT, BURST, replica={"kv_capacity": 2000 * 32 * 1024})
    full, few = run(tight), run(tight, kv=kv)
    assert (full.tables["queue"]["running"].max(), few.tables["queue"]["running"].max()) == (5, 20)
    assert few.tables["jobs"]["finished_s"].max() < full.tables["jobs"]["finished_s"].max()


def held(result):
    memory = result.tables["memory"]
    return memory["peak_bytes"][memory["allocation"] == "s.r KV"][0]


def test_a_quantised_cache_holds_twice_as_much_and_is_read_in_half_the_time():
    """At 8 bits for 16. Long contexts are bound by memory, so that seconds per step are affine in bits: 16 to 8 saves what 8 to 0 would."""
    scenario = site("rtx4090", CHAT, {"arrivals": at(0.0), "lengths": tokens(20_000, 9)}, replica={"kv_capacity": "2 GB"})
    found = {bits: run(scenario, kv={"policy": "quantised", "bits": bits}) for bits in (16, 8, 4)}
    capacity = {bits: result.tables["replicas"]["kv_capacity_tokens"][0] for bits, result in found.items()}
    assert capacity[8] == pytest.approx(2 * capacity[16], abs=1)
    assert capacity[4] == pytest.approx(4 * capacity[16], abs=3)
    step = {bits: mean(result, "tpot_s") for bits, result in found.items()}
    assert step[4] < step[8] < step[16] == pytest.approx(mean(run(scenario), "tpot_s"), rel=1e-9)
    assert step[16] - step[8] == pytest.approx(2 * (step[8] - step[4]), rel=1e-6)


# -- power -------------------------------------------------------------------------------------------------------------------------------


def test_a_lower_cap_lowers_the_peak_and_takes_longer():
    """Prompts are bound by arithmetic, which goes with the clock. Peaks of a second lie below the budget, which is never exceeded."""
    power = {"rack": {"devices": ["d"], "budget": "2 kW", "policy": "static_cap"}}
    scenario = site("rtx4090", CHAT, {"arrivals": {"process": "poisson", "rate": 20}, "lengths": tokens(1000, 2)}, power=power)
    budgets = (2000.0, 250.0, 150.0)
    runs = [done(scenario.override({"power.rack.budget": watts})) for watts in budgets]
    peaks = [run.tables["power"]["peak_W"][run.tables["power"]["domain"] == "rack"].max() for run in runs]
    assert peaks[0] > peaks[1] > peaks[2]
    assert all(peak <= watts for peak, watts in zip(peaks, budgets, strict=True))
    first, second, third = (mean(run, "e2e_s") for run in runs)
    assert first < second < third


# -- experts -----------------------------------------------------------------------------------------------------------------------------


def crossings(affinity):
    """Bytes over the devices' links, under experts dealt out in turn and experts placed by affinity (contexts everywhere in both)."""
    service = {"model": "mixtral-8x7b", "format": "w4a16", "experts_routing": {"affinity": affinity}}
    workload = {"arrivals": at(*[0.0] * 8), "lengths": tokens(32, 17)}
    scenario = site("rtx4090", service, workload, count=4, replica={"partitioning": {"policy": "data_parallel"}})
    runs = (run(scenario, r_experts={"policy": "round_robin", "coherent": True}), run(scenario, r_experts="affinity"))
    return [result.tables["resources"]["amount"][result.tables["resources"]["kind"] == "link"].sum() for result in runs]


def test_experts_that_follow_each_other_stay_on_one_device():
    """Affinity placement crosses devices less, the more so the more a layer's route says of the next; where it says nothing, not at all.

    (Nothing: within 2 %, what a placement fitted to a sample of 2000 tokens gains or loses by chance.)
    """
    saved = {affinity: 1 - after / before for affinity in (0.0, 0.6, 0.95) for before, after in [crossings(affinity)]}
    assert abs(saved[0.0]) < 0.02
    assert 0.05 < saved[0.6] < saved[0.95]


# -- links and devices -------------------------------------------------------------------------------------------------------------------


def test_half_the_uplink_doubles_the_way_of_a_frame():
    """1 MB at 100 Mbit/s: 80 ms, then 160 ms, and the board's network stack. Compute is the same; frames once a second never meet."""
    frames = {"entry": "users", "bytes": 1e6, "arrivals": {"process": "periodic", "period": 1}}
    scenario = site("jetson_agx_orin_64gb", {"model": "yolov8n", "format": "int8"}, frames)
    runs = [done(scenario.override({"cluster.links.up.bandwidth": rate})) for rate in ("100 Mbit/s", "50 Mbit/s")]
    carried = [mean(run, "queued_s") - mean(run, "arrival_s") for run in runs]
    stack = catalog.device("jetson_agx_orin_64gb").nic_seconds_per_message
    assert carried == pytest.approx([0.08 + stack, 0.16 + stack], rel=1e-9)
    assert mean(runs[1], "e2e_s") - mean(runs[0], "e2e_s") == pytest.approx(0.08, rel=0.01)  # and the result's 2 kB or so the way back
    busy = scenario.override({"workloads.w.arrivals": {"process": "poisson", "rate": 5}})
    full, half = (mean(done(busy.override({"cluster.links.up.bandwidth": rate})), "e2e_s") for rate in ("100 Mbit/s", "50 Mbit/s"))
    assert half > 2 * full  # flows meet more often, too


def test_one_device_more_queues_less():
    """The same jobs, 1 to 4 boards. From an overload of 1.6 on, each takes away some of the queue; the fourth finds hardly any."""
    workload = {"arrivals": {"process": "poisson", "rate": 2}, "lengths": tokens(32, 32)}
    queues = []
    for count in (1, 2, 3, 4):
        scenario = site("rpi5_8gb", SMALL | {"routing": "least_loaded", "engine": {"max_sequences": 1}}, workload, count=count)
        replicas = [{"name": "r", "each": "d"}]
        queues.append(mean(done(scenario.override({"services.s.replicas": replicas})), "queue_s"))
    assert queues == sorted(queues, reverse=True)
    assert len(set(queues)) == 4
    assert queues[3] < 0.02 * queues[0]


def tpot(latency, partitioning):
    link = {"bandwidth": "10 Gbit/s", "latency": latency, "mtu": "1 MB"}
    service = {"model": "tinyllama-1.1b", "format": "q8_0"}
    return mean(done(site("rpi5_8gb", service, ONE, link=link, count=2, replica={"partitioning": partitioning})), "tpot_s")


def test_many_small_all_reduces_lose_over_slow_links():
    """Tensor parallelism, where each board reads half of the weights, wins at 10 us and loses at 10 ms.

    Messages of one token are latency only. Per token the pipeline crosses the network twice (there and back), tensor parallelism by a
    star 89 times: one broadcast, and in and out for each of 22 attention and 22 feed-forward blocks. Each way is two links long.
    """
    star, pipe = {"policy": "tensor_parallel", "algorithm": "star"}, {"policy": "pipeline"}
    near, far = 10e-6, 10e-3
    assert tpot(near, star) < tpot(near, pipe)
    assert tpot(far, star) > tpot(far, pipe)
    assert tpot(far, star) - tpot(near, star) == pytest.approx(89 * 2 * (far - near), rel=1e-9)
    assert tpot(far, pipe) - tpot(near, pipe) == pytest.approx(2 * 2 * (far - near), rel=1e-9)


# -- batching and routing ----------------------------------------------------------------------------------------------------------------


def test_chunked_prefill_shortens_the_worst_gap_between_tokens():
    """An answer is under way when a prompt of 8000 tokens comes: whole, it stops the answer for as long as it takes; in chunks of 256,
    for a step of a chunk at most. The price is the newcomer's first token, which comes later."""
    recorded = {"lengths": "recorded", "rows": [[100, 600], [8000, 2]]}
    scenario = site("jetson_agx_orin_64gb", CHAT, {"arrivals": at(0.0, 1.0), "lengths": recorded})
    whole, chunks = run(scenario, batching="continuous"), run(scenario, batching={"policy": "chunked_prefill", "budget": 256})
    prefill = whole.tables["steps"]["prefill_tokens"] == 8000
    stop = (whole.tables["steps"]["end_s"] - whole.tables["steps"]["start_s"])[prefill].max()
    assert whole.tables["itl"]["gap_s"].max() >= stop
    assert chunks.tables["itl"]["gap_s"].max() < stop / 8  # 32 chunks, each with overheads of its own and the weights read anew
    assert chunks.tables["jobs"]["ttft_s"][1] > whole.tables["jobs"]["ttft_s"][1]


def test_iteration_level_batching_beats_whole_batches():
    """Continuous batching lets jobs in as others leave; a static batch waits for its longest member (Orca's comparison)."""
    recorded = {"lengths": "recorded", "rows": [[16, 8 if number % 4 else 200] for number in range(32)]}
    scenario = site("rpi5_8gb", SMALL | {"engine": {"max_sequences": 4}}, {"arrivals": at(*[0.0] * 32), "lengths": recorded})
    static, continuous = run(scenario, batching={"policy": "static", "size": 4}), run(scenario, batching="continuous")
    assert mean(continuous, "e2e_s") < mean(static, "e2e_s")


def test_a_router_that_knows_speeds_beats_one_that_counts():
    """A board and a card, equally idle: who counts jobs takes the first listed, the board; who predicts takes the card."""
    scenario = site("rpi5_8gb", SMALL, {"arrivals": {"process": "poisson", "rate": 1}, "lengths": tokens(200, 50)})
    uneven = scenario.override(
        {
            "cluster.devices.card": {"device": "rtx4090"},
            "cluster.links": [{"name": f"to-{name}", "link": "eth_1g", "between": [name, "switch"]} for name in ("d", "card", "users")],
            "services.s.replicas": [{"name": name, "devices": [name]} for name in ("d", "card")],
        }
    )
    counting, knowing = run(uneven, routing="least_loaded"), run(uneven, routing="predicted_latency")
    assert set(knowing.tables["jobs"]["replica"]) == {"s.card"}
    assert counting.tables["jobs"]["replica"][0] == "s.d"
    assert mean(knowing, "e2e_s") < mean(counting, "e2e_s") / 2


# -- residency ---------------------------------------------------------------------------------------------------------------------------


def seconds_read(result, loads):
    """Seconds of reading per pass, of 17: bytes at the storage's rate, and its latency for each of so many loads."""
    resources = result.tables["resources"]
    (row,) = np.flatnonzero(resources["resource"] == "d.ssd.read")
    return resources["amount"][row] / 17 / resources["capacity"][row] + loads * catalog.storage("nvme_gen3").latency


def test_weights_that_stream_beat_weights_on_demand():
    """Two thirds of the weights fit. On demand, all 26 blocks are read and computed in turn; `pinned` reads those that do not stay.

    A window keeps embedding and head and overlaps the other 24 blocks' reads with computes, of which reads take longer: a token takes as
    long as they do, to 2 % (of 17 passes of 24 blocks, up to 4 blocks are read ahead for a pass that never comes: 1 %).
    """
    scenario = site("rpi5_8gb", SMALL, ONE, replica={"weight_budget": "120 MB"})
    scenario = scenario.override({"cluster.devices.d.storage": {"ssd": "nvme_gen3"}})
    resident = mean(run(scenario, r_residency="all_resident", r_weight_budget="1 GB"), "tpot_s")
    lru, pinned = run(scenario, r_residency="lru"), run(scenario, r_residency="pinned")
    window = run(scenario, r_residency={"policy": "streaming_window", "window": 4})
    assert mean(lru, "tpot_s") == pytest.approx(resident + seconds_read(lru, 26), rel=1e-9)
    assert mean(window, "tpot_s") == pytest.approx(seconds_read(window, 24), rel=0.02)
    assert resident < mean(window, "tpot_s") < mean(pinned, "tpot_s") < mean(lru, "tpot_s")
