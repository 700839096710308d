import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medgen_pipeline.dataset import schema
from medgen_pipeline.dataset.encoding import by_first_use, encode
from medgen_pipeline.simulation.rows import Column, Rows, Vocabulary
from medgen_pipeline_tests.dataset import sample
from medgen_pipeline_tests.dataset.drawn import decoded, some_rows


@given(st.sampled_from(sorted(schema.TABLES)).flatmap(some_rows), st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_every_value_survives(rows: Rows, replicate: int) -> None:
    """Arrow holds, of every type, the value that the rows meant."""
    batch = encode(rows, replicate)
    batch.validate(full=True)
    assert batch.schema == schema.arrow_schema(rows.table)
    assert batch.to_pylist() == decoded(rows, replicate)


@given(st.lists(st.integers(-1, 40)))
def test_codes_are_renumbered_by_first_use(codes: list[int]) -> None:
    """The n-th new code stands for the n-th distinct old one; null stays null."""
    ranks, used = by_first_use(np.array(codes, np.int32))
    assert used.tolist() == list(dict.fromkeys(code for code in codes if code >= 0))
    assert [-1 if rank < 0 else used[rank] for rank in ranks] == codes


def changed(table: str, **columns: Column) -> Rows:
    """Return five sample rows with some columns replaced."""
    rows = sample.rows(table, 5)
    return replace(rows, columns={**rows.columns, **columns})


def without(rows: Rows, column: str) -> Rows:
    """Return rows that lack a column."""
    return replace(rows, columns={n: v for n, v in rows.columns.items() if n != column})


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (without(sample.rows("injuries", 5), "ais"), r"missing \['ais'\], unexpected \[\]"),
        (changed("injuries", colour=np.zeros(5)), r"unexpected \['colour'\]"),
        (changed("injuries", ais=np.zeros(4, np.uint8)), "differ in length"),
        (changed("injuries", ais=np.full(5, 256)), "ais holds 256 to 256; uint8 ends at 255"),
        (changed("injuries", ais=np.full(5, -1)), "ais holds -1 to -1"),
        (changed("injuries", ais=np.full(5, 1.5)), "ais is float64; must be whole numbers"),
        (changed("injuries", ais=np.full(5, np.nan)), "ais is float64; must be whole numbers"),
        (changed("injuries", is_lethal=np.full(5, -1, np.int8)), "is_lethal holds 5 nulls"),
        (changed("injuries", mechanism=np.full(5, -1)), "mechanism holds 5 nulls"),
        (changed("injuries", mechanism=np.full(5, 99)), "mechanism holds codes 99 to 99"),
        (changed("injuries", snomed_code=np.full(5, 99)), "its dictionary has 40 words"),
        (changed("patients", rts=np.full(5, np.nan, np.float32)), "rts holds 5 nulls"),
        (replace(sample.rows("injuries", 5), dictionaries={}), "no dictionary came with the rows"),
    ],
)
def test_what_does_not_fit_is_refused(rows: Rows, message: str) -> None:
    """A bug of the caller is named, never written."""
    with pytest.raises(ValueError, match=message):
        encode(rows, 0)


def test_a_word_is_listed_once() -> None:
    """Also where the dictionary repeats it, or pieces would differ from the whole."""
    rows = changed("injuries", snomed_code=np.array([1, 0, 2, 1, 0], np.int16))
    column = encode(replace(rows, dictionaries={"snomed_code": ("a", "a", "b")}), 0)["snomed_code"]
    assert column.dictionary.to_pylist() == ["a", "b"]
    assert column.to_pylist() == ["a", "a", "b", "a", "a"]


@pytest.mark.parametrize(("used", "listed"), [([3, 0], ["d", "a"]), ([3, 0, 1], list("abcde"))])
def test_a_vocabulary_that_is_mostly_used_is_listed_whole(
    used: list[int], listed: list[str]
) -> None:
    """In its own order; of one that is not, the words used are listed as they come."""
    codes = np.resize(np.array(used, np.int16), 5)
    rows = replace(
        changed("injuries", snomed_code=codes),
        dictionaries={"snomed_code": Vocabulary.of("abcde")},
    )
    column = encode(rows, 0)["snomed_code"]
    assert column.dictionary.to_pylist() == listed
    assert column.to_pylist() == ["abcde"[code] for code in codes]


def test_numbers_share_memory_with_the_rows() -> None:
    rows = changed("timeline", occurred_at=np.arange(5))
    column = encode(rows, 0).column("occurred_at")
    assert column.buffers()[1].address == rows.columns["occurred_at"].ctypes.data  # type: ignore[union-attr]


def test_writing_does_not_load_pandas_or_obstore() -> None:
    """A process that only writes to a folder stays small: pandas costs 59 MB, obstore 7."""
    program = """
import sys, tempfile
from medgen_pipeline.dataset.writer import BatchWriter
from medgen_pipeline_tests.dataset import sample
with tempfile.TemporaryDirectory() as root:
    with BatchWriter(root, sample.scenario(), 0, run_id="r", generator_version="1") as writer:
        writer.write(sample.rows("patients", 10), 0)
        writer.commit(outcomes={"RTD": 10})
print([name for name in ("pandas", "pyarrow.compute", "pyarrow.dataset", "obstore", "duckdb")
       if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert done.stdout.decode().strip() == "[]"
