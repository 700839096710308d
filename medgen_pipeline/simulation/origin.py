"""What the rows of one replicate are made with, whatever their table."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from medgen_pipeline.simulation.diagnoses import DiagnosisTables
from medgen_pipeline.simulation.person import PeopleTables
from medgen_pipeline.simulation.rows import Vocabulary
from medgen_pipeline.simulation.state import Records

MICROSECOND = 1_000_000


class Words(NamedTuple):
    """The words of a scenario's coded columns."""

    facilities: Vocabulary
    fronts: Vocabulary
    conditions: Vocabulary  # SNOMED CT codes of wounds and illnesses
    treatments: Vocabulary  # SNOMED CT codes
    disabilities: Vocabulary  # SNOMED CT codes


class Origin(NamedTuple):
    """A replicate, as far as its rows need it."""

    people: PeopleTables
    diagnoses: DiagnosisTables
    words: Words
    facilities: Records  # as the scenario has them
    casualties: Records  # what is kept of each, by subject
    start_us: int
    first_id: int
    key_0: np.uint64
    key_1: np.uint64

    def ids(self, subjects: npt.NDArray[np.integer]) -> npt.NDArray[np.int64]:
        """Return the ids of subjects, which are numbered from 0 within the replicate."""
        return subjects.astype(np.int64) + self.first_id

    def times(self, seconds: npt.NDArray[np.int32]) -> npt.NDArray[np.int64]:
        """Return times of the clock as microseconds since 1970."""
        return seconds.astype(np.int64) * MICROSECOND + self.start_us
