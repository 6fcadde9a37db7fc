"""Studies: pages say what their rows say, answers are read off them, and each study runs at a small size."""

import json
from dataclasses import replace
from math import inf, nan

import pandas as pd
import pytest
from click.testing import CliRunner

from edgewright.experiments.pages import save_picture, section
from edgewright.experiments.studies import Part, Source, find, names
from edgewright.experiments.studies.__main__ import main
from edgewright.experiments.studies.page import index, kept, recorded, results
from edgewright.experiments.studies.reading import Span, by_replicate, crossing, least, said
from edgewright.experiments.studies.study import FOLDER, REPLICATIONS, folder_of
from edgewright.experiments.studies.tables import crossed, table

# -- reading ---------------------------------------------------------------------------------------------------------------------------

PLACES = [0.25, 0.5, 4.0]


@pytest.mark.parametrize(
    ("first", "second", "where"),
    [
        ([0.25, 0.5, 4.0], [4.0, 2.0, 0.25], 1.0),  # x and 1 / x
        ([1.0, 1.0, 1.0], [2.0, 1.0, 0.125], 0.5),  # 1 and 1 / (2 x): they meet at a place
        ([2.0, 2.0, 2.0], [1.0, 1.0, 1.0], -inf),
        ([1.0, 1.0, 1.0], [2.0, 2.0, 2.0], inf),
        ([1.0, 1.0, 1.0], [1.0, 1.0, 1.0], inf),  # equal is not lower
        ([1.0, 1.0, nan], [2.0, 2.0, 2.0], 2.0**0.5),  # what has no figure is no lower: halfway from 0.5 to 4
        ([3.0, 1.0, 3.0], [2.0, 2.0, 2.0], 0.5 * 8 ** (1 / (1 + 0.5849625))),  # lower, higher, lower: from the last time on
    ],
)
def test_a_crossing_is_where_the_second_becomes_the_lower_one_for_good(first, second, where):
    """Between 0.5 and 4, a factor of 8, the last pair goes from 2 : 1 to 2 : 3 or log2 1 against log2 1.5 = 0.585."""
    assert crossing(PLACES, [first], [second]).tolist() == [pytest.approx(where)]


def test_replicates_cross_by_themselves():
    assert crossing([1.0, 4.0], [[1.0, 4.0], [2.0, 2.0]], [[4.0, 1.0], [1.0, 1.0]]).tolist() == [pytest.approx(2.0), -inf]


def test_the_least_place_from_which_on_it_holds():
    assert least([1, 2, 3], [[True, False, True], [True, True, True], [True, True, False]]).tolist() == [3.0, 1.0, inf]


def test_a_span_is_the_median_and_the_extremes():
    assert Span.of([3.0, 1.0, 2.0]) == Span(2.0, 1.0, 3.0)
    assert str(Span.of([3.0, 1.0, nan, 2.0])) == "2 (1 to 3)"
    assert str(Span.of([1.0, 1.0])) == "1"
    assert str(Span.of([nan])) == "–"
    assert str(Span.of([1.0, inf, inf])) == "never (1 to never)"


@pytest.mark.parametrize(
    ("value", "text"), [(0.01234, "0.0123"), (12.34, "12.3"), (1234.0, "1,230"), (131072.0, "131,000"), (-inf, "always")]
)
def test_numbers_have_three_figures_and_no_exponent(value, text):
    assert said(value) == text


ROWS = pd.DataFrame(
    {"link": ["a", "a", "b", "b"] * 2, "split": ["x"] * 4 + ["y"] * 4, "replicate": [0, 1] * 4, "reason": [""] * 7 + ["too large"]}
).assign(seconds=[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, nan])


def test_rows_by_replicate():
    found = by_replicate(ROWS, "seconds", "link", split="x")
    assert found.to_dict() == {"a": {0: 1.0, 1: 2.0}, "b": {0: 3.0, 1: 4.0}}


def test_tables_say_what_does_not_run():
    part = Part(factors={"link": {"a": {}, "b": {}}, "split": {"x": {}, "y": {}}}, figures={"seconds": "time (s)"})
    failing = ROWS.assign(reason=["f.yaml: no room"] * 2 + list(ROWS["reason"][2:]), seconds=[nan, nan, *ROWS["seconds"][2:]])
    assert table(part, failing).splitlines() == [
        "| link | split | time (s) |",
        "|---|---|---:|",
        "| a | x | does not run: no room |",
        "| b | x | 4 (3 to 4) |",
        "| a | y | 6 (5 to 6) |",
        "| b | y | 7; 1 of 2 do not run: too large |",
    ]
    assert crossed(ROWS, "seconds", "link", "split").splitlines()[2:] == ["| a | 2 (1 to 2) | 6 (5 to 6) |", "| b | 4 (3 to 4) | 7 |"]


# -- parts -----------------------------------------------------------------------------------------------------------------------------


def test_levels_stand_for_overrides():
    levels = {"fast": {"a": 1, "b": 2}, "slow": {"a": 3, "b": 4}}
    part = Part(factors={"link": levels, "n": {1: {"c": 1}, 2: {"c": 2}}}, figures={}, keep=lambda link, n: link == "fast" or n == 2)
    assert part.points == (("fast", 1), ("fast", 2), ("slow", 2))
    assert part.overrides() == {"a": [1, 1, 3], "b": [2, 2, 4], "c": [1, 2, 2]}


