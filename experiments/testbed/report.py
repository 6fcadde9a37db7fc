"""The comparison as a document: `README.md` and its picture, written by the command and committed with the measurements."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edgewright.experiments.cli_output import quantity
from edgewright.experiments.testbed.compare import Compared, summary
from edgewright.experiments.testbed.records import Records

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["PICTURE", "README", "document", "draw"]

README = Path(__file__).with_name("README.md")
"""The committed document."""
PICTURE = Path(__file__).with_name("errors.svg")
"""The committed picture."""
SWEEP = "star against ring over latency"

_HEAD = """# A real network to check against

Host processes in network namespaces run the plans that the simulator predicts: real kernels, real bytes over real sockets, links shaped by
`tc tbf` (rate) and a switch in user space (latency). This file and `errors.svg` are written by

    python -m edgewright.experiments.testbed --measure    # root and iproute2; what is measured already stays, see --again
    python -m edgewright.experiments.testbed --write      # from the committed measurements (`measured.json`)

"""

_HOW = """## How it is done

- **Hosts** are processes, each in a network namespace of its own that ends with it, however it ends. Full mesh of TCP connections, MTU
  9000, `TCP_NODELAY`, windows open from the start (`namespaces.py`, `mesh.py`). Messages that a host sends at once leave by turns, as fair
  queueing would send them; messages to one host follow each other.
- **Links**: a token bucket on every host's interface holds the queue in the kernel; the switch adds the time a frame takes to pass, the
  latency, and the queue of the receiver's port (`wire.py`). Links are full duplex, the switch is cut-through, nothing is lost. One wire for
  all kernels: netem is not used where there is one.
- **Processors**: all hosts share the cores. A host of share s is paced: after each kernel call its engine sleeps until the time it had on a
  core is s of the time (`engine.py`). The shares of a case sum up to 1.4 at most; the rest is for sockets and the switch, which is
  real-time scheduled. A process of the idle class keeps every core awake, and shows how much others took meanwhile.
- **The simulator** is told what `twin.py` lists, no more. Nothing is fitted to the runs.
- A figure is the median of 15 runs after 2, with its 95 % confidence interval. A doubt (a wide interval, time taken by others) stands in
  the table, and the next `--measure` tries the case again.

## What this says of the simulator, and what not

- All hosts share two cores, so that messages of several hosts at once wait for each other's system calls (first table below). The simulator
  is told that cost for each number of hosts, measured unshaped. It is too high where only some of them talk (a star), too low where kernels
  run meanwhile; on hosts with processors of their own it would not depend on their number.
- Small messages of a star's broadcast that leave one after another, not by turns, let the first receiver go on while the last still waits.
  In a trial of that (4 hosts, 16 KB, 100 Mbit/s, 0.5 ms) the simulator, whose collectives end for all at once, was 25 % too slow.
- The MTU rule of links (messages of one packet are no flows) is off in the twin: it would let messages that meet at a star's root cross
  side by side.
- Concurrent transfers of the simulator share a link; over one connection they follow each other. The pipelines here say so in their plan
  (each transfer after that of the step before); without it the simulator was 64 % too slow on the one at 20 Mbit/s.
- Acknowledgements (0.4 % of a link that data crosses both ways), the additions of reductions and what a byte costs a processor are left
  out.
