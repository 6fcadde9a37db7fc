"""The serving loop compiled: arrivals, continuous batching, paged memory, and records of one replica, run of steps by run of steps.

It does what `lane`, `blocks` and `stretch` do together, in the same order, where nothing else can touch the replica (`express_rule` says
when). Importing this module imports Numba and compiles on the first call, which is kept between processes.
"""

from __future__ import annotations

from edgewright.simulator import express_books as at
from edgewright.simulator.express_books import Books
from edgewright.simulator.express_jit import compiled
from edgewright.simulator.express_prices import begin_run, bent_roofs, set_price
from edgewright.simulator.express_records import keep, note_blocks, note_gap, note_queue, note_step

__all__ = ["advance", "cut"]

ENDLESS = 1 << 62
"""No limit on tokens."""

# -- memory --------------------------------------------------------------------------------------------------------------------------------


@compiled
def _blocks(b: Books, tokens: int) -> int:
    found: int = -(-tokens // b.counts[at.BLOCK])
    return found


@compiled
def _grow(b: Books, job: int, tokens: int) -> None:
    """Hold what a job needs for so many tokens."""
    if b.counts[at.CAPACITY] >= 0:
        need = _blocks(b, tokens) - b.what[at.HELD, job]
        if need > 0:
            b.what[at.HELD, job] += need
            b.counts[at.USED] += need
            b.counts[at.PEAK] = max(b.counts[at.PEAK], b.counts[at.USED])


@compiled
def _short_by(b: Books, tokens: int) -> int:
    """Blocks missing for every job of the batch to cache so many tokens more (<= 0: enough)."""
    need = 0
    for place in range(b.counts[at.RUNNING]):
        job = b.lines[at.BATCH, place]
        need += max(0, _blocks(b, b.what[at.CACHED, job] + tokens) - b.what[at.HELD, job])
    missing: int = need - (b.counts[at.CAPACITY] - b.counts[at.USED])
    return missing


@compiled
def _free(b: Books, job: int, status: int) -> None:
    """A job has left the batch: its blocks are free, and if its status says so it is over."""
    b.counts[at.USED] -= b.what[at.HELD, job]
    b.what[at.HELD, job] = 0
    b.what[at.STATUS, job] = status
    if status != 0:
        b.when[at.FINISHED, job] = b.clock[at.NOW]
    note_queue(b, b.clock[at.NOW])
    note_blocks(b, b.clock[at.NOW], b.counts[at.USED])


# -- decisions -----------------------------------------------------------------------------------------------------------------------------


@compiled
def _arrive(b: Books) -> bool:
    """The next job joins the queue; False if nothing could ever hold it."""
    count, job = b.counts, b.counts[at.NEXT]
    count[at.NEXT] += 1
    time = b.when[at.ARRIVAL, job]
    if count[at.CAPACITY] >= 0 and _blocks(b, b.what[at.PROMPT, job] + 1) > count[at.CAPACITY]:
        b.what[at.STATUS, job], b.when[at.FINISHED, job] = at.TOO_LONG, time
        return False
    b.lines[at.QUEUE, count[at.TAIL]] = job
    count[at.TAIL] += 1
    note_queue(b, time)
    return True


@compiled
def _waiting_at(b: Books, place: int) -> int:
    """The job at a place of the queue; preempted ones come first, the last of them before the others."""
    aside = b.counts[at.ASIDE]
    job: int = b.lines[at.SET_ASIDE, aside - 1 - place] if place < aside else b.lines[at.QUEUE, b.counts[at.HEAD] + place - aside]
    return job


@compiled
def _fitting(b: Books, jobs: int, most_tokens: int) -> int:
    """The longest prefix of the first jobs of the queue within so many tokens (one job has any number) and the memory that is free."""
    count = b.counts
    room, need = most_tokens, 0
    spare = count[at.RESERVE] if count[at.USED] > 0 else 0
    chosen = 0
    while chosen < jobs:
        job = _waiting_at(b, chosen)
        tokens = b.what[at.PROMPT, job] + b.what[at.GENERATED, job]
        room -= tokens
        if room < 0 and chosen > 0:
            break
        if count[at.CAPACITY] >= 0:
            need += _blocks(b, tokens)
            if need + spare > count[at.CAPACITY] - count[at.USED]:
                break
        chosen += 1
    return chosen


@compiled
def _candidates(b: Books) -> int:
    """How many of the first jobs of the queue may join: all that wait, or the rest of the batch that has closed (`ClosingAgent`)."""
    count, clock = b.counts, b.clock
    waiting: int = count[at.TAIL] - count[at.HEAD] + count[at.ASIDE]
    clock[at.WAKE] = float("inf")
    if count[at.RULE] == at.FILLING:
        return waiting
    if count[at.RUNNING] + count[at.LEFT] + count[at.ASIDE] == 0 and waiting > 0:
        eldest = b.lines[at.QUEUE, count[at.HEAD] if count[at.RULE] == at.DYNAMIC else count[at.TAIL] - 1]
        due = b.when[at.ARRIVAL, eldest] + clock[at.TIMEOUT]
        if waiting < count[at.SIZE] and clock[at.NOW] < due:
            clock[at.WAKE] = clock[at.NOW] + (due - clock[at.NOW])
            return 0
        count[at.LEFT] = _fitting(b, min(waiting, count[at.SIZE]), ENDLESS)
    members: int = count[at.LEFT] + count[at.ASIDE]
    return members


@compiled
def _admissible(b: Books) -> int:
    """How many jobs of the queue are admitted: within slots, tokens and memory (`policies.batching.admission.whole_prompts`)."""
    jobs = min(_candidates(b), b.counts[at.MOST] - b.counts[at.RUNNING])
    return _fitting(b, jobs, b.counts[at.MAX_TOKENS])


@compiled
def _admit(b: Books, chosen: int) -> None:
    """The first of the queue join the batch, and their prompts are computed in one step."""
    count, now = b.counts, b.clock[at.NOW]
    prefill, emits, pairs = 0, 0, 0.0
    for _ in range(chosen):
        job = _waiting_at(b, 0)
        if count[at.ASIDE] > 0:
            count[at.ASIDE] -= 1
        else:
            count[at.HEAD] += 1
            count[at.LEFT] -= count[at.RULE] != at.FILLING
        tokens = b.what[at.PROMPT, job] + b.what[at.GENERATED, job]
        _grow(b, job, tokens)
        if b.what[at.PREEMPTIONS, job] == 0:
            count[at.PROMPTS] += b.what[at.PROMPT, job]
        if b.when[at.SCHEDULED, job] != b.when[at.SCHEDULED, job]:
            b.when[at.SCHEDULED, job] = now
        b.lines[at.BATCH, count[at.RUNNING]] = job
        count[at.RUNNING] += 1
        prefill += tokens
        emits += b.what[at.OUTPUT, job] > b.what[at.GENERATED, job]
        pairs += tokens * (tokens + 1) // 2
    note_queue(b, now)
    note_blocks(b, now, count[at.USED])
    count[at.PHASE], count[at.ITERATIONS], count[at.HORIZON] = 1, 1, 0
    count[at.FRESH], count[at.PREFILL], count[at.EMITS] = chosen, prefill, emits
    case = 2 + 3 * (prefill > 1) + min(emits, 2)
    set_price(b, case, 0.0, prefill, emits, 0.0, pairs, prefill)
    begin_run(b, case)


@compiled
def _secure(b: Books) -> bool:
    """Memory for one token more for each of the batch: the last admitted leave until there is enough. Whether any did."""
    count, left = b.counts, False
    while count[at.CAPACITY] >= 0 and count[at.RUNNING] > 0 and _short_by(b, 1) > 0:
        left = True
        count[at.RUNNING] -= 1
        job = b.lines[at.BATCH, count[at.RUNNING]]
        tokens = b.what[at.PROMPT, job] + b.what[at.GENERATED, job]
        if count[at.RUNNING] == 0:
            _free(b, job, at.ALONE)
        elif _blocks(b, tokens) > count[at.CAPACITY]:
            _free(b, job, at.OUTGROWN)
        elif count[at.REJECTS]:
            _free(b, job, at.REJECTED_FULL)
        else:
            b.what[at.PREEMPTIONS, job] += 1
            b.what[at.CACHED, job] = 0
            b.lines[at.SET_ASIDE, count[at.ASIDE]] = job
            count[at.ASIDE] += 1
            count[at.PREEMPTED] += 1
            _free(b, job, 0)
    return left


@compiled
def _steps_until_full(b: Books, most: int) -> int:
    """See `BlockPool.steps_until_full`."""
    if b.counts[at.CAPACITY] < 0 or most <= 1 or _short_by(b, most) <= 0:
        return most
    low, high = 1, max(most, 2)
    while high - low > 1:
        middle = (low + high) // 2
        if _short_by(b, middle) <= 0:
            low = middle
        else:
            high = middle
    return low


@compiled
def _decode(b: Books) -> None:
    """All of the batch decode, until a decision could differ."""
    count, clock = b.counts, b.clock
    blocked = count[at.TAIL] - count[at.HEAD] + count[at.ASIDE] > 0 or count[at.RUNNING] >= count[at.MOST]
    count[at.HORIZON] = count[at.RULE] == at.FILLING and not blocked
    left = _secure(b)
    running = count[at.RUNNING]
    if running == 0:
        count[at.PHASE] = -1
        return
    context, most = 0, count[at.LONGEST]
    for place in range(running):
        job = b.lines[at.BATCH, place]
        _grow(b, job, b.what[at.CACHED, job] + 1)
        context += b.what[at.CACHED, job]
        most = min(most, b.what[at.OUTPUT, job] - b.what[at.GENERATED, job])
    note_blocks(b, clock[at.NOW], count[at.USED])
    keep(b)
    count[at.PHASE], count[at.PREFILL] = 2, 0
    count[at.ITERATIONS] = 1 if left else _steps_until_full(b, most)
    count[at.HOLDING], clock[at.CONTEXT] = count[at.USED], context
    _set_phases(b)
    case = min(running, 2) - 1
    set_price(b, case, running, 0.0, running, context + running, 0.0, 0.0)
    begin_run(b, case)


@compiled
def _set_phases(b: Books) -> None:
    """By steps after the first, modulo the block size: how many of the batch need a block more."""
    block = b.counts[at.BLOCK]
    if b.counts[at.CAPACITY] >= 0:
        b.phases[:] = 0
        for place in range(b.counts[at.RUNNING]):
            job = b.lines[at.BATCH, place]
            b.phases[(b.what[at.HELD, job] * block - b.what[at.CACHED, job]) % block] += 1


@compiled
def _decide(b: Books) -> None:
    """What the lane does next, now."""
    while True:
        chosen = _admissible(b)
        if chosen > 0:
            _admit(b, chosen)
            keep(b)
            return
        if b.counts[at.RUNNING] == 0:
            b.counts[at.PHASE] = 0
            keep(b)
            return
        _decode(b)
        if b.counts[at.PHASE] == 2:
            return


# -- steps ---------------------------------------------------------------------------------------------------------------------------------


@compiled
def _end_steps(b: Books, limit: float) -> None:
    """End the step under way, and those after it in the run that end by `limit` and fit the output rows."""
    clock, count, flat, gaps, blocks, phases = b.clock, b.counts, b.flat, b.gaps, b.blocks, b.phases
    decoding, paged, block = count[at.PHASE] == 2, count[at.CAPACITY] >= 0, count[at.BLOCK]
    case, growth, measured = min(count[at.RUNNING], 2) - 1, float(count[at.RUNNING]), count[at.EMITS]
    done, iterations, holding, recorded = count[at.DONE], count[at.ITERATIONS], count[at.HOLDING], count[at.RECORDED]
    noted, held, most = count[at.GAPS], count[at.BLOCKS], gaps.shape[0] - 8
    ended, end, host, latency, fluid = clock[at.ENDED], clock[at.END], clock[at.HOST], clock[at.LATENCY], clock[at.FLUID]
    nbytes, joules, bandwidth = clock[at.STEP_BYTES], clock[at.STEP_ENGINE_J], clock[at.BANDWIDTH]
    busy_s, fluid_s, spent, moved = 0.0, 0.0, 0.0, 0.0
    while True:
        busy_s += latency + fluid
        fluid_s += fluid
        spent += joules
        moved += nbytes
        gap, ended = end - ended, end
        done += 1
        if decoding and done == 1:
            count[at.GAPS], clock[at.FIRST_END] = noted, end
            measured = _note_first_gaps(b, end)
            noted = count[at.GAPS]
        elif decoding and measured > 0:
            gaps[noted, 0], gaps[noted, 1] = gap, measured
            noted += 1
        if done >= iterations:
            break
        if paged:
            holding += phases[done % block]
            if holding != recorded:
                blocks[held, 0], blocks[held, 1], recorded = end, holding, holding
                held += 1
        further = growth * done
        fluid, spilled = flat[0, 4] + further * flat[1, 4], flat[0, 5] + further * flat[1, 5]
        if count[at.BENT] > 0:
            bent, over = bent_roofs(b, case, further)
            fluid += bent
            spilled += over
        latency = flat[0, 0] + further * flat[1, 0]
        nbytes = flat[0, 1] + further * flat[1, 1] + spilled
        joules = flat[0, 2] + flat[0, 3] + further * (flat[1, 2] + flat[1, 3])
        fluid = max(fluid, nbytes / bandwidth)
        end = ended + (host + (latency + fluid))
        if end > limit or noted >= most or held >= most:
            break
    count[at.DONE], count[at.HOLDING], count[at.RECORDED] = done, holding, recorded
    count[at.EMITS], count[at.GAPS], count[at.BLOCKS] = measured, noted, held
    clock[at.ENDED], clock[at.END], clock[at.LATENCY], clock[at.FLUID] = ended, end, latency, fluid
    clock[at.STEP_BYTES], clock[at.STEP_ENGINE_J] = nbytes, joules
    clock[at.BUSY_S] += busy_s
    clock[at.FLUID_S] += fluid_s
    clock[at.ENGINE_J] += spent
    clock[at.BYTES] += moved


@compiled
def _end_run(b: Books) -> None:
    """The last step of a run has ended: its jobs are brought up to date."""
    b.clock[at.NOW] = b.clock[at.ENDED]
    if b.counts[at.PHASE] == 2:
        _end_decoding(b)
    else:
        _end_prompts(b)
    keep(b)
    b.counts[at.PHASE], b.counts[at.UNDECIDED] = 0, 1


@compiled
def cut(b: Books) -> None:
    """The simulation ends: the jobs of a run of decode steps under way have the tokens of its whole steps so far."""
    if b.counts[at.PHASE] == 2 and b.counts[at.DONE] > 0:
        b.clock[at.NOW] = b.clock[at.ENDED]
        _end_decoding(b)
        keep(b)


@compiled
def _note_first_gaps(b: Books, end: float) -> int:
    """Gaps of the first step of a run, of each job since its last token; how many of the batch are measured."""
    measured = 0
    for place in range(b.counts[at.RUNNING]):
        job = b.lines[at.BATCH, place]
        if b.what[at.MEASURED, job] and b.when[at.LAST, job] == b.when[at.LAST, job]:
            measured += 1
            note_gap(b, end - b.when[at.LAST, job], 1)
    return measured


@compiled
def _end_decoding(b: Books) -> None:
    """A run of decode steps is over: its jobs have so many tokens more, and some are complete."""
    count, clock, done = b.counts, b.clock, b.counts[at.DONE]
    running = count[at.RUNNING]
    for place in range(running):
        job = b.lines[at.BATCH, place]
        _grow(b, job, b.what[at.CACHED, job] + done)
    note_step(b, done, running, 0, running * done, int(clock[at.CONTEXT]) + running * done)
    staying = 0
    for place in range(running):
        job = b.lines[at.BATCH, place]
        b.what[at.CACHED, job] += done
        b.what[at.GENERATED, job] += done
        if b.when[at.FIRST, job] != b.when[at.FIRST, job]:
            b.when[at.FIRST, job] = clock[at.FIRST_END]
        b.when[at.LAST, job] = clock[at.NOW]
        if b.what[at.GENERATED, job] >= b.what[at.OUTPUT, job]:
            count[at.RUNNING] -= 1
            _free(b, job, at.COMPLETED)
        else:
            b.lines[at.BATCH, staying] = job
            staying += 1


@compiled
def _end_prompts(b: Books) -> None:
    """The prompts admitted last have been computed: each yields its first token."""
    count, now = b.counts, b.clock[at.NOW]
    running, cached = count[at.RUNNING], 0
    first = running - count[at.FRESH]
    for place in range(first):
        cached += b.what[at.CACHED, b.lines[at.BATCH, place]]
    note_step(b, 1, 0, count[at.PREFILL], count[at.EMITS], cached + count[at.PREFILL])
    staying = first
    for place in range(first, running):
        job = b.lines[at.BATCH, place]
        b.what[at.CACHED, job] = b.what[at.PROMPT, job] + b.what[at.GENERATED, job]
        if b.what[at.OUTPUT, job] > 0:
            if b.what[at.MEASURED, job] and b.when[at.LAST, job] == b.when[at.LAST, job]:
                note_gap(b, now - b.when[at.LAST, job], 1)
            if b.when[at.FIRST, job] != b.when[at.FIRST, job]:
                b.when[at.FIRST, job] = now
            b.when[at.LAST, job] = now
            b.what[at.GENERATED, job] += 1
        if b.what[at.GENERATED, job] >= b.what[at.OUTPUT, job]:
            count[at.RUNNING] -= 1
            _free(b, job, at.COMPLETED)
        else:
            b.lines[at.BATCH, staying] = job
            staying += 1


@compiled
def _look(b: Books, now: float) -> None:
    """Totals up to now, the share of the step under way included: arithmetic and bytes progress evenly while the roofs hold."""
    clock = b.clock
    for place in range(4):
        clock[at.SEEN + place] = clock[at.BUSY_S + place]
    if b.counts[at.PHASE] > 0:
        busy = min(max(now - clock[at.ENDED] - clock[at.HOST], 0.0), clock[at.LATENCY] + clock[at.FLUID])
        fluid = max(busy - clock[at.LATENCY], 0.0)
        share = fluid / clock[at.FLUID] if clock[at.FLUID] > 0.0 else 0.0
        clock[at.SEEN] += busy
        clock[at.SEEN + 1] += fluid
        clock[at.SEEN + 2] += share * clock[at.STEP_ENGINE_J]
        clock[at.SEEN + 3] += share * clock[at.STEP_BYTES]


@compiled
def _has_room(b: Books) -> bool:
    """Whether whatever happens next can be written down."""
    count = b.counts
    most = 2 * count[at.RUNNING] + 16 + min(count[at.MOST], count[at.TAIL] - count[at.HEAD] + count[at.ASIDE])
    room: bool = max(count[at.STEPS], count[at.QUEUES], count[at.BLOCKS], count[at.GAPS]) + most < b.steps.shape[0]
    return room


@compiled
def advance(b: Books, until: float) -> bool:
    """Go on up to and including a time, and look (`SEEN`) there; False if the output rows were full before.

    What arrives at the moment of a decision is there when it is made.
    """
    clock, count = b.clock, b.counts
    jobs = b.when.shape[1]
    while _has_room(b):
        arrival = b.when[at.ARRIVAL, count[at.NEXT]] if count[at.NEXT] < jobs else float("inf")
        if count[at.UNDECIDED]:
            if arrival <= clock[at.NOW]:
                _arrive(b)
            else:
                count[at.UNDECIDED] = 0
                _decide(b)
        elif count[at.PHASE] == 0:
            due = min(arrival, clock[at.WAKE])
            if due > until:
                _look(b, until)
                return True
            clock[at.NOW], count[at.UNDECIDED] = due, 1
        elif arrival < clock[at.END] and arrival <= until:
            if _arrive(b) and count[at.HORIZON]:
                count[at.ITERATIONS] = min(count[at.ITERATIONS], count[at.DONE] + 1)
        elif clock[at.END] <= until:
            _end_steps(b, min(until, arrival))
            if count[at.DONE] >= count[at.ITERATIONS]:
                _end_run(b)
        else:
            _look(b, until)
            return True
    return False
