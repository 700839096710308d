"""Patients of a small replicate, as the service holds them."""

import functools

import pyarrow as pa

from medgen_pipeline.generation.finished import finished_patients
from medgen_pipeline.scenario.catalogue import Catalogue
from medgen_pipeline.scenario.scaling import with_patients
from medgen_pipeline.service.courses import batch_of
from medgen_pipeline.simulation.engine import engine


@functools.cache
def patients(count: int = 60) -> pa.RecordBatch:
    """Return the patients of one replicate with their courses."""
    prepared = engine(with_patients(Catalogue().get("demo"), count))
    (portion,) = finished_patients(prepared, [0])
    return batch_of(portion)
