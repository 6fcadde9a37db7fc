"""How often and how soon to try again: limits and pauses that the policies of this family share.

Exponential back-off with full jitter: Brooker, Exponential Backoff and Jitter, AWS Architecture Blog, 2015; the doubling is that of
Metcalfe and Boggs, Ethernet, CACM 19(7), 1976.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, log

from edgewright.hwmodels.units import Seconds
from edgewright.policies.base import at_least, within
from edgewright.policies.families import Limits, Remedy
from edgewright.policies.views import Interruption
from edgewright.workloads import Stream

__all__ = ["Backoff"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """Attempt n + 1 comes `pause * growth**(n - 1)` seconds after attempt n was interrupted, `longest` at most, less a random share.

    Attributes:
        attempts: attempts in all; an interruption of the last one fails the job.
        pause: seconds before the second attempt; 0 only with few attempts, all of which one moment without a replica would use up.
        growth: factor from one pause to the next.
        longest: seconds that no pause exceeds.
        jitter: of a pause, the share that is random (uniform from none of it to all of it); drawn by job and attempt.
        timeout: seconds that an attempt may take; None: as long as it likes.
        stall: seconds for which a dead link or storage may hold up a job; None: for ever.
        late: whether a job whose deadline will have passed by its next attempt is tried all the same.
    """

    attempts: int = 5
    pause: Seconds = 1.0
    growth: float = 2.0
    longest: Seconds = 60.0
    jitter: float = 0.5
    timeout: Seconds | None = None
    stall: Seconds | None = None
    late: bool = False

    def __post_init__(self) -> None:
        at_least(self, attempts=1, pause=0, growth=1, longest=0, timeout=0, stall=0)
        within(self, 0.0, 1.0, "jitter")
        if self.pause * self.longest == 0.0 and self.attempts > 100:
            raise ValueError(f"pause: {self.pause!r} is not accepted with {self.attempts} attempts; accepted are pauses above 0")

    def limits(self, checkpoint: int | None = None) -> Limits:
        """What the engine is told."""
        return Limits(inf if self.timeout is None else self.timeout, inf if self.stall is None else self.stall, checkpoint)

    def pause_after(self, interruption: Interruption, stream: Stream) -> float:
        """Seconds until the next attempt."""
        return self._whole(interruption.attempt - 1) * (1.0 - self.jitter * stream.uniform(interruption.job.id, interruption.attempt))

    def _whole(self, growths: int) -> float:
        """The pause before its random share is taken off; by logarithms first, since the power overflows after a thousand attempts."""
        if self.pause == 0.0:
            return 0.0
        if self.pause >= self.longest or growths * log(self.growth) > log(self.longest / self.pause):
            return self.longest
        return min(self.pause * self.growth**growths, self.longest)

    def refusal(self, interruption: Interruption, after: float) -> Remedy | None:
        """The drop, if there is no point in another attempt that many seconds from now."""
        if interruption.attempt >= self.attempts:
            return Remedy("drop", reason=f"given up after {interruption.attempt} attempts")
        deadline = interruption.job.deadline
        if not self.late and deadline is not None and interruption.now + after > deadline:
            return Remedy("drop", reason="too late for another attempt")
        return None
