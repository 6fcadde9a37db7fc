"""The colours of the report: named ones are known to both themes, and lines and words stand out from either ground."""

import re
from pathlib import Path

import pytest

from edgewright.simulator import report
from edgewright.simulator.report import render
from edgewright.simulator.report.figure import PALETTE

STYLE = (Path(report.__file__).parent / "style.css").read_text()
LIGHT, DARK = (dict(re.findall(r"(--[a-z0-9-]+): ([^;]+);", STYLE.split("@media screen")[part].split("* {")[0])) for part in (0, 1))
THEMES = pytest.mark.parametrize("theme", [LIGHT, LIGHT | DARK], ids=["light", "dark"])


def contrast(colour, ground):
    """Of two colours, as WCAG 2.2 defines it."""
    bright = sorted((_luminance(colour), _luminance(ground)))
    return (bright[1] + 0.05) / (bright[0] + 0.05)


def _luminance(colour):
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_a_page_names_no_colour_that_a_theme_lacks(made_up):
    named = set(re.findall(r"var\((--[a-z0-9-]+)\)", render(made_up())))
    assert len(named) > 10
    assert named <= set(LIGHT)
    assert set(LIGHT) == set(DARK)


@THEMES
def test_lines_stand_out_from_the_ground(theme):
    """Faint yellow on white has 1.3."""
    shown = [theme[each[4:-1]] if each.startswith("var(") else each for each in PALETTE]
    assert min(contrast(colour, theme["--card"]) for colour in shown) > 2
    assert min(contrast(colour, theme["--window"]) for colour in shown) > 1.9


@THEMES
@pytest.mark.parametrize("ground", ["--card", "--ground"])
def test_words_are_legible(theme, ground):
    """4.5 is what WCAG 2.2 asks of small text (level AA)."""
    words = ("--ink", "--soft", "--failure", "--measured", "--datasheet", "--assumed")
    assert min(contrast(theme[each], theme[ground]) for each in words) >= 4.5


@THEMES
def test_busier_is_farther_from_the_ground(theme):
    shades = [contrast(theme[f"--busy-{step}"], theme["--card"]) for step in range(5)]
    assert shades == sorted(shades)
    assert shades[0] > 1.2
