"""How many casualties a scenario leads to, and of which class: before anything is drawn."""

from medgen_pipeline.reference.warfare import warfare
from medgen_pipeline.scenario.model import DayRate, Scenario


def expected_patients(scenario: Scenario) -> float:
    """Return the total of patients, or the mean total that the rates lead to."""
    if scenario.rates is None:
        return float(scenario.patients or 0)
    daily_per_1000 = sum(rate_means(scenario).values())
    return daily_per_1000 * strength(scenario) / 1000 * scenario.days


def strength(scenario: Scenario) -> int:
    """Return the persons at risk of all fronts."""
    return sum(front.strength for front in scenario.fronts)


def class_mix(scenario: Scenario) -> dict[str, float] | None:
    """Return the share of each class as given or as the rates have it, None if neither says."""
    if scenario.rates is None:
        return scenario.class_mix.model_dump() if scenario.class_mix else None
    means = rate_means(scenario)
    return {name: mean / sum(means.values()) for name, mean in means.items()}


def rate_means(scenario: Scenario) -> dict[str, float]:
    """Return the mean rate of each class, casualties per 1,000 and day; empty without rates."""
    factor = warfare().intensity[scenario.intensity].patient_factor
    rates: dict[str, DayRate] = dict(scenario.rates or {})
    return {
        name: rate.mean_per_1000 * (factor if rate.scaled_by_intensity else 1.0)
        for name, rate in rates.items()
    }
