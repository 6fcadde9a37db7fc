"""Every trace format passes the suite on a sample of it; readers broken in one way each fail the check of that promise."""

from itertools import count

import pytest

from edgewright.workloads.conformance import TRACE, check_trace_format
from edgewright.workloads.conformance.trace import TraceSample
from edgewright.workloads.traces import TraceError, TraceRow, finite, records, trace_format, trace_formats

SAMPLES = {
    "azure": "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46.6805900,374,44\n2023-11-16 18:15:50.9305900,396,109\n",
    "burstgpt": "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n5,ChatGPT,472,18,490,log\n45,GPT-4,107,3,110,log\n",
    "mooncake": '{"timestamp": 0, "input_length": 1100, "output_length": 6, "hash_ids": [0, 1]}\n'
    '{"timestamp": 1500, "input_length": 1300, "output_length": 4, "hash_ids": [0, 7]}\n',
}
PLAIN = "when,in,out\n5.5,12,3\n7.0,40,9\n"
turns = count()


def plain(file, path):
    """A format as a user would write it: seconds, and tokens in and out."""
    for cells in records(file, path, ("when", "in", "out")):
        yield TraceRow(cells.read("when", finite, "seconds"), cells.tokens("in"), cells.tokens("out"))


def bare(file, path):
    """The same without a thought for bad lines."""
    next(file, None)
    for line in filter(str.strip, file):
        when, given, asked = line.split(",")
        yield TraceRow(float(when), int(given), int(asked))


def generous(file, path):
    """A request whatever the file holds."""
    text = file.read()
    yield TraceRow(float(len(text)), 1, 1)


def tolerant(file, path):
    """Lines that cannot be read are passed over."""
    for line in [*file][1:]:
        try:
            when, given, asked = line.split(",")
            yield TraceRow(float(when), int(given), int(asked))
        except ValueError:
            continue


def silent(file, path):
    """A refusal that does not say where."""
    try:
        yield from bare(file, path)
    except ValueError as error:
        raise TraceError("bad line") from error


def drifting(file, path):
    """Another request every time."""
    yield from plain(file, path)
    yield TraceRow(100.0, 1 + next(turns), 1)


def fractional(file, path):
    for row in plain(file, path):
        yield TraceRow(row.time, row.prompt + 0.5, row.output)


def windowless(file, path):
    """Line ends are taken as they are."""
    text = file.read()
    if "\r" in text or not text.startswith("when"):
        raise TraceError(f"{path}:1: no header")
    for number, line in enumerate(text.splitlines()[1:], start=2):
        if not line:
            continue
        try:
            yield TraceRow(*(kind(cell) for kind, cell in zip((float, int, int), line.split(","), strict=True)))
        except ValueError:
            raise TraceError(f"{path}:{number}: no request") from None


@pytest.fixture
def reader_of():
    """Registers a reader under a name of its own for as long as the test runs."""
    from edgewright.workloads import traces

    before = dict(traces._READERS)

    def add(reader):
        trace_format(reader.__name__)(reader)
        return reader.__name__

    yield add
    traces._READERS.clear()
    traces._READERS.update(before)


def test_there_is_a_sample_of_every_built_in_format():
    assert set(SAMPLES) == set(trace_formats())


@pytest.mark.parametrize("name", SAMPLES)
def test_built_in_formats_conform(name):
    check_trace_format(name, SAMPLES[name])


def test_a_format_of_ones_own_conforms(reader_of):
    check_trace_format(reader_of(plain), PLAIN)


@pytest.mark.parametrize(
    ("reader", "check"),
    [
        (generous, "refuses"),
        (bare, "says where"),
        (tolerant, "says where"),
        (silent, "says where"),
        (drifting, "again"),
        (fractional, "reads"),
        (windowless, "line ends"),
    ],
)
def test_a_broken_promise_is_named(reader, check, reader_of):
    name = reader_of(reader)
    with pytest.raises(AssertionError, match=rf"trace format '{name}' fails \d+ of {len(TRACE.checks)} checks:(.|\n)*  {check}: "):
        check_trace_format(name, PLAIN)


def test_one_request_is_no_sample():
    assert "1 request in the sample" in TRACE.broken(TraceSample("azure", SAMPLES["azure"][: SAMPLES["azure"].rfind("2023")]))["reads"]


def test_two_readers_of_one_name_are_refused(reader_of):
    with pytest.raises(ValueError, match="trace format 'azure' is already read by"):
        trace_format("azure")(plain)
