"""Calendar dates and day numbers since 1970-01-01, for compiled code.

Source: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms" (2013): years begin in March,
so the leap day is the last, and 400 of them make an era of 146,097 days.
"""

from medgen_pipeline.simulation.compiled import jit


@jit
def date_of(days: int) -> tuple[int, int, int]:
    """Return year, month and day of a day number."""
    shifted = days + 719_468
    era = shifted // 146_097
    day_of_era = shifted - era * 146_097
    year_of_era = (
        day_of_era - day_of_era // 1_460 + day_of_era // 36_524 - day_of_era // 146_096
    ) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    shifted_month = (5 * day_of_year + 2) // 153
    month = shifted_month + 3 if shifted_month < 10 else shifted_month - 9
    day = day_of_year - (153 * shifted_month + 2) // 5 + 1
    return year_of_era + era * 400 + (month <= 2), month, day


@jit
def days_to(year: int, month: int, day: int) -> int:
    """Return the day number of a date."""
    year -= month <= 2
    era = year // 400
    year_of_era = year - era * 400
    day_of_year = (153 * (month - 3 if month > 2 else month + 9) + 2) // 5 + day - 1
    day_of_era = year_of_era * 365 + year_of_era // 4 - year_of_era // 100 + day_of_year
    return era * 146_097 + day_of_era - 719_468


@jit
def is_leap(year: int) -> bool:
    """Return whether a year has a 29 February."""
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
