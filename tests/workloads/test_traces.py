"""Trace files: read as published, refused line by line where malformed."""

import gzip
from pathlib import Path

import pytest

from edgewright.workloads import Stream, TraceError, TraceRow, read_trace

SHARED = Path(__file__).resolve().parents[2] / "../shared/traces"
AZURE = "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46.6805900,374,44\n2023-11-16 18:15:50.9305900,396,109\n"
BURSTGPT = (
    "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n"
    "5,ChatGPT,472,18,490,Conversation log\n45,ChatGPT,1087,0,1087,Conversation log\n118.5,GPT-4,417,276,693,API log\n"
)
MOONCAKE = (
    '{"timestamp": 0, "input_length": 1100, "output_length": 6, "hash_ids": [0, 1, 2]}\n'
    '{"timestamp": 1500, "input_length": 1300, "output_length": 4, "hash_ids": [0, 1, 7]}\n'
    '{"timestamp": 2000, "input_length": 600, "output_length": 9, "hash_ids": [1, 2]}\n'
)


@pytest.fixture
def write(tmp_path):
    def write(text, name="trace.csv"):
        path = tmp_path / name
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    return write


def test_azure_rows(write):
    trace = read_trace(write(AZURE), "azure")
    assert trace.rows == (TraceRow(0.0, 374, 44), TraceRow(4.25, 396, 109))
    assert (trace.name, trace.seconds, trace.dropped) == ("trace.csv", 4.25, 0)


def test_azure_rows_with_zone_windows_line_ends_a_byte_order_mark_and_blank_lines(write):
    text = "\ufeff" + AZURE.replace("\n", "\r\n").replace("5900,", "5900+00:00,") + "\r\n"
    assert read_trace(write(text), "azure").rows == read_trace(write(AZURE, "plain.csv"), "azure").rows


def test_gzipped_files_are_read(write):
    assert read_trace(write(gzip.compress(AZURE.encode()), "t.csv.gz"), "azure").rows == read_trace(write(AZURE), "azure").rows


def test_burstgpt_rows_leave_failures_out_and_count_them(write):
    trace = read_trace(write(BURSTGPT), "burstgpt")
    assert trace.rows == (TraceRow(0.0, 472, 18, model="ChatGPT"), TraceRow(113.5, 417, 276, model="GPT-4"))
    assert trace.dropped == 1


def test_mooncake_rows_keep_their_blocks(write):
    trace = read_trace(write(MOONCAKE), "mooncake")
    assert trace.rows[1] == TraceRow(1.5, 1300, 4, blocks=(0, 1, 7))


def test_shared_prefixes_written_out(write):
    """The second shares blocks 0 and 1 with the first; the third begins with block 1, which nobody began with."""
    assert read_trace(write(MOONCAKE), "mooncake").shared_tokens() == (0, 2 * 512, 0)
    assert read_trace(write(AZURE), "azure").shared_tokens() == (0, 0)


def test_a_repeated_prompt_shares_no_more_than_it_has(write):
    line = '{"timestamp": 0, "input_length": 700, "output_length": 1, "hash_ids": [3, 4]}\n'
    assert read_trace(write(2 * line), "mooncake").shared_tokens() == (0, 700)


def test_rows_out_of_order_are_put_in_order(write):
    lines = AZURE.splitlines(keepends=True)
    assert read_trace(write(lines[0] + lines[2] + lines[1]), "azure").rows == read_trace(write(AZURE), "azure").rows


def test_a_trace_is_replayed_by_time_and_length(write):
    trace, stream = read_trace(write(AZURE), "azure"), Stream(1, "replay")
    assert list(trace.arrivals(start=10.0).times(stream, 0.0, 99.0)) == [10.0, 14.25]
    assert [trace.lengths().draw(stream, number) for number in (0, 1)] == [(374, 44), (396, 109)]
    assert trace.arrivals(thin=0.5).thin == 0.5


@pytest.mark.parametrize(
    ("format", "text", "said"),
    [
        ("azure", AZURE.replace("396", "many"), r":3: column ContextTokens: got 'many'; accepted is a whole number from 1"),
        ("azure", AZURE.replace("396", "39.5"), r":3: column ContextTokens: got '39.5'"),
        ("azure", AZURE.replace("109", "-1"), r":3: column GeneratedTokens: got -1; accepted is a whole number from 1"),
        ("azure", AZURE.replace("109", "nan"), r":3: column GeneratedTokens: got 'nan'"),
        ("azure", AZURE.replace("2023-11-16 18:15:50", "yesterday"), r":3: column TIMESTAMP: got 'yesterday.*2023-11-16"),
        ("azure", AZURE.replace(",109", ""), r":3: column count: got 2; accepted are 3"),
        ("azure", AZURE.replace("ContextTokens", "Context"), r":1: column ContextTokens is missing"),
        ("azure", "", r":1: column TIMESTAMP is missing"),
        ("azure", AZURE.splitlines()[0] + "\n", "no requests in it"),
        ("azure", b"\xff\xfe\x00", "not a readable text file"),
        ("burstgpt", BURSTGPT.replace("118.5", "inf"), r":4: column Timestamp: got 'inf'"),
        ("burstgpt", BURSTGPT.replace("472", "0"), r":2: column Request tokens: got 0"),
        ("mooncake", MOONCAKE.replace("1500", '"soon"'), r":2: column timestamp: got 'soon'"),
        ("mooncake", MOONCAKE.replace('"output_length": 4, ', ""), r":2: column output_length: got None"),
        ("mooncake", MOONCAKE.replace("1300", "true"), r":2: column input_length: got True"),
        ("mooncake", MOONCAKE.replace("[0, 1, 7]", "7"), r":2: column hash_ids: got 7; accepted is a list"),
        ("mooncake", MOONCAKE + "[1]\n", r":4: column 1: got '\[1\]'; accepted is one JSON object a line"),
        ("mooncake", MOONCAKE + "{oops\n", r":4: column 1: got '\{oops'"),
    ],
)
def test_malformed_lines_are_named(write, format, text, said):
    with pytest.raises(TraceError, match=said) as caught:
        read_trace(write(text), format)
    assert "trace.csv" in str(caught.value)
    assert isinstance(caught.value, ValueError)


def test_a_broken_archive_is_refused(write):
    whole = gzip.compress(AZURE.encode())
    with pytest.raises(TraceError, match="not a readable"):
        read_trace(write(whole[:-20], "cut.csv.gz"), "azure")
    with pytest.raises(TraceError, match="not a readable"):
        read_trace(write(AZURE, "plain.csv.gz"), "azure")


def test_an_unknown_format_lists_those_there_are(write):
    with pytest.raises(TraceError, match="accepted are azure, burstgpt, mooncake"):
        read_trace(write(AZURE), "vidur")


@pytest.mark.parametrize(
    ("file", "format", "requests", "seconds"),
    [
        ("azure_llm_2023_conv.csv", "azure", 19366, 3501.72),
        ("azure_llm_2023_code.csv", "azure", 8819, 3435.95),
        ("mooncake_synthetic.jsonl", "mooncake", 3993, 1022.03),
    ],
)
def test_the_published_files_are_read_whole(file, format, requests, seconds):
    if not (SHARED / file).exists():
        pytest.skip(f"the trace file {file} is not at hand")
    trace = read_trace(SHARED / file, format)
    assert len(trace.rows) == requests
    assert trace.seconds == pytest.approx(seconds, abs=0.01)
    if format == "mooncake":
        assert 0.3 < sum(trace.shared_tokens()) / sum(row.prompt for row in trace.rows) < 0.9
