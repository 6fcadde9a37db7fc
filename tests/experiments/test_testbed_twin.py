"""What the simulator is told of the testbed, and the committed comparison: today's simulator gives the figures that stand there."""

import pytest

from edgewright.experiments.testbed.cases import Exits, all_cases, shares_of, stack
from edgewright.experiments.testbed.compare import compare, summary
from edgewright.experiments.testbed.records import Figure, KernelTime, Records, load_records, save_records
from edgewright.experiments.testbed.report import README, document
from edgewright.experiments.testbed.twin import EFFICIENCY, Network, cluster_of, run_steps
from edgewright.policies.plan import Collective, Mark, Transfer, seq
from edgewright.workloads import Step


def seconds(plan, rate, latency, message, hosts=3):
    cluster = cluster_of({f"host{rank}": 1.0 for rank in range(hosts)}, rate, latency, Network(message))
    return run_steps(plan, cluster, Step(), 1, 1, None)


def test_a_packet_of_9000_bytes_carries_8948_in_9014():
    """IP and TCP take 52 of the 9000, Ethernet 14 more."""
    assert pytest.approx(8948 / 9014) == EFFICIENCY


def test_a_transfer_is_its_latency_its_message_and_its_bytes():
    """8948 B at 9014 B/s of wire: 1 s; besides 0.5 s of latency, 0.25 s of message, and (28 + 33) B of framing and headers."""
    plan = seq(Transfer("host0", "host1", 8948.0), Mark())
    assert seconds(plan, 9014 * 8, 0.5, 0.25) == pytest.approx(1.75 + 61 / 9014)


def test_messages_queue_at_the_root_of_a_star():
    """Two of 8948 B come in at once and two go out: 2 s each way."""
    plan = seq(Collective("allreduce", ("host0", "host1", "host2"), 8948.0, "star"), Mark())
    assert seconds(plan, 9014 * 8, 0.0, 0.0) == pytest.approx(4.0 + 2 * 61 / 9014)


def test_shares_leave_room_for_the_switch():
    assert all(sum(shares_of(hosts)) <= 1.45 for hosts in range(2, 6))


def test_the_stack_divides_over_up_to_five_hosts():
    """Two products of 256 x 240: 4 * 256 * 240 operations a row."""
    model = stack(2, 240)
    assert all(block.shardable(hosts) for block in model.blocks for hosts in range(2, 6))
    assert sum(model.infer(3).flops.values()) == 2 * 4 * 256 * 240 * 3


def test_exits_are_a_function_of_the_token():
    exits = Exits(0.5)
    assert [exits(f"exit {n}") for n in range(12)] == [exits(f"exit {n}") for n in range(12)]
    assert {exits(f"exit {n}") for n in range(12)} == {True, False}
    assert not Exits(0.0)("exit 3")


def test_cases_have_names_of_their_own():
    names = [case.name for case in all_cases()]
    assert len(names) == len(set(names)) >= 40


def test_records_come_back_as_they_were(tmp_path):
    path = tmp_path / "measured.json"
    assert load_records(path) == Records()
    figure = Figure(1.5, 1.0, 2.0, 15, ("a doubt",), 1.25)
    kept = Records({"cores": "2"}, {"4": figure}, {"2": figure}, {"k": KernelTime(0.5, "1 x gemv 2x3", 12.0, 0.1, 25)}, {"case": figure})
    save_records(kept, path)
    assert load_records(path) == kept
    assert [each.name for each in tmp_path.iterdir()] == ["measured.json"]


@pytest.fixture(scope="module")
def committed():
    """The committed records and the comparison that today's simulator makes of them."""
    records = load_records()
    return records, compare(all_cases(), records)


def test_every_case_is_measured(committed):
    assert {row.case.name for row in committed[1]} == {case.name for case in all_cases()} == set(committed[0].cases)


def test_the_simulator_still_says_what_the_table_says(committed):
    records, rows = committed
    moved = {row.case.name: (records.cases[row.case.name].simulated, row.simulated) for row in rows}
    assert {name: pair for name, pair in moved.items() if pair[0] != pytest.approx(pair[1], rel=1e-9)} == {}


def test_the_document_is_that_of_the_committed_measurements(committed):
    assert README.read_text(encoding="utf-8") == document(committed[1], committed[0])


def test_the_errors_are_within_what_was_asked(committed):
    """Medians of 5 and 10 %, none above 25 %; star and ring in the right order everywhere."""
    from statistics import median

    rows = committed[1]
    assert median(abs(row.error) for row in rows if row.dominated) <= 0.05
    assert median(abs(row.error) for row in rows) <= 0.10
    assert max(abs(row.error) for row in rows) <= 0.25
    right, count = summary(rows)[-1].split(": ")[1].split(" pairs")[0].split(" of ")
    assert right == count
