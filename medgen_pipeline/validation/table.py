"""The check table measured on a dataset."""

from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from medgen_pipeline.dataset.reader import Dataset
from medgen_pipeline.validation.checks import CHECKS, Check, Part
from medgen_pipeline.validation.measures import prepare
from medgen_pipeline.validation.statistics import Estimate, estimate

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


@dataclass(frozen=True, slots=True)
class Measured:
    """A part of a check with what was found."""

    part: Part
    found: Estimate

    @property
    def passed(self) -> bool | None:
        """Whether the value lies in the band; None when there is no value."""
        if self.found.value is None:
            return None
        most = np.inf if self.part.most is None else self.part.most
        return bool(self.part.least <= self.found.value <= most)


def measure(dataset: Dataset) -> list[tuple[Check, list[Measured]]]:
    """Return every check with what was found for each of its parts."""
    with closing(dataset.duckdb()) as connection:
        prepare(connection, dataset.manifests())
        return [
            (check, [Measured(part, _found(connection, part)) for part in check.parts])
            for check in CHECKS
        ]


def _found(connection: "DuckDBPyConnection", part: Part) -> Estimate:
    columns = [
        np.ma.filled(np.ma.asarray(column), np.nan)
        for column in connection.sql(part.query).fetchnumpy().values()
    ]
    rows = np.column_stack([column.astype(np.float64) for column in columns[1:]])
    return estimate(rows, columns[0].astype(np.int64), part.measure)
