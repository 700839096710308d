"""The diagnosis written down for each casualty by the last who made one: right, or like it.

It decides nothing, so it is drawn when the replicate is over.
"""

from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from medgen_pipeline.reference import conditions, diagnoses
from medgen_pipeline.scenario.model import Scenario
from medgen_pipeline.simulation import streams
from medgen_pipeline.simulation.compiled import entry_point
from medgen_pipeline.simulation.state import NEVER_SEEN

DIAGNOSIS: Final = streams.TRIAGE + 4


class DiagnosisTables(NamedTuple):
    """What diagnoses are drawn from; codes are indices of `conditions.concepts()`."""

    accuracy: npt.NDArray[np.float64]  # by contact
    first: npt.NDArray[np.int32]  # [code, site], of a run in `others`
    length: npt.NDArray[np.int32]  # [code, site], of the run
    others: npt.NDArray[np.int16]  # what a wound at a site, or an illness, may be taken for


def diagnosis_tables(scenario: Scenario) -> DiagnosisTables:
    """Return the tables of a scenario."""
    changed = scenario.overrides.diagnostic_accuracy
    accuracy = [changed.get(level, share) for level, share in diagnoses.accuracy().items()]
    concepts, sites = conditions.concepts(), conditions.sites()
    first = np.zeros((len(concepts), len(sites)), np.int32)
    length = np.zeros_like(first)
    others: list[int] = []
    for code, concept in enumerate(concepts):
        for place, site in enumerate(sites):
            run = diagnoses.mistaken_for(concept.code, site.name)
            first[code, place], length[code, place] = len(others), len(run)
            others += [conditions.concept_numbers()[other] for other in run]
    return DiagnosisTables(
        np.array(accuracy),
        first,
        length,
        np.array(others, np.int16),
    )


@entry_point
def written_down(
    tables: DiagnosisTables,
    key_0: Any,
    key_1: Any,
    subjects: npt.NDArray[np.int64],
    code: npt.NDArray[np.int16],
    site: npt.NDArray[np.uint8],
    last_contact: npt.NDArray[np.uint8],
) -> npt.NDArray[np.int16]:
    """Return the code recorded for each subject, -1 for those whom nobody saw."""
    recorded = np.empty(len(subjects), np.int16)
    for index in range(len(subjects)):
        recorded[index] = -1
        if last_contact[index] == NEVER_SEEN:
            continue
        right, which, _, _ = streams.uniforms(key_0, key_1, subjects[index], DIAGNOSIS)
        true, place = code[index], site[index]
        recorded[index] = true
        if right >= tables.accuracy[last_contact[index]]:
            run = tables.length[true, place]
            recorded[index] = tables.others[tables.first[true, place] + int(which * run)]
    return recorded