# -- the studies -----------------------------------------------------------------------------------------------------------------------

NAMES = ["ask-the-cloud", "boards-under-budget", "experts-in-ram", "kv-on-8gb", "tensor-or-pipeline"]
PARTS = [(name, part) for name in NAMES for part in find(name).parts]


def test_there_are_five():
    assert names() == NAMES
    with pytest.raises(ValueError, match="did you mean 'kv-on-8gb'"):
        find("kv-on-8")


@pytest.mark.parametrize("name", NAMES)
def test_a_page_says_what_its_rows_say(name):
    study = find(name)
    assert section("results", folder_of(name) / "README.md") == results(study, recorded(study))


def test_the_page_over_all_says_what_they_answer():
    assert section("answers", FOLDER / "README.md") == index()


@pytest.mark.parametrize("name", NAMES)
def test_pictures_are_drawn_from_the_rows_alone(name, tmp_path):
    """The same bytes twice; those that are kept, too, if this is the matplotlib that drew them."""
    study = find(name)
    for each in ("a.svg", "b.svg"):
        save_picture(study.picture(recorded(study)), tmp_path / each)
    drawn, stored = (tmp_path / "a.svg").read_text(), (folder_of(name) / "picture.svg").read_text()
    assert drawn == (tmp_path / "b.svg").read_text()
    if _drawn_with(drawn) == _drawn_with(stored):
        assert drawn == stored


def _drawn_with(svg):
    return svg.partition("Matplotlib v")[2].partition(",")[0]


@pytest.mark.parametrize(
    ("name", "part", "factor", "level", "figure", "times"),
    [
        ("ask-the-cloud", "questions", "where", "edge", "e2e_p50_s", 2.0),
        ("boards-under-budget", "switch", "boards", 5, "tokens_per_s", 0.5),
        ("experts-in-ram", "slots", "drive", "eMMC", "tpot_p50_s", 0.2),
        ("kv-on-8gb", "contexts", "policy", "full", "tpot_p50_s", 0.8),
        ("tensor-or-pipeline", "links", "split", "pipeline", "tpot_p50_s", 0.5),
    ],
)
def test_answers_follow_the_rows(name, part, factor, level, figure, times):
    study = find(name)
    rows = recorded(study)
    changed = rows[part].assign(**{figure: rows[part][figure].where(rows[part][factor] != level, rows[part][figure] * times)})
    assert study.answer({**rows, part: changed})[0] != study.answer(rows)[0]


@pytest.mark.parametrize(("name", "part"), PARTS)
def test_rows_are_complete(name, part):
    """Every point with every replicate, and nothing that failed."""
    study = find(name)
    rows, own = recorded(study)[part], study.parts[part]
    count = REPLICATIONS if isinstance(own, Source) or own.most is None else own.most
    assert set(rows["replicate"]) == set(range(count))
    assert list(rows.columns) == [*study.parts[part].factors, "replicate", "reason", *study.parts[part].figures]
    assert not any(rows["reason"])
    assert len(rows) == count * (len(own.points) if isinstance(own, Part) else rows.groupby(list(own.factors)).ngroups)


@pytest.mark.parametrize(("name", "part"), [(name, part) for name, part in PARTS if isinstance(find(name).parts[part], Part)])
def test_a_part_runs_at_a_small_size(name, part, tmp_path):
    """Its first point, twice."""
    study = find(name)
    own = study.parts[part]
    small = replace(
        own, factors={key: {level: levels[level]} for (key, levels), level in zip(own.factors.items(), own.points[0], strict=True)}
    )
    rows = small.rows(study.scenario, tmp_path / "runs", jobs=1, replications=2)
    assert list(rows.columns) == list(recorded(study)[part].columns)
    assert list(rows["reason"]) == ["", ""]
    assert rows[next(iter(own.figures))].notna().all()
    assert tuple(rows[list(own.factors)].iloc[0]) == own.points[0]


@pytest.mark.slow
def test_a_study_run_again_gives_its_rows(tmp_path):
    study = find("kv-on-8gb")
    for name, rows in study.run(tmp_path).items():
        (tmp_path / "rows.csv").write_text(kept(rows))
        found, stored = pd.read_csv(tmp_path / "rows.csv"), pd.read_csv(folder_of("kv-on-8gb") / f"{name}.csv")
        pd.testing.assert_frame_equal(found, stored, rtol=1e-5)  # they are kept with six digits


def call(*arguments, code=0):
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == code, done.output
    return done


def test_the_command_lists_answers_without_a_run():
    shown = call("--list").stdout
    assert all(f"{name}: {find(name).question}" in shown for name in NAMES)
    (only,) = json.loads(call("experts-in-ram", "--list", "--json").stdout)
    assert only["answer"] == list(find("experts-in-ram").answer(recorded(find("experts-in-ram"))))
    assert "did you mean" in call("expert-in-ram", code=2).stderr
