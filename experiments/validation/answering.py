"""The answer to a question, in the row's own unit, with the interval in which nine of ten measurements fall.

Time is the price of the work on the device as its software uses it (`hwmodels.software`, `hwmodels.roofline`), the host's time per step,
and links. Energy is idle, static and dynamic power over that time, read at the row's scope (`hwmodels.energy.Draw`).

How wrong it can be: README.md beside this file. Intervals are those of the software's residuals, and of the power's where energy is asked;
for devices that no measurement was learned from, of the residuals with whole devices left out.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import exp, hypot, log

from edgewright.experiments.validation.asking import Ask, Unpredictable, cores_of
from edgewright.hwmodels import Draw, Price, engine_static_W, price
from edgewright.hwmodels.software import Power, Software, core_share, power_of, software

__all__ = ["Answer", "Parts", "answer", "parts_of", "watts_of"]


@dataclass(frozen=True, slots=True)
class Answer:
    """A prediction and its interval, in the row's own unit."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Parts:
    """What the answer is made of: the tuned software, the price of the work alone, seconds in all, and watts by part before calibration."""

    software: Software
    price: Price
    seconds: float
    draw: Draw


def answer(ask: Ask) -> Answer:
    """The answer to a question; raises `Unpredictable` where the device cannot do what is asked."""
    if ask.reading == "constant":
        return Answer(ask.factor, ask.factor * exp(ask.spread[0]), ask.factor * exp(ask.spread[1]))
    parts = parts_of(ask)
    low, high = log(parts.software.low), log(parts.software.high)
    if ask.reading == "seconds":
        value = ask.factor * parts.seconds
        return Answer(value, value * exp(low), value * exp(high))
    if ask.reading == "rate":
        value = ask.factor / parts.seconds
        return Answer(value, value * exp(-high), value * exp(-low))
    power = power_of(ask.device, ask.engine)
    watts = watts_of(ask, parts, power)
    below, above = power.spread
    if ask.reading == "joules":
        value = ask.factor * watts * parts.seconds
        return Answer(value, value * exp(-hypot(low, below)), value * exp(hypot(high, above)))
    value = ask.factor * (watts if ask.reading == "watts" else watts / ask.device.tdp_W)
    return Answer(value, value * exp(below), value * exp(above))


def parts_of(ask: Ask) -> Parts:
    """The pieces of an answer; raises `Unpredictable`."""
    made = software(ask.device, ask.engine, ask.software, ask.threads, cores_of(ask.device, ask.engine))
    try:
        cost = price(ask.work, made.device, ask.engine, ask.clock)
    except ValueError as error:
        raise Unpredictable(str(error)) from None
    seconds = float(cost.seconds) + ask.steps * made.step_s + ask.links_s + ask.syncs * made.sync_s
    seconds += ask.sequences * made.sequence_s
    if seconds <= 0.0:
        raise Unpredictable("nothing that takes time is asked")
    engine = ask.device.engines[ask.engine]
    static = engine_static_W(engine, ask.clock) * core_share(ask.threads, cores_of(ask.device, ask.engine))
    draw = Draw(
        ask.device.idle_W,
        static,
        float(cost.compute_joules) / seconds,
        float(cost.cache_joules) / seconds,
        float(cost.dram_joules) / seconds,
    )
    return Parts(made, cost, seconds, draw)


def watts_of(ask: Ask, parts: Parts, power: Power) -> float:
    """Mean watts at the scope of a question, with the factors of the device's class."""
    draw = replace(
        parts.draw,
        static=parts.draw.static * power.static,
        compute=parts.draw.compute * power.compute,
        cache=parts.draw.cache * power.compute,
        dram=parts.draw.dram * power.memory,
    )
    own = power.rail * draw.idle if ask.scope == "rail" else 0.0
    return draw.at(ask.scope, ask.device) + own
