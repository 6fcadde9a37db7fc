"""A process in a network of its own: namespaces, addresses and shaped interfaces, by `ip` and `tc`.

A namespace belongs to the process that made it and ends with it, interfaces and all, however it ends: nothing is left to clean up, and
nothing outside is touched. Addresses are of 198.18.0.0/15, which RFC 2544 sets aside for benchmarks.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

__all__ = [
    "HEADERS",
    "MTU",
    "address",
    "configure",
    "enter_network",
    "hardware_address",
    "join_to_host",
    "outlive_nobody",
    "probe",
    "run_tool",
    "shape",
    "why_unavailable",
]

MTU = 9000
"""Bytes of an IP packet: jumbo frames, so that few of them fill a link and the switch, which is a Python process, keeps up."""
HEADERS = 14 + 20 + 20 + 12
"""Bytes around the payload of a packet on the wire: Ethernet, IPv4, TCP and its time stamps."""
BURST_FRAMES = 5
"""Frames that the token bucket holds: enough to make up for a timer that fires late. The wire restores the spacing that it loosens."""
INTERFACE = "eth0"
_NEW_NETWORK = 0x40000000
_PARENT_DEATH_SIGNAL, _KILL = 1, 9


def outlive_nobody() -> None:
    """End this process when its parent ends, even if that is killed."""
    ctypes.CDLL(None).prctl(_PARENT_DEATH_SIGNAL, _KILL)


def enter_network() -> None:
    """Move this process to a new, empty network namespace, without IPv6. Raises `OSError` where that is not allowed."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_NEW_NETWORK):
        raise OSError(ctypes.get_errno(), "a network namespace cannot be made")
    run_tool("ip", "link", "set", "lo", "up")
    _set("ipv6/conf/all/disable_ipv6", "1", required=False)
    _set("ipv6/conf/default/disable_ipv6", "1", required=False)


def run_tool(*command: str) -> None:
    """Run `ip` or `tc`; raises `OSError` with what it said if it failed."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    if done.returncode:
        raise OSError(f"{' '.join(command)}: {done.stderr.strip()}")


def address(rank: int) -> str:
    """The address of a host."""
    return f"198.18.0.{rank + 1}"


def hardware_address(rank: int) -> str:
    """The Ethernet address of a host; its last byte is the rank, by which the switch forwards."""
    return f"02:00:00:00:00:{rank:02x}"


def join_to_host(rank: int, pid: int) -> str:
    """In the switch's namespace: a cable to the host process `pid`; returns the name of the switch's end."""
    port = f"port{rank}"
    run_tool("ip", "link", "add", port, "mtu", str(MTU), "type", "veth", "peer", "name", INTERFACE, "mtu", str(MTU), "netns", str(pid))
    run_tool("ip", "link", "set", port, "up")
    return port


def configure(rank: int, hosts: int) -> None:
    """In a host's namespace: its address, its neighbours, and a transport that starts no flow slowly.

    Packets leave one by one (a bucket would let several that travel as one go only when it has tokens for all). Windows begin at 2 000
    segments and stay open after a pause: connections behave as long-lived ones on a network that loses nothing.
    """
    run_tool("ip", "link", "set", INTERFACE, "address", hardware_address(rank), "gso_max_segs", "1", "up")
    run_tool("ip", "address", "add", f"{address(rank)}/24", "dev", INTERFACE)
    for other in range(hosts):
        if other != rank:
            run_tool("ip", "neigh", "replace", address(other), "lladdr", hardware_address(other), "dev", INTERFACE, "nud", "permanent")
    run_tool("ip", "route", "change", "198.18.0.0/24", "dev", INTERFACE, "initcwnd", "2000", "initrwnd", "2000")
    _set("ipv4/tcp_congestion_control", "reno")
    _set("ipv4/tcp_slow_start_after_idle", "0")


def shape(rate: float | None) -> None:
    """In a host's namespace: let its interface send at `rate` bits per second (`None`: as fast as it can), by tc's token bucket."""
    if rate is None:
        subprocess.run(["tc", "qdisc", "del", "dev", INTERFACE, "root"], capture_output=True, timeout=20, check=False)
        return
    burst = str(BURST_FRAMES * (MTU + 14))
    run_tool("tc", "qdisc", "replace", "dev", INTERFACE, "root", "tbf", "rate", f"{rate:.0f}bit", "burst", burst, "limit", str(64 << 20))


def why_unavailable() -> str | None:
    """Why no testbed can be set up here, in words; `None` if it can."""
    if not sys.platform.startswith("linux"):
        return "network namespaces are Linux's"
    if os.geteuid() != 0:
        return "network namespaces take root"
    absent = [tool for tool in ("ip", "tc") if shutil.which(tool) is None]
    if absent:
        return f"{' and '.join(absent)} of iproute2 cannot be found"
    command = [sys.executable, "-c", f"from {__name__} import probe; probe()"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return (done.stderr.strip().splitlines() or ["the probe failed"])[-1] if done.returncode else None


def probe() -> None:
    """Make, in a process that ends right after, one of everything that a testbed needs; raises `OSError` for what cannot be had."""
    outlive_nobody()
    enter_network()
    run_tool("ip", "link", "add", INTERFACE, "mtu", str(MTU), "type", "veth", "peer", "name", "port0")
    shape(1e8)
    socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0).close()
    if "reno" not in Path("/proc/sys/net/ipv4/tcp_available_congestion_control").read_text().split():
        raise OSError("TCP Reno is not available")


def _set(key: str, value: str, *, required: bool = True) -> None:
    path = Path("/proc/sys/net", key)
    if required or path.exists():
        path.write_text(value)
