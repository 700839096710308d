"""The check table with all that belongs to it, as cells to print, as JSON and as a page."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from medgen_pipeline.dataset.invariants import InvariantResult
from medgen_pipeline.validation.checks import Band
from medgen_pipeline.validation.figures import ScenarioFigures
from medgen_pipeline.validation.statistics import Estimate
from medgen_pipeline.validation.table import (
    ENOUGH_PATIENTS,
    ENOUGH_REPLICATES,
    CheckResult,
    PartResult,
    Table,
)

Cells = tuple[str, ...]

CHECK_HEADINGS: Final = (
    "id",
    "scenario",
    "statistic",
    "value",
    "95 %",
    "target",
    "passes",
    "unit",
    "basis",
    "source",
    "result",
)
FIGURE_HEADINGS: Final = (
    "scenario",
    "patients",
    "CFR %",
    "%KIA",
    "%DOW",
    "WIA:KIA",
    "disease /1,000/day",
    "non-battle injury /1,000/day",
    "RTD %",
    "median min to care",
    "median min to facility",
    "median min to surgery",
)
RESULTS: Final = {True: "pass", False: "FAIL", None: "undecided"}


@dataclass(frozen=True, slots=True)
class Report:
    """What was measured on which data; `data` and `rows_checked` say it in words."""

    data: str
    table: Table
    invariants: tuple[InvariantResult, ...]
    rows_checked: str

    @property
    def failed(self) -> list[CheckResult]:
        """The checks that failed."""
        return [result for result in self.table.checks if result.passed is False]

    @property
    def undecided(self) -> list[CheckResult]:
        """The checks that the data do not decide."""
        return [result for result in self.table.checks if result.passed is None]

    @property
    def broken(self) -> list[InvariantResult]:
        """The invariants that some row breaks."""
        return [result for result in self.invariants if result.violations]

    @property
    def conclusion(self) -> str:
        """How many checks pass, fail and stay open, in one line."""
        checks = self.table.checks
        passed = len(checks) - len(self.failed) - len(self.undecided)
        return (
            f"{passed} of {len(checks)} checks pass, {len(self.failed)} fail, "
            f"{len(self.undecided)} undecided"
        )


def document(report: Report) -> dict[str, Any]:
    """Return a report as JSON has it: one entry a check, its parts within."""
    return {
        "data": report.data,
        "checks": [_check(result) for result in report.table.checks],
        "invariants": [asdict(result) for result in report.invariants],
        "scenarios": [asdict(figures) for figures in report.table.scenarios],
    }


def _check(result: CheckResult) -> dict[str, Any]:
    check = result.check
    return {
        "id": check.id,
        **_part(result.decisive),
        "scenario": ", ".join(check.scenarios),
        "source": check.source,
        "basis": check.basis,
        "passed": result.passed,
        "undecided": result.undecided,
        "parts": [_part(part) | {"passed": part.passed} for part in result.parts],
    }


def _part(result: PartResult) -> dict[str, Any]:
    part, found = result.part, result.found
    return {
        "scenario": ", ".join(part.scenarios),
        "statistic": part.statistic,
        "value": found.value,
        "low": found.low,
        "high": found.high,
        "target": part.target,
        "tolerance": list(part.band),
        "unit": part.unit,
    }


def check_cells(result: CheckResult) -> list[Cells]:
    """Return the lines of a check, one a part; the first bears its id, basis and source."""
    check = result.check
    heads = [(check.id, check.basis, check.source), *[("", "", "")] * (len(result.parts) - 1)]
    return [
        (
            name,
            ", ".join(each.part.scenarios),
            each.part.statistic,
            number(each.found.value),
            interval(each.found),
            number(each.part.target),
            band(each.part.band),
            each.part.unit,
            basis,
            source,
            RESULTS[None if result.undecided else each.passed],
        )
        for each, (name, basis, source) in zip(result.parts, heads, strict=True)
    ]


def figure_cells(figures: ScenarioFigures) -> Cells:
    """Return the figures of a scenario as they are printed."""
    return (
        figures.scenario,
        f"{figures.patients:,}",
        number(figures.case_fatality_percent),
        number(figures.killed_percent),
        number(figures.died_of_wounds_percent),
        number(figures.wounded_per_killed),
        number(figures.disease_per_1000_per_day),
        number(figures.non_battle_injury_per_1000_per_day),
        number(figures.returned_to_duty_percent),
        number(figures.median_minutes_to_first_care),
        number(figures.median_minutes_to_facility),
        number(figures.median_minutes_to_surgery),
    )


def number(value: float | None) -> str:
    """Return a value to three digits or the full units, whichever is more."""
    if value is None:
        return "none"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"  # noqa: PLR2004  three digits


def interval(found: Estimate) -> str:
    """Return the ends of an interval."""
    return "" if found.low is None else f"{number(found.low)} to {number(found.high)}"


def band(ends: Band) -> str:
    """Return the values that pass."""
    least, most = ends
    return f"{number(least)} or more" if most is None else f"{number(least)} to {number(most)}"


def markdown(report: Report) -> str:
    """Return a report as a page."""
    checks = [cells for result in report.table.checks for cells in check_cells(result)]
    invariants = [
        (f"`{one.name}`", one.description, f"{one.violations:,}") for one in report.invariants
    ]
    figures = [figure_cells(one) for one in report.table.scenarios]
    parts = (
        "# Validation",
        f"""Written by `medgen validate --write`, from {report.data}. {report.conclusion};
{len(report.broken)} of {len(report.invariants)} invariants are broken.""",
        "## Checks against published figures",
        _ABOUT_CHECKS,
        _grid(CHECK_HEADINGS, checks),
        *(f"{one.check.id} is undecided. {one.undecided}." for one in report.undecided),
        "## Invariants",
        f"Rows that break a rule, in {report.rows_checked}.",
        _grid(("rule", "what is true", "rows that break it"), invariants),
        "## Scenarios",
        _ABOUT_FIGURES,
        _grid(FIGURE_HEADINGS, figures),
    )
    return "\n\n".join(parts) + "\n"


_ABOUT_CHECKS: Final = f"""\
A check passes when every value of it lies within the values that pass, ends included. The 95 %
interval is a bootstrap over days of replicates and takes no part in that. A check is undecided when
the data hold fewer than {ENOUGH_PATIENTS:,} patients and fewer than {ENOUGH_REPLICATES} replicates
of a scenario it needs; what is counted by the day needs the replicates.

"calibrated" means that a parameter was fitted to, or set to, this very number: a pass shows that
the fit holds, not that the model is right. "emergent" means that nobody fitted it.

Hit in battle is every battle injury; killed in action (KIA) is who of them died before any
treatment facility, died of wounds (DOW) who died after reaching one, and the wounded are all but
the KIA. Definitions: Holcomb et al., Journal of Trauma 2006."""

_ABOUT_FIGURES: Final = """\
CFR is KIA and DOW among all hit in battle. %KIA is KIA among KIA and the wounded not back on duty
within 72 hours, %DOW is DOW among the latter. Disease and non-battle injury are per 1,000 strength
and day. RTD is the share of all patients who returned to duty. Minutes are medians of battle and
non-battle injured who got that far, from the injury."""


def _grid(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = (headings, ["---"] * len(headings), *rows)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def as_json(report: Report) -> str:
    """Return a report as one JSON document."""
    return json.dumps(document(report))
