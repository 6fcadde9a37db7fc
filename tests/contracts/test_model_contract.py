"""Every model of the zoo passes the suite; models broken in one way each fail the check of that promise."""

from dataclasses import dataclass, replace

import pytest

from edgewright.hwmodels import Term
from edgewright.workloads import zoo
from edgewright.workloads.conformance import MODEL, check_model
from edgewright.workloads.model import Block, Model
from edgewright.workloads.model_operators import Operator

SMALL = zoo.model("smollm-135m")


@pytest.mark.parametrize("name", zoo.names())
def test_models_of_the_zoo_conform(name):
    check_model(zoo.model(name))


@dataclass(frozen=True)
class Odd(Operator):
    """An operator with one weight, whose work and weights are what the test says."""

    kernel: str = "gemm"
    flops: float = 2.0
    fixed: float | None = None
    falling: bool = False
    cubed: bool = False
    split: bool = False

    @property
    def parameters(self):
        return 1

    @property
    def ways(self):
        return 2 if self.split else 1

    def weight_bytes(self, format, shards=1):
        return (format.weight_bits / 8 if self.fixed is None else self.fixed) / (8 if self.split and shards > 1 else 1)

    def terms(self, step, format, shards, layers):
        rows = len(layers) * (step.tokens**3 if self.cubed else step.tokens)
        work = self.flops * rows / (1 + step.full.context if self.falling else 1)
        return (Term(self.kernel, "fp32", work, weights=len(layers) * self.weight_bytes(format, shards)),)


def odd(*, blocks=2, cuts=(1,), **figures):
    """A model of equal blocks of one odd operator."""
    row = tuple(Block(f"b{index}", "ffn", index, (Odd(**figures),), 4.0) for index in range(blocks))
    return Model("odd", row, 4, 8, True, cuts)


@dataclass(frozen=True)
class Counted(Model):
    """A model that says another number of parameters than its blocks have."""

    parameters = 5


BROKEN = {
    "names": replace(SMALL, blocks=(SMALL.blocks[0], SMALL.blocks[0])),
    "names of inputs": replace(SMALL, blocks=(replace(SMALL.blocks[0], inputs=(3,)), *SMALL.blocks[1:])),
    "cuts": replace(SMALL, cuts=(2, 1)),
    "cuts beyond": odd(cuts=(2,)),
    "parameters": Counted("odd", odd().blocks, 4, 8, True, (1,)),
    "weights": odd(fixed=-1.0),
    "work": odd(flops=-1.0),
    "work of what": odd(kernel="magic"),
    "shards": odd(split=True),
    "more": odd(cubed=True),
    "many at once": odd(falling=True),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_promise_is_named(what):
    check = next(name for name in sorted(MODEL.checks, key=len, reverse=True) if what.startswith(name))
    with pytest.raises(AssertionError, match=rf"model '.*' fails \d+ of {len(MODEL.checks)} checks:(.|\n)*  {check}: "):
        check_model(BROKEN[what])


def test_a_plain_model_of_odd_operators_conforms():
    check_model(odd())
