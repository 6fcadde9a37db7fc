"""Scenario files are data: what is read, what is refused, and in which line."""

from pathlib import Path

import pytest

from edgewright.simulator.errors import ScenarioError
from edgewright.simulator.loader import merged, read_document, shipped_scenarios


def read(tmp_path: Path, text: str, name: str = "case.yaml") -> dict[str, object]:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return dict(read_document(path).data)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a: no", "no"),
        ("a: on", "on"),
        ("a: yes", "yes"),
        ("a: true", True),
        ("a: False", False),
        ("a: 1:30", "1:30"),
        ("a: 010", 10),
        ("a: 0x1f", 31),
        ("a: 0o17", 15),
        ("a: 1e9", 1e9),
        ("a: -2.5E-3", -2.5e-3),
        ("a: .5", 0.5),
        ("a: .inf", float("inf")),
        ("a: 2024-01-01", "2024-01-01"),
        ("a: ~", None),
        ("a:", None),
        ("a: '12'", "12"),
        ("a: 12 W", "12 W"),
        ("a: 123456789012345678901", 123456789012345678901.0),
        ("a: [1, {b: 2}]", [1, {"b": 2}]),
    ],
)
def test_scalars_follow_the_core_schema_of_yaml_1_2(tmp_path: Path, text: str, value: object) -> None:
    found = read(tmp_path, text)["a"]
    assert found == value
    assert type(found) is type(value)


EXPLODING = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{below}'] * 10)}]\n" for below, name in zip("abcdef", "bcdefg", strict=True)
)

REFUSED = {
    "empty": ("", "is empty", 1),
    "only a comment": ("# nothing\n", "is empty", 1),
    "a list": ("- a\n- b\n", "holds a list, not a table", 1),
    "a word": ("hello\n", "holds a text, not a table", 1),
    "not YAML": ("a: 1\nb: [1, 2\n", "is not YAML", 3),
    "a tab": ("a:\n\tb: 1\n", "is not YAML", 2),
    "two documents": ("a: 1\n---\nb: 2\n", "is not YAML", 2),
    "a control character": ("a: \x07\n", "is not YAML", None),
    "a key twice": ("a: 1\nb: 2\na: 3\n", "is given twice, first in line 1", 3),
    "a nested key twice": ("a:\n  b: 1\n  b: 2\n", "a.b: is given twice", 3),
    "a boolean key": ("true: 1\n", "has the key 'true', which is not text", 1),
    "a number as key": ("a:\n  1: x\n", "has the key '1', which is not text", 2),
    "a list as key": ("? [a, b]\n: 1\n", "has the key 'a list or table', which is not text", 1),
    "a merge key": ("a: &a {x: 1}\nb:\n  <<: *a\n", "uses a merge key", 3),
    "a Python object": ("a: !!python/object/apply:os.system ['true']\n", "has the tag", 1),
    "a Python name": ("a: !!python/name:os.system\n", "has the tag", 1),
    "a tag that does not suit": ("a: !!int x\n", "has the tag", 1),
    "a boolean that is none": ("a: !!bool maybe\n", "has the tag", 1),
    "a tag of one's own": ("a: !secret x\n", "has the tag !secret", 1),
    "a set": ("a: !!set {x, y}\n", "has the tag", 1),
    "a recursive list": ("a: &a [1, *a]\n", "is an alias of a value that it is part of", 1),
    "a recursive table": ("a: &a\n  b: *a\n", "is an alias of a value that it is part of", 1),
    "an exploding alias": (EXPLODING, "has aliases that expand without bound", None),
    "an unknown alias": ("a: *nowhere\n", "is not YAML", 1),
    "too deep": ("a: " + "[" * 5000, "is nested too deeply", None),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_plain_data_is_refused(tmp_path: Path, case: str) -> None:
    text, problem, line = REFUSED[case]
    with pytest.raises(ScenarioError) as caught:
        read(tmp_path, text)
    assert problem in str(caught.value)
    assert str(tmp_path / "case.yaml") in str(caught.value)
    assert "; accepted: " in str(caught.value)
    if line is not None:
        assert caught.value.line == line


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "case.yaml"
    path.write_bytes(b"a: 1\nb: \xff\n")
    with pytest.raises(ScenarioError, match="is not UTF-8 text: byte 0xff") as caught:
        read_document(path)
    assert caught.value.line == 2


def test_a_large_file_is_refused_unread(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match="at most 1048576 bytes"):
        read(tmp_path, "# " + "x" * (1 << 20))


def test_a_directory_and_a_missing_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match="is a directory"):
        read_document(tmp_path)
    with pytest.raises(ScenarioError, match="is no file") as caught:
        read_document("quickstrat")
    assert "did you mean 'quickstart'?" in str(caught.value)


def test_lines_are_known_by_key(tmp_path: Path) -> None:
    path = tmp_path / "case.yaml"
    path.write_text("a:\n  b: 1\n  c:\n    - x\n    - {d: 2}\n", encoding="utf-8")
    places = read_document(path).origin.places
    assert [places[key].line for key in (("a",), ("a", "b"), ("a", "c"), ("a", "c", 0), ("a", "c", 1, "d"))] == [1, 2, 3, 4, 5]


def test_an_alias_may_repeat_a_value(tmp_path: Path) -> None:
    assert read(tmp_path, "a: &x {b: 1}\nc: *x\n") == {"a": {"b": 1}, "c": {"b": 1}}


def test_extends_lays_a_file_over_another(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text("a: {b: 1, c: 2}\nd: [1, 2]\ne: 5\n", encoding="utf-8")
    assert read(tmp_path, "extends: base.yaml\na: {b: 10}\nd: [3]\ne: null\n") == {"a": {"b": 10, "c": 2}, "d": [3]}


def test_lines_of_an_extended_file_name_that_file(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text("a: {b: 1}\n", encoding="utf-8")
    path = tmp_path / "case.yaml"
    path.write_text("extends: base.yaml\nc: 2\n", encoding="utf-8")
    places = read_document(path).origin.places
    assert (places["a", "b"].file, places["a", "b"].line) == ("base.yaml", 1)
    assert (places[("c",)].file, places[("c",)].line) == (str(path), 2)


@pytest.mark.parametrize(
    ("base", "problem"),
    [("extends: case.yaml\n", "extends itself"), (None, "is no file")],
)
def test_extends_must_end(tmp_path: Path, base: str | None, problem: str) -> None:
    if base is not None:
        (tmp_path / "base.yaml").write_text(base, encoding="utf-8")
    with pytest.raises(ScenarioError, match=problem):
        read(tmp_path, "extends: base.yaml\n")


def test_extends_takes_one_name(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match=r"extends: \['a', 'b'\] is refused"):
        read(tmp_path, "extends: [a, b]\n")


def test_merge_patch_of_rfc_7396() -> None:
    # The examples of RFC 7396, appendix A, whose documents are tables.
    assert merged({"a": "b"}, {"a": "c"}) == {"a": "c"}
    assert merged({"a": "b"}, {"a": None}) == {}
    assert merged({"a": ["b"]}, {"a": "c"}) == {"a": "c"}
    assert merged({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}) == {"a": {"b": "d"}}
    assert merged({"a": [{"b": "c"}]}, {"a": [1]}) == {"a": [1]}
    assert merged({}, {"a": {"bb": {"ccc": None}}}) == {"a": {"bb": {}}}


def test_shipped_scenarios_are_listed() -> None:
    assert shipped_scenarios() == ("hello", "overload", "quickstart", "solar", "unreliable")
