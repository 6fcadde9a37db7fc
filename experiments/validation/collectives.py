"""Collectives of NCCL on A100s beside what others measured: `python -m edgewright.experiments.validation.collectives FILE`.

FILE is a table of measurements in the format of the others (`net_collectives_nccl.csv`): rows of aiconfigurator (NCCL 2.27.3, one NVSwitch
node of 8) and of Vidur's profiles (one to two nodes over a network; pairs joined by NVLink bridges). Each row is predicted from links of
the catalogue, NCCL's own choice of algorithm and protocol, and the costs of `hwmodels.collective_library`, one set for each (system,
library), found by least squares of the logarithms. Printed, and with `--update` written to `collectives.csv`: the median and the 90th
percentile of |ln(predicted / measured)| by system, kind and number of devices, in the sample, and out of it in two ways: for sizes of an
octave none of which the fit has seen, and for a number of devices that it has not seen (where another is there).

    --costs    print the costs of each system too

What is assumed: a node of Vidur's DGX A100 shares four 200 Gbit/s ports (its 16-device rows reach four times what one pair does, and not
eight times), and nodes with pairs of A100s are joined by 100 Gbit/s Ethernet. Neither is stated by the source.

Where it is wrong, and why: `dgx` with 4 devices (two nodes of two) was measured at two rates, 4.0 GB/s below 8 MB and above 17 MB and
7.0 GB/s between, those of one port and of two: which devices a run was given is not in the rows, and both are predicted as two ports.
With 16 the rows double their rate at 14 MB likewise. `bridged` send and receive fall from 8 to 2 GB/s above 5 MB, and scatter by a factor
of two: a network under other load. An all-to-all ramps up over more sizes than a start and a rate say (NCCL adds channels with size).
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import log2
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from edgewright.experiments.cli_output import print_table
from edgewright.hwmodels import catalog
from edgewright.hwmodels.collective_library import Fabric, cost_terms

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["TABLE", "Group", "Measured", "errors", "fabric_of", "fitted_costs", "main", "measured_call", "read_measured"]

TABLE = Path(__file__).with_name("collectives.csv")
"""The committed errors."""

_ELEMENT = 2
_FIRST_COSTS: Mapping[str, float] = {"base": 8e-6, "start": 3e-5, "pair": 2e-6, "net.hop": 2e-5}


class Measured(NamedTuple):
    """One measured call.

    Attributes:
        system: where, and by which library.
        kind: one of `collective_library.KINDS`.
        ranks: devices; `per_node` of them in each node.
        nbytes: of the whole buffer.
        seconds: of the call.
    """

    system: str
    kind: str
    ranks: int
    per_node: int
    nbytes: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Group:
    """Errors of one kind of collective on one system: |ln(predicted / measured)|, median and 90th percentile.

    Attributes:
        system, kind, ranks: which; kind `all` and 0 ranks are all rows of the system.
        rows: how many there are.
        fit: in the sample.
        sizes, ranks_unseen: of octaves and of numbers of devices that the fit has not seen; None where costs are missing then.
    """

    system: str
    kind: str
    ranks: int
    rows: int
    fit: tuple[float, float]
    sizes: tuple[float, float] | None
    ranks_unseen: tuple[float, float] | None


def read_measured(path: Path) -> list[Measured]:
    """The rows of a table; raises `ValueError` for one whose size nobody can read."""
    with path.open(encoding="utf-8", newline="") as file:
        return [measured_call(row) for row in csv.DictReader(file)]


def measured_call(row: Mapping[str, str]) -> Measured:
    """The call that a row is about; raises `ValueError` where it does not say the size."""
    ranks, seconds, notes = int(row["threads_or_gpus"]), float(row["value"]) * 1e-3, row["notes"]
    elements, nbytes = re.search(r"message_size=(\d+)", notes), re.search(r"(?<!message_)size=(\d+)", notes)
    if elements is not None:
        return Measured("nvswitch, NCCL 2.27.3", row["model"], ranks, ranks, float(elements[1]) * _ELEMENT, seconds)
    per_node = re.search(r"devices_per_node=(\d+)", notes)
    if nbytes is None or per_node is None:
        raise ValueError(f"no size in {notes!r}; accepted are message_size=N, or size=N with devices_per_node=M")
    system = "bridged pairs, Vidur" if "pairwise" in row["source"] else "dgx, Vidur"
    return Measured(system, row["model"], ranks, min(int(per_node[1]), ranks), float(nbytes[1]), seconds)


def fabric_of(row: Measured) -> Fabric:
    """What joined the devices of a row: links of the catalogue, and for what NCCL takes them (20 GB/s per NVLink 3, of which there are 12;
    24 GB/s for PCIe 4.0 x16)."""
    nvlink, pcie = catalog.link("nvlink3").bandwidth, catalog.link("pcie_gen4_x16").bandwidth
    if row.system.startswith("bridged"):
        ethernet = catalog.link("eth_100g").bandwidth
        return Fabric("pci", pcie, 24e9, ethernet) if row.per_node > 2 else Fabric("nvlink", nvlink, 240e9, ethernet)
    between = catalog.link("ib_hdr").bandwidth if row.system.startswith("dgx") else 0.0
    return Fabric("nvlink", nvlink, 240e9, between, ports=4)


def fitted_costs(rows: Sequence[Measured]) -> dict[str, float]:
    """The costs, none below zero, that predict these rows of one system best: least squares of logarithms, outliers counted linearly."""
    import numpy as np
    from scipy.optimize import least_squares

    terms = [cost_terms(row.kind, row.ranks, row.per_node, row.nbytes, fabric_of(row)) for row in rows]
    names = sorted({name for each in terms for name in each})
    amounts = np.array([[each.get(name, 0.0) for name in names] for each in terms])
    measured = np.log([row.seconds for row in rows])

    def residuals(logs: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(np.log(amounts @ np.exp(logs)) - measured)

    start = [np.log(_FIRST_COSTS.get(name, 1e-6 if name.startswith("hop") else 2.0)) for name in names]
    least = [0.0 if name.startswith("wire") else -30.0 for name in names]  # no wire is faster than itself
    found = least_squares(residuals, np.maximum(start, 0.1 + np.array(least)), bounds=(least, 5.0), loss="soft_l1", f_scale=0.1)
    return dict(zip(names, map(float, np.exp(found.x)), strict=True))


def errors(rows: Sequence[Measured]) -> list[Group]:
    """The errors of every group, system by system."""
    found: list[Group] = []
    for system in sorted({row.system for row in rows}):
        own = [row for row in rows if row.system == system]
        inside = _apart(own, fitted_costs(own))
        sizes = _left_out(own, lambda row: round(log2(row.nbytes)))
        ranks = _left_out(own, lambda row: row.ranks)
        groups = [(kind, count) for kind, count in sorted({(row.kind, row.ranks) for row in own})]
        for kind, count in [*groups, ("all", 0)]:
            places = [place for place, row in enumerate(own) if kind == "all" or (row.kind, row.ranks) == (kind, count)]
            fit, unseen, others = (_quantiles([each[place] for place in places]) for each in (inside, sizes, ranks))
            assert fit is not None, "what the fit has seen has costs"
            found.append(Group(system, kind, count, len(places), fit, unseen, others))
    return found


def _left_out(rows: Sequence[Measured], fold: Callable[[Measured], int]) -> list[float | None]:
    """Errors of each row by costs that were fitted without its fold; None where those lack a cost that the row takes."""
    found: dict[int, list[float | None]] = {}
    for each in sorted({fold(row) for row in rows}):
        kept = [row for row in rows if fold(row) != each]
        found[each] = _apart([row for row in rows if fold(row) == each], fitted_costs(kept)) if kept else [None] * len(rows)
    places = {each: iter(errors) for each, errors in found.items()}
    return [next(places[fold(row)]) for row in rows]


def _apart(rows: Iterable[Measured], costs: Mapping[str, float]) -> list[float | None]:
    import numpy as np

    found: list[float | None] = []
    for row in rows:
        terms = cost_terms(row.kind, row.ranks, row.per_node, row.nbytes, fabric_of(row))
        known = terms.keys() <= costs.keys()
        found.append(abs(float(np.log(sum(costs[name] * amount for name, amount in terms.items()) / row.seconds))) if known else None)
    return found


def _quantiles(found: Sequence[float | None]) -> tuple[float, float] | None:
    """Median and 90th percentile of what is known; None if nothing is."""
    import numpy as np

    known = [error for error in found if error is not None]
    if not known:
        return None
    return float(np.median(known)), float(np.quantile(known, 0.9))


_COLUMNS = ("system", "kind", "devices", "rows", "median", "p90", "median_size", "p90_size", "median_devices", "p90_devices")


def _cells(group: Group) -> list[str]:
    pairs = (group.fit, group.sizes, group.ranks_unseen)
    figures = [f"{figure:.3f}" if pair else "unavailable" for pair in pairs for figure in (pair or (0.0, 0.0))]
    return [group.system, group.kind, str(group.ranks or "all"), str(group.rows), *figures]


@click.command(help=__doc__.split("\n")[0])
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--update", is_flag=True, help=f"Rewrite {TABLE.name}.")
@click.option("--costs", is_flag=True, help="Print the costs of each system.")
def main(file: Path, update: bool, costs: bool) -> None:
    """Print how far predictions are from the rows of a file."""
    rows = read_measured(file)
    table = [_cells(group) for group in errors(rows)]
    print_table(_COLUMNS, table)
    for system in sorted({row.system for row in rows}) if costs else ():
        found = fitted_costs([row for row in rows if row.system == system])
        print_table(("cost", system), [[name, f"{cost:.3g}"] for name, cost in found.items()])
    if update:
        with TABLE.open("w", encoding="utf-8", newline="") as out:
            csv.writer(out, lineterminator="\n").writerows([_COLUMNS, *table])


if __name__ == "__main__":
    main()
