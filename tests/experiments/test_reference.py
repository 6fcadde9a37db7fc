"""Reference pages hold what the houses export, with its docstrings."""

import inspect

import pytest

from edgewright.experiments.reference import HOUSES, page
from edgewright.simulator import simulate


@pytest.mark.parametrize("house", HOUSES)
def test_the_page_of_a_house_begins_with_its_reading_guide_and_names_no_folder_of_this_machine(house, repository):
    text = page(house)
    assert text.startswith(f"# {house}\n")
    assert "Read" in text.partition("\n## ")[0]
    assert str(repository) not in text


def test_a_name_stands_with_signature_and_docstring():
    text = page("simulator")
    assert "### simulate\n" in text
    assert inspect.getdoc(simulate) in text
    assert "**override**" in text
