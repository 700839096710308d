"""Rows of text, put together from words: compiled, for there are hundreds of words in a row."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from numba import types
from numba.extending import intrinsic

from medgen_pipeline.simulation.compiled import entry_point
from medgen_pipeline.simulation.rows import Strings

Codes = npt.NDArray[np.int32]
Cell = tuple[Strings, npt.NDArray[np.integer[Any]]]
"""Words, and which of them stands in each row."""


def joined(cells: Sequence[Cell], rows: int) -> Strings:
    """Return rows of text: row i is, cell by cell, the word that the cell's code i names.

    Words that cells have in common are held once when they are the same object.
    """
    places: dict[int, int] = {}
    tables: list[Strings] = []
    codes = np.empty((len(cells), rows), np.int32)
    size = 0
    for column, (words, code) in enumerate(cells):
        if id(words) not in places:
            places[id(words)] = size
            tables.append(words)
            size += len(words) + 1
        np.add(code, np.int32(places[id(words)]), out=codes[column], casting="same_kind")
    bases = np.cumsum([0, *(int(words.offsets[-1] - words.offsets[0]) for words in tables)])
    offsets = np.concatenate(
        [
            words.offsets - words.offsets[0] + base
            for words, base in zip(tables, bases, strict=False)
        ]
    )
    pieces = [words.data[words.offsets[0] : words.offsets[-1]] for words in tables]
    data = np.concatenate([*pieces, np.zeros(CHUNK, np.uint8)])
    return Strings(*_join(offsets, data, codes))


CHUNK: Final = 16  # bytes copied at a time, also beyond the end of a word


@intrinsic  # type: ignore[untyped-decorator]
def _copy_chunk(_typing: Any, target: Any, _at: Any, source: Any, _start: Any) -> Any:
    """Copy a chunk of bytes from one array to another, neither of which is checked."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        from llvmlite import ir  # type: ignore[import-untyped]  # noqa: PLC0415  to compile

        chunk = ir.VectorType(ir.IntType(8), CHUNK).as_pointer()

        def pointer(place: int) -> Any:
            array = context.make_array(signature.args[place])(context, builder, arguments[place])
            return builder.bitcast(builder.gep(array.data, [arguments[place + 1]]), chunk)

        loaded = builder.load(pointer(2), align=1)
        builder.store(loaded, pointer(0), align=1)
        return context.get_dummy_value()

    return types.void(target, types.int64, source, types.int64), build


@entry_point
def _join(
    offsets: npt.NDArray[np.int64], data: npt.NDArray[np.uint8], codes: Codes
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.uint8]]:
    """Return ends and bytes of the rows, and a chunk to spare; `data` has one to spare too."""
    cells, rows = codes.shape
    ends = np.zeros(rows + 1, np.int32)
    end = 0
    for row in range(rows):
        for cell in range(cells):
            word = codes[cell, row]
            end += offsets[word + 1] - offsets[word]
        ends[row + 1] = end
    text = np.empty(end + CHUNK, np.uint8)
    at = 0
    for row in range(rows):
        for cell in range(cells):
            word = codes[cell, row]
            start = offsets[word]
            length = offsets[word + 1] - start
            for place in range(0, length, CHUNK):
                _copy_chunk(text, at + place, data, start + place)
            at += length
    return ends, text
