import datetime as dt
from collections.abc import Callable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from medgen_pipeline.simulation import calendar

EPOCH = dt.date(1970, 1, 1)


def interpreted(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return what was marked for compilation as Python runs it."""
    return function.py_func  # type: ignore[attr-defined, no-any-return]


@given(st.dates(dt.date(1600, 1, 1), dt.date(2400, 12, 31)))
def test_dates_are_those_of_the_standard_library(date: dt.date) -> None:
    """Day number and date agree with datetime, both ways."""
    days = (date - EPOCH).days
    assert interpreted(calendar.date_of)(days) == (date.year, date.month, date.day)
    assert interpreted(calendar.days_to)(date.year, date.month, date.day) == days


def test_leap_years_follow_the_gregorian_rule() -> None:
    """Centuries are leap years only every fourth time."""
    is_leap = interpreted(calendar.is_leap)
    assert [year for year in (1900, 2000, 2023, 2024, 2100) if is_leap(year)] == [2000, 2024]
