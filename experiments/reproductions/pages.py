"""What a reproduction leaves behind: `results.json`, the table and the picture of each system, and one page over all of them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from edgewright.experiments.pages import replace_section, save_picture
from edgewright.experiments.reproductions.catalogue import FOLDER, find, folder_of, names
from edgewright.experiments.reproductions.claims import Claim, System
from edgewright.experiments.reproductions.pictures import scatter
from edgewright.experiments.reproductions.running import Outcomes
from edgewright.experiments.reproductions.verdicts import VERDICTS, Row, rows_of

__all__ = ["figures", "overview", "recorded", "system_table", "write_overview", "write_system"]

_HEADER = "| claim | published | simulated | band | ratio | verdict |\n|---|---:|---:|---:|---:|---|"


def write_system(outcomes: Outcomes) -> None:
    """Renew a system's `results.json`, the section `results` of its README, and `picture.svg`."""
    system = find(outcomes.system)
    rows, folder = rows_of(system, outcomes), folder_of(system.name)
    sensitivity = _sensitivity(outcomes)
    drawn = system.picture(rows, outcomes)
    save_picture(drawn, folder / "picture.svg")
    text = json.dumps({"rows": [asdict(row) for row in rows], "sensitivity": sensitivity}, indent=1, ensure_ascii=False)
    (folder / "results.json").write_text(text + "\n", encoding="utf-8")
    replace_section("results", system_table(system, rows, sensitivity), folder / "README.md")


def recorded(name: str) -> tuple[list[Row], list[dict[str, Any]]]:
    """Rows and sensitivity of a system as its `results.json` has them."""
    found = json.loads((folder_of(name) / "results.json").read_text(encoding="utf-8"))
    return [Row(**row) for row in found["rows"]], found["sensitivity"]


def system_table(system: System, rows: Sequence[Row], sensitivity: Sequence[Mapping[str, Any]]) -> str:
    """The section of a system's README: claims beside what was simulated, why, and what each assumption changes."""
    claims = {claim.id: claim for claim in system.claims}
    lines = [_HEADER, *(_line(row, claims[row.claim]) for row in rows), ""]
    lines += [f"- `{row.claim}`: {row.reason}" for row in rows if row.reason]
    lines += ["", "| assumption | default | instead | what changes |", "|---|---|---|---|"]
    why = {each.name: each for each in system.assumptions}
    for change in sensitivity:
        moved = "; ".join(f"`{claim}` {figures(value)}" for claim, value in change["changed"].items()) or "nothing"
        name = change["assumption"]
        lines.append(f"| {name}: {why[name].why} | {why[name].default} | {change['value']} | {moved} |")
    return "\n".join(lines)


def write_overview() -> None:
    """Renew the page over all systems from their `results.json`, and its scatter plot."""
    found = {name: recorded(name)[0] for name in names()}
    save_picture(scatter(found), FOLDER / "scatter.svg")
    replace_section("claims", overview(found), FOLDER / "README.md")


def overview(found: Mapping[str, Sequence[Row]]) -> str:
    """Counts of verdicts by system, then every claim."""
    lines = ["| system | " + " | ".join(VERDICTS) + " |", "|---|" + "---:|" * len(VERDICTS)]
    total: Counter[str] = Counter()
    for name, rows in found.items():
        count = Counter(row.verdict for row in rows)
        total += count
        lines.append(f"| [{name}]({folder_of(name).name}/README.md) | " + " | ".join(str(count[each]) for each in VERDICTS) + " |")
    lines.append("| all | " + " | ".join(f"**{total[each]}**" for each in VERDICTS) + " |")
    for name, rows in found.items():
        system = find(name)
        claims = {claim.id: claim for claim in system.claims}
        lines += ["", f"### {name}: {system.title}", "", _HEADER.replace("verdict |\n", "verdict | why |\n") + "---|"]
        lines += [f"{_line(row, claims[row.claim])} {row.reason} |" for row in rows]
    return "\n".join(lines)


def figures(value: Any) -> str:
    """A value as people read it: three figures, lists joined, yes and no; a dash for none."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "holds" if value else "does not hold"
    if isinstance(value, list | tuple):
        return ", ".join(figures(each) for each in value)
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _line(row: Row, claim: Claim) -> str:
    against = "" if claim.versus in ("", "none") else f" against {claim.versus}"
    where = f"; {claim.conditions}" if claim.conditions else ""
    band = "–" if row.low is None else figures(row.low) if row.low == row.high else _band(row)
    cells = (
        f"`{row.claim}`: {claim.metric}, {claim.unit}{against}{where} ({claim.source})",
        _published(row, claim),
        figures(row.simulated),
        band,
    )
    return "| " + " | ".join(" ".join(cell.split()) for cell in (*cells, figures(row.ratio), row.verdict)) + " |"


def _published(row: Row, claim: Claim) -> str:
    if claim.kind == "range" and isinstance(row.published, list):
        return " to ".join(figures(each) for each in row.published)
    return "the statement" if claim.kind == "order" else figures(row.published)


def _band(row: Row) -> str:
    if isinstance(row.low, list):
        return ", ".join(f"{figures(low)} to {figures(high)}" for low, high in zip(row.low, row.high, strict=True))
    if isinstance(row.low, bool):
        return "holds in some variants"
    return f"{figures(row.low)} to {figures(row.high)}"


def _sensitivity(outcomes: Outcomes) -> list[dict[str, Any]]:
    """Per alternative the claims whose value is another than at the defaults."""
    return [
        {
            "assumption": name,
            "value": value,
            "changed": {claim: found for claim, found in values.items() if _differs(found, outcomes.default[claim])},
        }
        for name, value, values in outcomes.variants
    ]


def _differs(found: Any, default: Any) -> bool:
    return found is not None and figures(found) != figures(default)
