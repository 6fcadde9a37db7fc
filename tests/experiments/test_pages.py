"""Sections of pages that commands write."""

import pytest

from edgewright.experiments.pages import replace_section, section


def test_a_section_is_replaced_and_the_rest_of_the_page_stays(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("head\n<!-- one -->\nold\n<!-- /one -->\ntail\n", encoding="utf-8")
    assert section("one", page) == "old"
    replace_section("one", "new", page)
    assert page.read_text(encoding="utf-8") == "head\n<!-- one -->\n\nnew\n\n<!-- /one -->\ntail\n"
    with pytest.raises(ValueError, match="has no marks <!-- two -->"):
        replace_section("two", "new", page)
