"""The paper's processors by the model: tokens per second and joules per token of either kernel at some threads."""

from __future__ import annotations

from dataclasses import dataclass, replace

from edgewright.hwmodels import Device, Price, Work, catalog, engine_static_W, price
from edgewright.hwmodels.efficiency import default_efficiency
from edgewright.hwmodels.software import core_share, software
from edgewright.workloads import Format, format_named, zoo
from edgewright.workloads.formats import lut_format

__all__ = ["BOARDS", "Board", "Kernel"]

CONTEXT = 48.0
"""Cached tokens in the middle of 64 generated ones behind a short prompt."""


@dataclass(frozen=True)
class Board:
    """A device of the catalogue, the cores that its peaks count."""

    device: str
    cores: int


BOARDS = {
    "m2": Board("apple_m2_ultra_gpu60", 16),
    "rpi": Board("rpi5_8gb", 4),
    "orin": Board("jetson_agx_orin_64gb", 12),
    "surface": Board("intel_surface_book3", 4),
    "laptop7": Board("sdxelite", 12),
}
"""M2 Ultra (its performance cores), Raspberry Pi 5, AGX Orin, Surface Book 3, Surface Laptop 7."""


@dataclass(frozen=True)
class Kernel:
    """How products are computed: `t-mac`, `llama.cpp`, or `llama.cpp-blas` (prompts).

    Attributes:
        engine: which.
        instructions: of a look-up (`formats.lut_format`).
    """

    engine: str
    instructions: float = 3.0

    def format(self, bits: int) -> Format:
        """What weights of that many bits are stored in; llama.cpp has no one bit, and takes its smallest for two and three."""
        if self.engine == "t-mac":
            return lut_format(bits, self.instructions)
        return format_named("q4_0" if bits == 4 else "q2_k")

    def device(self, board: Board, threads: int) -> Device:
        """The device as this software uses it.

        T-MAC runs inside llama.cpp: threads, launches and the share of the memory are llama.cpp's, the arithmetic is that of look-ups.
        """
        plain = catalog.device(board.device)
        if self.engine != "t-mac":
            return software(plain, "cpu", self.engine, threads, board.cores).device
        host = software(plain, "cpu", "llama.cpp", threads, board.cores).device
        cpu, own = host.engines["cpu"], plain.engines["cpu"]
        streaming = cpu.efficiency["gemv.int8"]
        looking_up = replace(streaming, compute=default_efficiency("cpu", "lut_gemv").compute)
        peaks = {**cpu.peaks, "int8": own.peaks["int8"] * core_share(threads, board.cores)}
        made = replace(cpu, peaks=peaks, efficiency={**cpu.efficiency, "lut_gemv": looking_up})
        return replace(host, engines={**host.engines, "cpu": made})

    def tokens(self, board: Board, model: str, bits: int, threads: int) -> float:
        """Tokens per second of decoding."""
        return 1.0 / float(self._decoded(board, model, bits, threads).seconds)

    def power(self, board: Board, model: str, bits: int, threads: int) -> float:
        """Watts while decoding: idle, the engine's static power by its share of cores, and what the operations cost."""
        device, found = self.device(board, threads), self._decoded(board, model, bits, threads)
        static = engine_static_W(device.engines["cpu"]) * threads / board.cores
        return device.idle_W + static + float(found.total_joules) / float(found.seconds)

    def joules(self, board: Board, model: str, bits: int, threads: int) -> float:
        """Joules per token."""
        return self.power(board, model, bits, threads) / self.tokens(board, model, bits, threads)

    def prefill(self, board: Board, model: str, bits: int, threads: int, tokens: int = 256) -> float:
        """Prompt tokens per second."""
        work = zoo.model(model).prefill(tokens, format=self.format(bits))
        return tokens / float(price(work, self.device(board, threads), "cpu").seconds)

    def product(self, board: Board, shape: tuple[int, int], bits: int, threads: int, rows: int = 1) -> float:
        """Seconds of one product of `rows` rows with a matrix of `(outputs, inputs)`."""
        format, (outputs, inputs) = self.format(bits), shape
        several = format.gemv if format.lookups is not None else "gemm"
        work = Work.of(
            format.gemv if rows == 1 else several,
            format.dtype,
            (2.0 if format.lookups is None else format.lookups) * rows * outputs * inputs,
            weights=outputs * inputs * format.weight_bits / 8,
            activations=rows * (outputs + inputs) * format.activation_bytes,
        )
        return float(price(work, self.device(board, threads), "cpu").seconds)

    def _decoded(self, board: Board, model: str, bits: int, threads: int) -> Price:
        return price(zoo.model(model).decode(1, CONTEXT, format=self.format(bits)), self.device(board, threads), "cpu")
