"""Every figure under `reference/` says where it comes from."""

from typing import Final

import pytest

from medgen_pipeline.reference.physiology import figures
from medgen_pipeline.reference.provenance import MARKS, Parameter, parameters
from medgen_pipeline.reference.vocabulary import TREATMENTS, WARFARE_TYPES

BY_PATH: Final[dict[tuple[str, str], Parameter]] = {
    (one.file, one.path): one for one in parameters()
}


def test_every_figure_has_a_source_and_marks() -> None:
    for one in parameters():
        assert one.origin.source, one.path
        assert set(one.origin.mark.split(", ")) <= set(MARKS), one.path


def test_a_choice_of_our_own_is_marked_and_names_what_fixed_it() -> None:
    """A check of the validation table, or "judgement"; a source that says so is marked so."""
    for one in parameters():
        is_ours = "X" in one.origin.mark
        assert not is_ours or one.origin.check, one.path
        assert is_ours or "our own" not in one.origin.source.lower(), one.path


def test_figures_that_stand_alone_are_listed_one_by_one() -> None:
    assert {path for file, path in BY_PATH if file == "physiology"} == figures().keys()
    one = BY_PATH["physiology", "fatal_blood_share"]
    assert one.value == 0.40
    assert one.unit == "share of normal volume"
    assert one.origin.mark == "V"


def test_tables_of_figures_are_listed_as_one() -> None:
    assert {path for file, path in BY_PATH if file == "treatments"} == set(TREATMENTS)
    shares = {path for file, path in BY_PATH if file == "mechanisms" and "battle" in path}
    assert shares == {f"battle.share.{name}" for name in WARFARE_TYPES}


@pytest.mark.parametrize(
    ("file", "path", "source", "mark", "check"),
    [
        ("mechanisms", "battle.share.urban", "Owens 2008 and Belmont 2012", "V, V2, X", "O1, O2"),
        ("treatments", "tourniquet", "minutes: SIMEDIS", "X", "O18"),
        ("treatments", "chest_tube", "which and in what order: TCCC", "X", "judgement"),
        ("nations", "nation.BEL.blood", "Wikipedia", "V", ""),
        ("nations", "nation.USA.blood", "from memory", "M", ""),
        ("warfare", "types.urban.mass_casualty.persons", "medical-patients", "V", ""),
        ("warfare", "types.urban.mass_casualty.spread_minutes", "our own", "X", "judgement"),
        ("warfare", "types.artillery.mass_casualty.spread_minutes", "medical-patients", "V", ""),
        ("conditions", "disease.rows.25374005", "weights, severities", "X", "judgement"),
    ],
)
def test_the_nearest_source_counts(
    file: str, path: str, source: str, mark: str, check: str
) -> None:
    """Beside the figure, else in a table above it, else in `provenance.toml`."""
    origin = BY_PATH[file, path].origin
    assert origin.source.startswith(source)
    assert (origin.mark, origin.check) == (mark, check)
