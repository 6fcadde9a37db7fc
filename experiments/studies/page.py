"""What a study leaves behind: its rows, the section `results` of its page, and its picture; and one page over all."""

from __future__ import annotations

from io import StringIO
from math import exp
from typing import TYPE_CHECKING

from edgewright.experiments.pages import replace_section, save_picture
from edgewright.experiments.studies.study import FOLDER, Rows, Study, find, folder_of, names
from edgewright.experiments.studies.tables import table

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["index", "kept", "recorded", "results", "write_index", "write_study"]


def kept(frame: pd.DataFrame) -> str:
    """Rows as CSV, figures to six digits."""
    return frame.to_csv(index=False, float_format="%.6g", lineterminator="\n")


def recorded(study: Study) -> Rows:
    """The rows of a study that stand beside its page."""
    return {name: _read((folder_of(study.name) / f"{name}.csv").read_text(encoding="utf-8")) for name in study.parts}


def write_study(study: Study, rows: Rows) -> None:
    """Renew a study's rows, the section `results` of its page, and `picture.svg`."""
    folder = folder_of(study.name)
    for name, frame in rows.items():
        (folder / f"{name}.csv").write_text(kept(frame), encoding="utf-8")
    stored = recorded(study)
    save_picture(study.picture(stored), folder / "picture.svg")
    replace_section("results", results(study, stored), folder / "README.md")


def results(study: Study, rows: Rows) -> str:
    """The section of a study's page: answer, picture, tables, and what the ranges hold."""
    first, *further = study.answer(rows)
    parts = [f"**{first}**", *further, f"![{study.question}](picture.svg)"]
    shown = {title: each(rows) if callable(each) else table(study.parts[each], rows[each]) for title, each in study.tables.items()}
    parts += [f"{title}\n\n{text}" for title, text in shown.items()]
    parts.append(f"All runs: {', '.join(f'[{name}.csv]({name}.csv)' for name in study.parts)}.")
    count = max(int(frame["replicate"].max()) + 1 for frame in rows.values())
    return "\n\n".join([*parts, _uncertain(study, count)])


def index() -> str:
    """Question and answer of every study."""
    lines = ["| question | answer |", "|---|---|"]
    for name in names():
        study = find(name)
        lines.append(f"| [{study.question}]({folder_of(name).name}/README.md) | {study.answer(recorded(study))[0]} |")
    return "\n".join(lines)


def write_index() -> None:
    """Renew the page over all studies."""
    replace_section("answers", index(), FOLDER / "README.md")


def _read(text: str) -> pd.DataFrame:
    import pandas as pd

    return pd.read_csv(StringIO(text), dtype={"reason": str}).fillna({"reason": ""})


def _uncertain(study: Study, count: int) -> str:
    """What the ranges hold: chance, and how far each device's figures may be off."""
    from edgewright.simulator.confidence import uncertain_figures
    from edgewright.simulator.scenario import Scenario

    scenario = Scenario.load(study.scenario)
    known = uncertain_figures(scenario)
    lines = []
    for group, given in scenario.cluster.devices.items():
        main = next(figure for figure in known[group] if figure.endswith(".time"))
        time, power = (f"x{exp(known[group][name].low):.2f} to x{exp(known[group][name].high):.2f}" for name in (main, "power"))
        software = f"{given.software}, measured" if given.software else "datasheet efficiencies"
        lines.append(f"`{group}` ({given.device}, {software}): time {time}, power {power}")
    between = f"between them a further one lies {(count - 1) / (count + 1):.0%} of the time"
    return (
        f"Medians over {count} replicates, in brackets the least and the greatest: {between}. Each has a seed and a draw of its devices'"
        " errors of its own, the same at every point; nine in ten devices lie within, as measured against predicted:"
        f" {'; '.join(lines)}."
    )
