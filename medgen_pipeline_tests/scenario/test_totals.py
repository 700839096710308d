import pytest

from medgen_pipeline.scenario.catalogue import Catalogue
from medgen_pipeline.scenario.totals import class_mix, expected_patients, strength
from medgen_pipeline.scenario.validation import parse
from medgen_pipeline_tests.scenario.examples import data_of, smallest


def test_an_exact_total_is_expected_exactly() -> None:
    """Nothing is drawn, so nothing is on average."""
    assert expected_patients(parse(smallest())) == 50


def test_rates_expect_means_times_strength_times_days() -> None:
    """Of 5,000 at 4.40 per 1,000 a day, 440 are hurt or ill in twenty days."""
    assert expected_patients(Catalogue().get("conventional")) == pytest.approx(440)


def test_a_rate_may_grow_with_the_intensity() -> None:
    """At high intensity by half: 1.5 times 2.36, and 2.04 as before."""
    data = data_of("conventional") | {"intensity": "high"}
    data["rates"]["battle_injury"]["scaled_by_intensity"] = True
    assert expected_patients(parse(data)) == pytest.approx((1.5 * 2.36 + 2.04) * 100)


def test_the_mix_is_as_given_or_as_the_rates_have_it() -> None:
    """And sums to 1; without either, it is left to the warfare types."""
    assert class_mix(Catalogue().get("demo")) == {
        "battle_injury": 0.6,
        "non_battle_injury": 0.15,
        "disease": 0.25,
    }
    assert sum((class_mix(Catalogue().get("conventional")) or {}).values()) == pytest.approx(1)
    assert class_mix(parse(smallest())) is None


def test_strength_is_that_of_all_fronts() -> None:
    """Both of them."""
    assert strength(Catalogue().get("demo")) == 18_000