- No packet is lost, no rate changes, no other traffic: Wi-Fi is not in this.
"""


def document(rows: Sequence[Compared], records: Records) -> str:
    """The README, in full."""
    machine = ", ".join(f"{topic}: {words}" for topic, words in records.machine.items())
    lines = [_HEAD, "## Errors\n\n", *(f"- {line}\n" for line in summary(rows)), f"\nMeasured on: {machine}.\n\n![errors](errors.svg)\n\n"]
    for group in dict.fromkeys(row.case.group for row in rows):
        lines += [f"### {group.capitalize()}\n\n", *_table([row for row in rows if row.case.group == group]), "\n"]
    return "".join([*lines, _HOW, "\n", *_inputs(records)])


def _table(rows: Iterable[Compared]) -> list[str]:
    found = ["| case | measured | interval | simulated | error | computing | doubts |\n| --- | --- | --- | --- | --- | --- | --- |\n"]
    for row in rows:
        interval = f"{quantity(row.low, 's')} to {quantity(row.high, 's')}"
        figures = [quantity(row.measured, "s"), interval, quantity(row.simulated, "s"), f"{row.error:+.1%}", f"{row.computing:.0%}"]
        found.append("| " + " | ".join([row.case.name, *figures, "; ".join(row.reasons)]) + " |\n")
    return found


def _inputs(records: Records) -> list[str]:
    """What was measured apart from the cases."""
    lines = ["## What the simulator was told\n\n| hosts talking at once | a message besides its wire | doubts |\n| --- | --- | --- |\n"]
    lines += [f"| {hosts} | {quantity(each.seconds, 's')} | {'; '.join(each.reasons)} |\n" for hosts, each in records.messages.items()]
    lines += ["\n| round trip of (not told) | seconds |\n| --- | --- |\n"]
    lines += [f"| {nbytes} B | {quantity(each.seconds, 's')} |\n" for nbytes, each in records.round_trips.items()]
    lines += ["\n| kernels alone, at a share | seconds | rate | doubts |\n| --- | --- | --- | --- |\n"]
    for key, each in records.kernels.items():
        figures = key, quantity(each.seconds, "s"), quantity(each.flops / each.seconds, "FLOP/s"), "; ".join(each.reasons)
        lines.append(f"| {' | '.join(figures)} |\n")
    return lines


def draw(rows: Sequence[Compared], path: Path = PICTURE) -> None:
    """Measured against simulated, and star against ring over latency, as SVG (matplotlib, extra `plots`)."""
    from edgewright.simulator.plots import picture_style

    with picture_style():
        from matplotlib.figure import Figure

        figure = Figure(figsize=(10.0, 4.2), layout="constrained")
        left, right = figure.subplots(1, 2)
        _scatter(left, rows)
        _sweep(right, [row for row in rows if row.case.group == SWEEP])
        figure.savefig(path, metadata={"Date": None})


def _scatter(axes: Axes, rows: Sequence[Compared]) -> None:
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    for group in dict.fromkeys(row.case.group for row in rows):
        mine = [row for row in rows if row.case.group == group]
        axes.loglog([row.measured * 1e3 for row in mine], [row.simulated * 1e3 for row in mine], "o", markersize=4, label=group)
    ends = [1e3 * min(row.measured for row in rows), 1e3 * max(row.measured for row in rows)]
    axes.plot(ends, ends, color="black", linewidth=0.8)
    for factor in (0.9, 1.1):
        axes.plot(ends, [factor * each for each in ends], color="grey", linewidth=0.6, linestyle=":")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("measured, ms")
    axes.set_ylabel("simulated, ms (dotted: 10 % off)")
    axes.legend(fontsize=7)


def _sweep(axes: Axes, rows: Sequence[Compared]) -> None:
    from edgewright.simulator.plots import PALETTE

    for algorithm, colour in zip(("star", "ring"), PALETTE, strict=False):
        mine = [row for row in rows if f", {algorithm}," in row.case.name]
        latency = [row.case.latency * 1e3 for row in mine]
        axes.plot(latency, [row.simulated * 1e3 for row in mine], "-", color=colour, label=f"{algorithm}, simulated")
        axes.plot(latency, [row.measured * 1e3 for row in mine], "o", color=colour, label=f"{algorithm}, measured")
    axes.set_xlabel("latency, ms (4 hosts, 16 KB, 100 Mbit/s)")
    axes.set_ylabel("two steps, ms")
    axes.legend(fontsize=7)
