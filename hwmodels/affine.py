"""Symbols in place of numbers: a formula that is asked with them says how its result depends on its variables.

Works of models are sums of products of sizes with counts of a step; asked once with `Affine` quantities, they give the coefficients with
which thousands of steps are priced as matrix products (`roofline_form`), instead of term by term.

A formula may look at its quantities only as models do: whether one is zero (`if rows`), and whether it is 1 (`rows == 1`). The answer is
that of the `example`, so what is traced holds for all points that answer alike; whoever traces keeps such cases apart. Any other
comparison, a product of two symbols, or turning one into a float raises `NotAffine`.
"""

from __future__ import annotations

from typing import Any

__all__ = ["Affine", "NotAffine"]


class NotAffine(TypeError):
    """A formula did to a symbol what the coefficients cannot follow."""


class Affine:
    """A constant plus multiples of variables.

    Attributes:
        coefficients: of the constant 1 first, then of each variable.
        example: its value at the example point, which answers comparisons.
    """

    __slots__ = ("coefficients", "example")
    __array_ufunc__ = None
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, coefficients: tuple[float, ...], example: float) -> None:
        self.coefficients = coefficients
        self.example = example

    @classmethod
    def variables(cls, examples: tuple[float, ...]) -> tuple[Affine, ...]:
        """One symbol per variable, with its value at the example point."""
        size = len(examples) + 1
        return tuple(
            cls(tuple(float(place == number) for place in range(size)), example) for number, example in enumerate(examples, start=1)
        )

    def at(self, point: tuple[float, ...]) -> float:
        """The value where the variables have these values."""
        constant, *multiples = self.coefficients
        return constant + sum(multiple * value for multiple, value in zip(multiples, point, strict=True))

    def _mapped(self, factor: float) -> Affine:
        return Affine(tuple(each * factor for each in self.coefficients), self.example * factor)

    def __add__(self, other: Any) -> Affine:
        if isinstance(other, Affine):
            pairs = zip(self.coefficients, other.coefficients, strict=True)
            return Affine(tuple(a + b for a, b in pairs), self.example + other.example)
        constant, *multiples = self.coefficients
        number = _number(other)
        return Affine((constant + number, *multiples), self.example + number)

    __radd__ = __add__

    def __neg__(self) -> Affine:
        return self._mapped(-1.0)

    def __sub__(self, other: Any) -> Affine:
        return self.__add__(other * -1.0)

    def __rsub__(self, other: Any) -> Affine:
        return self._mapped(-1.0).__add__(other)

    def __mul__(self, other: Any) -> Affine:
        return self._mapped(_number(other))

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Affine:
        return Affine(tuple(each / _number(other) for each in self.coefficients), self.example / other)

    def __bool__(self) -> bool:
        return self.example != 0.0

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, int | float) or other not in (0, 1):
            raise NotAffine(f"a symbol was compared with {other!r}: accepted are 0 and 1")
        return self.example == other

    def __lt__(self, other: object) -> bool:
        raise NotAffine("a symbol has no order")

    __le__ = __gt__ = __ge__ = __lt__

    def __float__(self) -> float:
        raise NotAffine("a symbol was turned into a number")

    __int__ = __index__ = __float__


def _number(value: Any) -> float:
    if isinstance(value, int | float):
        return float(value)
    raise NotAffine(f"a symbol was combined with {value!r}")
