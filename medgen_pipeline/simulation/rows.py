"""What the simulation hands out: a run of rows of one table, column by column.

Categories are integer codes into the dictionary named by the schema, -1 for null; times are int64
microseconds since 1970-01-01 UTC; a null float is NaN; a null bool is -1 in an int8 array. The
dataset turns these into Arrow; nothing here knows Arrow or a file.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import numpy.typing as npt

AnyArray = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Strings:
    """Many strings in two arrays: string i is UTF-8 `data[offsets[i]:offsets[i + 1]]`."""

    offsets: npt.NDArray[np.int32]  # one more than there are strings
    data: npt.NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @classmethod
    def of(cls, words: Iterable[str]) -> Self:
        """Return words as strings in this form."""
        encoded = [word.encode() for word in words]
        offsets = np.zeros(len(encoded) + 1, np.int32)
        np.cumsum([len(word) for word in encoded], out=offsets[1:])
        return cls(offsets, np.frombuffer(b"".join(encoded), np.uint8))


@dataclass(frozen=True, slots=True)
class Vocabulary(Strings):
    """Words of a column that all rows of a scenario have in common, each word once."""


@dataclass(frozen=True, slots=True)
class Lists:
    """Many lists of codes in two arrays: list i is `codes[offsets[i]:offsets[i + 1]]`."""

    offsets: npt.NDArray[np.int32]  # one more than there are lists
    codes: npt.NDArray[np.int16]

    def __len__(self) -> int:
        return len(self.offsets) - 1


Column = AnyArray | Strings | Lists
Dictionary = tuple[str, ...] | Strings


@dataclass(frozen=True, slots=True)
class Rows:
    """Some rows of one table, in their final order, all of one replicate.

    `dictionaries` gives the words of those coded columns whose words depend on the scenario
    (fronts, facilities, names, events); the others are in `reference.vocabulary`.
    """

    table: str
    columns: Mapping[str, Column]
    dictionaries: Mapping[str, Dictionary] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))
