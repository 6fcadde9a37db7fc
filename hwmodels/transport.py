"""What loss, round-trip time and windows leave of a link: the most that one flow can get, and what a lost packet costs a message.

A connection that reacts to loss keeps W packets in flight, and sends W of them per round trip (R seconds; p: packets lost):

    reno     W = sqrt(3 / (2 b p)), b = 2 packets per acknowledgement   Mathis et al., CCR 27(3), 1997
    cubic    W = 1.054 (R / p)^0.75, and no less than reno              RFC 9438, section 5.1, with C = 0.4 and beta = 0.7
    bbr      not bound by losses below 20 % of a route, then as cubic   Cardwell et al., ACM Queue 14(5), 2016
    none     not bound by losses                                        no congestion control

and, for the two that wait for it, a retransmission timeout now and then: Padhye et al. (SIGCOMM 1998, equation 30) add
T0 min(1, 3 sqrt(3 b p / 8)) p (1 + 32 p^2) seconds per packet. T0 is R + 200 ms (RFC 6298 with the floor that Linux uses).
A window of w bytes bounds a connection to w / R (RFC 7323). Several connections are that many times as fast.

    100 ms, 1460 bytes a packet: 1 % loss 118 kB/s (both); 0.01 % reno 1.26 MB/s, cubic 2.73 MB/s; a window of 64 KiB 655 kB/s

What is lost is sent again, so links carry 1 / (1 - p) of it. The last packet of a message has nothing behind it that would report its
loss: it waits for T0, doubled each time up to Linux's 120 s, which is T0 p / (1 - 2 p) on average for small p. Of m messages sent together
the unluckiest counts.

How wrong: these are means over long flows; a single one scatters about them by tens of per cent. Losses are taken as independent, and
bursts (which radio has) cost less; above 10 % loss the rates are guesses. Linux's tail-loss probe (RFC 8985) often saves the timeout, so
delays of small messages are upper estimates. Cubic's timeouts are reno's, by assumption. Slow start is not here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import expm1, inf, log1p, prod, sqrt

from edgewright.hwmodels.specs import Link

__all__ = ["HEADERS", "check_transport", "expected_stall", "flow_bound", "path_bound", "path_loss", "retransmission_timeout"]

HEADERS = 40.0
"""Bytes of IPv4 and TCP headers in a packet, without options."""

_ACKNOWLEDGED = 2.0
_LEAST_VARIANCE = 0.2
_BBR_LIMIT = 0.2
_LONGEST_TIMEOUT = 120.0


def check_transport(link: Link) -> None:
    """Raise `ValueError` for figures that no transport has, or that no formula here covers."""
    if not 0.0 <= link.loss < 0.5:
        raise ValueError(f"link {link.name!r} loses {link.loss:g} of its packets: expected a share from 0 up to, and without, 0.5")
    if link.loss and link.mtu <= HEADERS:
        raise ValueError(f"link {link.name!r} loses packets of {link.mtu:g} bytes: expected an mtu above the {HEADERS:g} bytes of headers")
    if link.loss >= _BBR_LIMIT and link.congestion == "bbr":
        raise ValueError(f"link {link.name!r} loses {link.loss:g} of its packets: expected less than {_BBR_LIMIT:g} with bbr")
    if link.connections is not None and link.connections < 1:
        raise ValueError(f"link {link.name!r} has {link.connections} connections: expected 1 or more")


def path_loss(links: Iterable[Link]) -> float:
    """Share of packets that do not arrive over these links, one after another."""
    return 1.0 - prod(1.0 - link.loss for link in links)


def retransmission_timeout(rtt: float) -> float:
    """Seconds until a sender that hears nothing sends again."""
    return rtt + _LEAST_VARIANCE


def path_bound(links: Sequence[Link], rtt: float) -> float:
    """Bytes per second that one message's connections reach over these links, if nothing else binds; inf if nothing does.

    What several links say of the transport is taken together: the fewest connections, the smallest window, the slowest control.
    """
    connections = min((link.connections for link in links if link.connections is not None), default=1)
    window = min((link.window for link in links if link.window is not None), default=inf)
    stated = {link.congestion for link in links if link.congestion is not None} or {"cubic"}
    loss, payload = path_loss(links), min((link.mtu for link in links), default=inf) - HEADERS
    return min(connections * flow_bound(control, loss, rtt, payload, window) for control in sorted(stated))


def flow_bound(congestion: str, loss: float, rtt: float, payload: float, window: float = inf) -> float:
    """Bytes per second of one connection whose packets carry `payload` bytes; inf if neither loss nor window binds it."""
    windowed = window / rtt if rtt > 0.0 else inf
    if loss <= 0.0 or congestion == "none" or (congestion == "bbr" and loss < _BBR_LIMIT):
        return windowed
    in_flight = sqrt(3.0 / (2.0 * _ACKNOWLEDGED * loss))
    if congestion != "reno":
        in_flight = max(in_flight, 1.054 * (rtt / loss) ** 0.75)
    stalls = min(1.0, 3.0 * sqrt(3.0 * _ACKNOWLEDGED * loss / 8.0)) * loss * (1.0 + 32.0 * loss**2)
    return min(windowed, payload / (rtt / in_flight + retransmission_timeout(rtt) * stalls))


def expected_stall(losses: Sequence[float], timeout: float) -> float:
    """Mean seconds that the last packets of messages sent together, lost with these probabilities, hold up the last of them.

    The k-th timeout in a row, 2^(k-1) long and 120 s at most, is waited for if any message lost its last packet k times.
    """
    stall, doubled, chances = 0.0, timeout, list(losses)
    while (missing := -expm1(sum(log1p(-chance) for chance in chances)) * doubled) > 1e-12 * stall:
        stall += missing
        doubled = min(2.0 * doubled, max(timeout, _LONGEST_TIMEOUT))
        chances = [chance * loss for chance, loss in zip(chances, losses, strict=True)]
    return stall
