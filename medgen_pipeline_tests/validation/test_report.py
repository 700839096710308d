"""A report says the same in cells, as JSON and as a page."""

import json
from pathlib import Path
from typing import Any

import pytest

from medgen_pipeline.dataset.invariants import InvariantResult
from medgen_pipeline.validation import report as reports
from medgen_pipeline.validation.checks import COIN
from medgen_pipeline.validation.report import Report
from medgen_pipeline.validation.table import ENOUGH_REPLICATES, check_table
from medgen_pipeline_tests.validation.casualties import commit, hit


@pytest.fixture
def report(tmp_path: Path) -> Report:
    """Return a report on data with one death in ten, of men and women of 26."""
    cast = [hit(age_years=26, sex="female" if n % 2 else "male") for n in range(9)]
    cast.append(hit(outcome="KIA"))
    dataset = commit(tmp_path, {COIN: cast}, replicates=ENOUGH_REPLICATES)
    rule = InvariantResult("one_end_last", "a timeline ends with its only end", 2, ("a row",))
    return Report("a test", check_table(dataset), (rule,), "all rows read")


def entry(report: Report, name: str) -> Any:  # noqa: ANN401
    checks = json.loads(reports.as_json(report))["checks"]
    return next(one for one in checks if one["id"] == name)


def test_the_document_has_the_promised_shape(report: Report) -> None:
    """One entry a check, with every promised key; then invariants and scenarios."""
    document = json.loads(reports.as_json(report))
    promised = {
        *("id", "scenario", "statistic", "value", "low", "high", "target", "tolerance"),
        *("source", "basis", "passed"),
    }
    assert [one["id"] for one in document["checks"]] == [f"O{n}" for n in range(1, 23)]
    assert all(promised <= one.keys() for one in document["checks"])
    assert document["invariants"] == [
        {
            "name": "one_end_last",
            "description": "a timeline ends with its only end",
            "violations": 2,
            "sample": ["a row"],
        }
    ]
    assert [one["scenario"] for one in document["scenarios"]] == [COIN]


def test_a_check_that_passes_in_the_document(report: Report) -> None:
    """O6: 1 of 10 died."""
    found = entry(report, "O6")
    assert found["value"] == 10
    assert found["target"] == 9.35
    assert found["tolerance"] == [7.1, 11.6]
    assert found["passed"] is True


def test_the_part_that_fails_stands_for_its_check(report: Report) -> None:
    """O16: 5 of 9 wounded are men, where 98.8 % should be."""
    found = entry(report, "O16")
    assert found["passed"] is False
    assert found["value"] == pytest.approx(100 * 5 / 9)
    assert [part["passed"] for part in found["parts"]] == [True, False]


def test_what_is_not_decided_is_null_in_the_document(report: Report) -> None:
    found = entry(report, "O22")
    assert found["passed"] is None
    assert found["value"] is None
    assert found["undecided"] == "missing: no data of sarin"


def test_the_page_has_every_check_rule_and_scenario(report: Report) -> None:
    page = reports.markdown(report)
    for name in [f"| O{number} |" for number in range(1, 23)]:
        assert name in page
    assert "| `one_end_last` | a timeline ends with its only end | 2 |" in page
    assert f"| {COIN} | 10 | 10 |" in page
    assert "O22 is undecided. missing: no data of sarin." in page
    assert "1 of 1 invariants are broken" in page


def test_a_figure_bears_its_unit(report: Report) -> None:
    """Daily rates stand beside percentages, and minutes are medians."""
    (figures,) = report.table.scenarios
    cells = dict(zip(reports.FIGURE_HEADINGS, reports.figure_cells(figures), strict=True))
    assert cells["CFR %"] == "10"
    assert cells["disease /1,000/day"] == cells["non-battle injury /1,000/day"] == "0"
    assert cells["median min to surgery"] == "none"
    assert " | disease /1,000/day | non-battle injury /1,000/day | " in reports.markdown(report)


def test_the_conclusion_adds_up(report: Report) -> None:
    assert len(report.failed) + len(report.undecided) < 22
    passed = 22 - len(report.failed) - len(report.undecided)
    assert report.conclusion.startswith(f"{passed} of 22 checks pass, {len(report.failed)} fail")


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "none"), (0.0, "0"), (9.349, "9.35"), (0.01234, "0.0123"), (1234.5, "1234")],
)
def test_numbers_are_three_digits(value: float | None, text: str) -> None:
    assert reports.number(value) == text
