"""How fast the kernels are on this machine, beside their peers: `python -m edgewright.experiments.kernel_speed`.

Every figure comes out of the harness, on one core unless the table says two threads; peers (`kernel_peers.py`) are timed by it too, in the
same run. `--update` puts the tables into `kernels/README.md` in place of those of the last machine. Takes some four minutes; with titles
of tables as arguments only these are measured anew. Storage is that of the working directory.

How wrong: each row is one shape. A `*` marks figures that the harness does not trust (a wide interval, a neighbour, a canary that drifted).
"""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from types import MappingProxyType

from edgewright.experiments.kernel_peers import c_triad, ggml_gemv, numpy_matmul, onnx_runtime
from edgewright.experiments.operator_speed import operator_rows, storage_rows
from edgewright.hwmodels.kernel_work import kernel_work
from edgewright.kernels import Effort, Kernel, Sample, UnknownKernel, kernel, measure, native_status

__all__ = ["MARKS", "README", "Row", "machine_name", "main", "tables"]

README = Path(__file__).parents[1] / "kernels" / "README.md"
"""Where the tables are shown."""
MARKS = ("<!-- measured: begin -->", "<!-- measured: end -->")
"""The lines between which they stand."""
EFFORT = Effort(budget=0.4)
LEVELS = {"16 KiB": 2**14, "512 KiB": 2**19, "8 MiB": 2**23, "192 MiB": 3 * 2**26}
FORMATS = {"fp32": "gemm_packed", "fp16": "gemm_fp16", "bf16": "gemm_bf16", "int8": "gemm_int8", "q4_0": "gemm_q4_0"}


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table: cells before the figures, then the figures."""

    cells: tuple[str, ...]
    figures: tuple[str, ...]


def _timed(chosen: Kernel, shape: tuple[int, ...], dtype: str = "fp32", threads: int = 1) -> Sample:
    print(f"{chosen.name} {shape} {dtype} x{threads}", file=sys.stderr)
    return measure(chosen, shape, dtype, effort=EFFORT, threads=threads)


def _rate(amount: float, sample: Sample, digits: int = 1) -> str:
    """An amount per nanosecond (GB/s, Gop/s), marked where the sample is not trusted."""
    return f"{amount / sample.seconds / 1e9:.{digits}f}{'' if sample.trusted else '*'}"


def _forms(name: str) -> Iterator[tuple[str, Kernel]]:
    """A kernel in each of its forms; nothing for one that does not exist here."""
    try:
        chosen = kernel(name)
    except UnknownKernel:
        return
    for form, run in chosen.forms.items():
        yield form, replace(chosen, run=run)


def _streams() -> Iterator[Row]:
    """Bandwidth by working set, relative to the best C triad at that size."""
    for level, size in LEVELS.items():
        arrays, passes = {"read": 1, "triad": 3, "triad_past": 3}, max(1, 2**22 // size)
        best = max(size // 12 * 12 * passes / _timed(peer, (size // 12, passes)).seconds for peer in c_triad())
        for name, count in arrays.items():
            for form, chosen in _forms(name):
                n = size // 4 // count
                if name == "triad_past" and size < 2**27:
                    continue
                sample = _timed(chosen, (n, passes))
                moved = 4.0 * count * n * passes
                yield Row((level, name, form), (_rate(moved, sample), f"{moved / sample.seconds / best:.0%}"))
        if size >= 2**27:
            for name in ("copy", "copy_past"):
                for form, chosen in _forms(name):
                    sample = _timed(chosen, (size // 8,))
                    yield Row((level, name, form), (_rate(size, sample), f"{size / sample.seconds / best:.0%}"))


def _two_threads() -> Iterator[Row]:
    """What two threads get together, of what one gets alone: memory, and arithmetic."""
    for name, shape, unit in [("read", (3 * 2**24, 1), "GB/s"), ("triad_past", (2**24, 1), "GB/s")]:
        for _, chosen in list(_forms(name))[:1]:
            moved = sum(kernel_work(name, shape, "fp32").bytes.values())
            one, two = (_timed(chosen, shape, threads=threads) for threads in (1, 2))
            yield Row((f"{name}, 192 MiB each", unit), (_rate(float(moved), one), _rate(2.0 * float(moved), two)))
    for dtype in ("fp64", "fp32", "fp16", "bf16", "int8"):
        for _, chosen in list(_forms(f"peak_{dtype}"))[:1]:
            n = 768 * 20_000
            one, two = (_timed(chosen, (n,), dtype, threads) for threads in (1, 2))
            yield Row((f"peak {dtype}", "Gop/s"), (_rate(2.0 * n, one, 0), _rate(4.0 * n, two, 0)))


def _latency() -> Iterator[Row]:
    """Nanoseconds of a dependent read, of a gathered element, and of one in a stride of a line, by working set."""
    for level, size in LEVELS.items():
        chase = _timed(kernel("chase"), (size // 64, 50_000), "uint64")
        gather = _timed(kernel("gather"), (size // 4, 50_000))
        stride = _timed(kernel("strided"), (size // 4, 16))
        counts = (50_000, 50_000, size // 64)
        figures = (f"{s.seconds / n * 1e9:.2f}{'' if s.trusted else '*'}" for s, n in zip((chase, gather, stride), counts, strict=True))
        yield Row((level,), tuple(figures))


def _gemv() -> Iterator[Row]:
    """One row of activations, weights of each format, in cache and out of it."""
    for m, n in ((1024, 1024), (4096, 4096)):
        rows = [("gemv", "fp32"), *((f"gemv_{f}", f) for f in ("fp16", "bf16", "int8", "q4_0", "q2_0"))]
        rows += [("lut_gemv", f"int{bits}") for bits in (4, 3, 2, 1)]
        for name, dtype in rows:
            for form, chosen in list(_forms(name))[: 2 if m == 1024 else 1]:
                yield _product_row(chosen, form, (m, n), dtype)
        for peer in (*onnx_runtime(2), *ggml_gemv()):
            yield _product_row(peer, "peer", (m, n), peer.dtypes[0])


def _gemm() -> Iterator[Row]:
    """A square product, and few rows of activations."""
    for shape in ((512, 512, 512), (1024, 1024, 1024)):
        for peer in (numpy_matmul(), *onnx_runtime(3)):
            yield _product_row(peer, "peer", shape, peer.dtypes[0])
        for name, dtype in (("gemm", "fp32"), *((name, dtype) for dtype, name in FORMATS.items())):
            for form, chosen in list(_forms(name))[:1]:
                yield _product_row(chosen, form, shape, dtype)
    for dtype, name in FORMATS.items():
        for form, chosen in list(_forms(name))[:1]:
            for m in (1, 2, 4, 8, 16, 32, 64):
                yield _product_row(chosen, form, (m, 1024, 1024), dtype)


def _product_row(chosen: Kernel, form: str, shape: tuple[int, ...], dtype: str) -> Row:
    sample = _timed(chosen, shape, dtype)
    of = chosen.name if form != "peer" else {2: "gemv", 3: "gemm"}[len(shape)]
    work = kernel_work(of, shape, dtype)
    weights, operations = float(work.bytes["weights"]), float(sum(work.flops.values()))
    cells = (chosen.name, dtype, form, " x ".join(map(str, shape)))
    return Row(cells, (f"{sample.seconds * 1e6:.1f}", _rate(weights, sample), _rate(operations, sample, 0)))


def _operators() -> Iterator[Row]:
    """Attention, convolution, sparse products and what else is no dense product."""
    for *cells, micro, moved, operations in operator_rows(EFFORT):
        print(*cells, file=sys.stderr)
        yield Row(tuple(cells), (micro, moved, operations))


def _storage() -> Iterator[Row]:
    """Requests to the storage of the working directory."""
    for *cells, rate, requests, latency in storage_rows(Path.cwd()):
        print(*cells, file=sys.stderr)
        yield Row(tuple(cells), (rate, requests, latency))


TABLES: tuple[tuple[str, tuple[str, ...], Callable[[], Iterator[Row]]], ...] = (
    ("Streams", ("working set", "kernel", "form", "GB/s", "of the best C triad"), _streams),
    ("One thread and two", ("probe", "unit", "one", "two together"), _two_threads),
    ("Scattered access, ns each", ("working set", "chase", "gather", "stride of a line"), _latency),
    ("One row of activations", ("kernel", "format", "form", "m x n", "us", "GB/s of weights", "Gop/s"), _gemv),
    ("Several rows", ("kernel", "format", "form", "m x n x k", "us", "GB/s of weights", "Gop/s"), _gemm),
    ("Attention, convolution and the rest", ("kernel", "format", "shape", "us", "GB/s", "Gop/s"), _operators),
    ("Storage", ("requests", "block", "in flight", "way", "MB/s", "requests/s", "us each"), _storage),
)


def tables(kept: Mapping[str, str] = MappingProxyType({})) -> str:
    """The tables as Markdown: as they stand in `kept` (by title), else measured now."""
    parts = [kept.get(title) or _table(title, head, rows) for title, head, rows in TABLES]
    return "\n".join(parts)


def _table(title: str, head: tuple[str, ...], rows: Callable[[], Iterator[Row]]) -> str:
    lines = [
        f"### {title}",
        "",
        f"Measured {date.today().isoformat()} on {machine_name()}, {native_status().reason}. `*`: not trusted.",
        "",
    ]
    lines += [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    lines += [f"| {' | '.join((*row.cells, *row.figures))} |" for row in rows()]
    return "\n".join([*lines, ""])


def machine_name() -> str:
    """The processor by its name, family and model, and how many cores there are."""
    try:
        info = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        info = []
    fields = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in info)}
    name = fields.get("model name") or platform.processor() or platform.machine()
    family = f", family {fields['cpu family']} model {fields['model']}" if "cpu family" in fields else ""
    return f"{name} ({platform.machine()}{family}, {os.cpu_count()} cores)"


def main() -> int:
    """Print the tables, or put them into the README with `--update`; titles as arguments: measure these. Returns the exit status."""
    if os.environ.get("OPENBLAS_NUM_THREADS") != "1":  # read when NumPy is loaded
        module = ["-m", "edgewright.experiments.kernel_speed"]
        os.execve(sys.executable, [sys.executable, *module, *sys.argv[1:]], {**os.environ, "OPENBLAS_NUM_THREADS": "1"})
    named = [each for each in sys.argv[1:] if each != "--update"]
    unknown = [each for each in named if each not in [title for title, *_ in TABLES]]
    if unknown:
        print(f"no table {unknown[0]!r}: accepted are {', '.join(title for title, *_ in TABLES)}", file=sys.stderr)
        return 2
    before, _, rest = README.read_text().partition(MARKS[0])
    held, _, after = rest.partition(MARKS[1])
    sections = {section.partition("\n")[0]: f"### {section.rstrip()}\n" for section in held.split("### ")[1:]}
    made = tables({title: text for title, text in sections.items() if named and title not in named})
    if "--update" in sys.argv[1:]:
        README.write_text(f"{before}{MARKS[0]}\n\n{made}\n{MARKS[1]}{after}")
    else:
        print(made)
    return 0


if __name__ == "__main__":
    sys.exit(main())
