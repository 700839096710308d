"""What a run of each shipped scenario comes to, in few numbers that can be read and reviewed."""

from pathlib import Path
from typing import Any, Final

import numpy as np
import yaml

from medgen_pipeline.reference import vocabulary
from medgen_pipeline.scenario.catalogue import Catalogue
from medgen_pipeline.scenario.scaling import with_patients
from medgen_pipeline_tests.simulation.running import Columns, tables

PATIENTS: Final = 2_000
FILE: Final = Path(__file__).with_suffix(".yaml")
COUNTED: Final = {
    "outcome": vocabulary.OUTCOMES,
    "casualty_class": vocabulary.CASUALTY_CLASSES,
    "mechanism_group": vocabulary.MECHANISM_GROUPS,
    "triage_true": vocabulary.TRIAGE_CATEGORIES,
    "triage_assigned": vocabulary.TRIAGE_CATEGORIES,
    "death_cause": vocabulary.DEATH_CAUSES,
}
MEDIANS: Final = (
    "minutes_to_first_care",
    "minutes_to_tourniquet",
    "minutes_to_facility",
    "minutes_to_surgery",
)

Summary = dict[str, dict[str, Any]]


def summary(scenario_id: str) -> Summary:
    """Return the summary of replicate 0 of a shipped scenario."""
    found = tables(with_patients(Catalogue().get(scenario_id), PATIENTS))
    patients = found["patients"]
    return {
        "rows": {name: len(next(iter(columns.values()))) for name, columns in found.items()},
        **{column: _counts(patients, column) for column in COUNTED},
        "median": {name: _median(patients, name) for name in MEDIANS},
        "sum": {"blood_units": int(patients["blood_units"].sum())},
    }


def _counts(patients: Columns, column: str) -> dict[str, int]:
    """Return how many patients have each word, without those that nobody has."""
    words = COUNTED[column]
    given = patients[column][patients[column] >= 0]
    counts = np.bincount(given, minlength=len(words)).tolist()
    return {word: count for word, count in zip(words, counts, strict=True) if count}


def _median(patients: Columns, column: str) -> float | None:
    values = patients[column][~np.isnan(patients[column])]
    return round(float(np.median(values)), 1) if len(values) else None


def reviewed() -> dict[str, Summary]:
    """Return the summaries that were reviewed last."""
    found: dict[str, Summary] = yaml.safe_load(FILE.read_text())
    return found


def refresh() -> None:
    """Write the summaries of today; the difference is to be reviewed and committed by itself."""
    new = {scenario_id: summary(scenario_id) for scenario_id in Catalogue().ids()}
    FILE.write_text(yaml.safe_dump(new, sort_keys=False, default_flow_style=None, width=100))
