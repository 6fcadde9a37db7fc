"""What every table holds, as text: per table what a row is, and lines `name | dtype | unit | meaning`. `tables.TABLES` is made of this."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["SPECIFICATIONS"]

_JOBS = """
job            | int   |   | identity, unique in the run
service        | str   |   | service that was asked
replica        | str   |   | replica that served it last; empty if it never reached one
source         | str   |   | arrival source, or the service that called
session        | int   |   | session that it belongs to, -1 if none
status         | str   |   | completed, rejected, failed or in_flight when the run ended
reason         | str   |   | why it was rejected or failed; empty otherwise
measured       | bool  |   | whether it arrived within the measurement window
arrival_s      | float | s | when it arrived
queued_s       | float | s | when it reached the replica's queue, after routing and the uplink
scheduled_s    | float | s | when the first step with some of it began
first_token_s  | float | s | when its first token (or its one result) reached the client; of calls between services, when it was ready
finished_s     | float | s | when its last token reached the client, or it was rejected or failed
prompt_tokens  | int   |   | tokens of the prompt; inputs, for a model that does not generate
output_tokens  | int   |   | tokens generated so far; 0 for a model that does not generate
cached_tokens  | int   |   | prompt tokens found in a cache and not computed again
preemptions    | int   |   | times it lost its KV cache and was computed again, or was swapped out
interruptions  | int   |   | times it could not go on: its replica, a link or a call failed, or time was up
retries        | int   |   | of these, times it was tried anew, perhaps elsewhere
resumes        | int   |   | of these, times it waited to go on where its KV cache survived
lost_tokens    | int   |   | tokens of context whose keys and values a failure took away
wasted_tokens  | int   |   | tokens that it had yielded and that did not stand, as its answer began anew
priority       | int   |   | larger goes first
deadline_s     | float | s | simulated time by which it is due; NaN if none
ttft_s         | float | s | time to first token: first_token_s - arrival_s; NaN for a model that does not generate
tpot_s         | float | s | time per output token after the first: (finished_s - first_token_s) / (output_tokens - 1), completed jobs only
e2e_s          | float | s | end to end: finished_s - arrival_s, completed jobs only
queue_s        | float | s | time in the replica's queue: scheduled_s - queued_s
missed         | bool  |   | the deadline passed without a result
"""

_STEPS = """
replica        | str   |   | replica that took the steps
start_s        | float | s | start of the first iteration
end_s          | float | s | end of the last iteration
iterations     | int   |   | engine steps in this row: a run of like decode steps is one row
decode         | int   |   | sequences that decode in each iteration
prefill_tokens | int   |   | prompt tokens (or one-shot inputs) computed in the row
output_tokens  | int   |   | tokens that the row yielded, over all sequences and iterations
context_tokens | int   |   | tokens cached by the batch at the end of the row
waiting        | int   |   | jobs waiting at the start of the row
kv_blocks      | int   |   | KV blocks held at the end of the row
"""

_ITL = """
service        | str   |   | service of the jobs
gap_s          | float | s | time between two consecutive tokens of one job
tokens         | int   |   | number of such gaps, measured jobs only
"""

_POWER = """
domain         | str   |   | power domain; what is in none of the scenario's is in one called `other`
start_s        | float | s | start of the bin
end_s          | float | s | end of the bin
joules         | float | J | energy of the bin at the plug, the domains behind it left out: those of all domains add up
mean_W         | float | W | mean power at the domain's plug, the domains behind it included, its battery's losses not
peak_W         | float | W | highest mean over `record.peak`, a second (or the bin, if that is shorter), at the domain's plug, likewise
budget_W       | float | W | budget in force; NaN if none
"""

_ACTUATIONS = """
time_s         | float | s | when the controller commanded it
domain         | str   |   | power domain
target         | str   |   | device
kind           | str   |   | clock (fraction of the maximum), watts (cap on module power), brake, sleep or wake
value          | float |   | what was commanded, in the unit of the kind; NaN for brake, sleep and wake
effective_s    | float | s | when it took effect; NaN if the run ended, or another command replaced it, before
"""

_POWER_EVENTS = """
time_s         | float | s | when it happened
name           | str   |   | domain or device
event          | str   |   | breaker_tripped, _closed; port_overloaded, _shed, _on; power_lost, _back; throttled, un-; overheated, cooled
value          | float |   | multiple of the rating, watts, state of charge, clock allowed or degrees Celsius; NaN where there is none
"""

_SOURCES = """
domain         | str   |   | power domain whose sources are modelled
start_s        | float | s | start of the bin
end_s          | float | s | end of the bin
charge         | float |   | state of charge of its battery at the end of the bin; NaN without one
load_J         | float | J | energy drawn by what is behind the plug
sun_J          | float | J | energy used from the sun
curtailed_J    | float | J | energy that the sun gave and nobody could take
grid_J         | float | J | energy from the grid
unmet_J        | float | J | energy drawn before it was noticed that no source gave it
lost_J         | float | J | energy that the battery lost
stored_J       | float | J | energy by which its store grew: sun + grid + unmet = load + lost + stored
carbon_g       | float | g | grams of CO2 of the energy from the grid; NaN if unknown
cost           | float |   | price of the energy from the grid; NaN if unknown
"""

_THERMAL = """
device         | str   |    | device whose heat is modelled
start_s        | float | s | start of the bin
end_s          | float | s | end of the bin
die_C          | float | °C | temperature of the die at the governor's last look in the bin
max_die_C      | float | °C | highest that its governor saw in the bin
sink_C         | float | °C | temperature of the outermost mass at the last look
clock_limit    | float |   | clock that the governor allows at the end of the bin, as a fraction; 1: it does not throttle
"""

_ENERGY = """
domain         | str   |   | power domain that pays
owner          | str   |   | device, engine, bus, link or storage that dissipates; the domain itself for its overhead, supply and battery
part           | str   |   | idle, sleep, leakage, static, dynamic (together the module), board, supply, battery (all of them: the plug)
joules         | float | J | energy over the whole run
"""

_RESOURCES = """
resource       | str   |   | scope, e.g. orin0.gpu
kind           | str   |   | engine, bus, link or storage
capacity       | float |   | amount per second: bytes/s, or seconds per second for engines and airtime
amount         | float |   | amount moved over the whole run: bytes, or seconds
busy_s         | float | s | time during which anything used it
utilisation    | float |   | amount / (capacity * length of the run)
"""

_USAGE = """
resource       | str   |   | scope
start_s        | float | s | start of the bin
end_s          | float | s | end of the bin
utilisation    | float |   | mean share of the capacity used in the bin, in [0, 1]
"""

_MEMORY = """
pool           | str   |   | scope, e.g. orin0.ram; orin0.nvme0 for a storage, card.host for the memory of a host that is no device
allocation     | str   |   | what holds the bytes, e.g. `chat.0 KV`, its last word their kind; `total` is the pool's own peak
capacity_bytes | float | B | capacity of the pool, less what the system keeps; NaN if nobody said
peak_bytes     | float | B | most bytes held at once by this allocation
"""

_KV = """
replica        | str   |   | replica
time_s         | float | s | when the number of blocks became this
blocks         | int   |   | KV blocks held
capacity_blocks| int   |   | KV blocks there are
"""

_QUEUE = """
replica        | str   |   | replica
time_s         | float | s | when the numbers became these
waiting        | int   |   | jobs in the queue
running        | int   |   | jobs in the batch
"""

_REPLICAS = """
replica            | str   |   | replica
service            | str   |   | service that it belongs to
devices            | str   |   | its devices, separated by spaces
kv_capacity_tokens | float |   | tokens that its KV cache holds; NaN if it keeps none
kv_capacity_bytes  | float | B | bytes of KV cache; NaN if it keeps none
derivation         | str   |   | how the KV capacity was derived, in words and numbers
preemptions        | int   |   | sequences that lost their KV cache or were swapped out
evictions          | int   |   | sessions and prefixes kept for later that had to go
prompt_tokens      | int   |   | tokens of the prompts that were admitted
hit_tokens         | int   |   | of these, found in the cache: a session's past or a shared prefix
swapped_out_bytes  | float | B | KV copied to the swap space
swapped_in_bytes   | float | B | KV copied back
expert_hits        | int   |   | experts that were in memory when routed to
expert_misses      | int   |   | experts that had to be fetched
"""

_OPERATIONS = """
replica        | str   |   | replica
name           | str   |   | operation of its plan
kind           | str   |   | compute, transfer, collective, load, store, ...
resource       | str   |   | engine, link or storage channel that it occupied
start_s        | float | s | start
end_s          | float | s | end
"""

_FAULTS = """
fault          | str   |   | entry of the scenario's faults, or who else held the target down (a power domain, a scaling policy)
kind           | str   |   | what it did: a kind of fault (crash, link_slow, ...), or unpowered, asleep, ... where others did it
target         | str   |   | device, link, storage or power domain
start_s        | float | s | when it began
end_s          | float | s | when it was over; NaN if it was not when the run ended
"""

_AVAILABILITY = """
what           | str   |   | device, link, storage, replica (up: ready or draining) or service (up: a replica of its is)
name           | str   |   | which
up             | float |   | share of the run during which it was up
outages        | int   |   | times it went down
repair_s       | float | s | mean time from going down to being up again, of outages that are over; NaN if none is
"""

_INTERVALS = """
scope          | str   |   | as in the summary
name           | str   |   | as in the summary
metric         | str   |   | as in the summary; the name ends in its unit
low            | float |   | least value among the draws of the devices' uncertain figures; NaN if it is not available
high           | float |   | greatest value
level          | float |   | share of further draws that lie between the two
"""

SPECIFICATIONS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "jobs": ("one job", _JOBS),
        "steps": ("a run of like engine steps of one replica, in order of time", _STEPS),
        "itl": ("token gaps of one length", _ITL),
        "power": ("one sampling period of one power domain", _POWER),
        "actuations": ("one command of a power controller", _ACTUATIONS),
        "power_events": ("something that feeds or protects a domain or a device acted", _POWER_EVENTS),
        "sources": ("one sampling period of the sources of one power domain", _SOURCES),
        "thermal": ("one sampling period of the temperatures of one device", _THERMAL),
        "energy": ("one part of the energy of one owner", _ENERGY),
        "resources": ("one engine, bus, link or storage channel", _RESOURCES),
        "usage": ("one sampling period of one resource", _USAGE),
        "memory": ("the peak of one kind of allocation in one pool", _MEMORY),
        "kv": ("a change of a replica's KV occupancy", _KV),
        "queue": ("a change of a replica's queue or batch", _QUEUE),
        "replicas": ("one replica", _REPLICAS),
        "faults": ("one fault of one target", _FAULTS),
        "availability": ("one thing that can be down", _AVAILABILITY),
        "intervals": ("one figure of the summary, if intervals were asked for", _INTERVALS),
        "operations": ("one executed operation of a plan; only the first of the run, for the timeline", _OPERATIONS),
    }
)
"""By table: what a row is, and its columns."""
