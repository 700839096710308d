import pytest
from hypothesis import given
from hypothesis import strategies as st

from medgen_pipeline.dataset import layout
from medgen_pipeline.errors import DatasetError

partitions = st.builds(
    layout.Partition,
    st.from_regex(r"[a-z0-9][a-z0-9-]{0,62}", fullmatch=True),
    st.integers(0, 10**6),
)


@given(
    st.sampled_from(["patients", "facility_hours"]),
    partitions,
    st.integers(0, 10**6),
    st.from_regex(r"[0-9a-f]{12}", fullmatch=True),
)
def test_paths_say_what_they_hold(
    table: str, partition: layout.Partition, part: int, commit: str
) -> None:
    """A path names table, partition, part and commit, and can be read back."""
    path = layout.data_path(table, partition, part, commit)
    assert layout.parse_data(path) == layout.DataFile(table, partition, part, commit)
    assert path.startswith(layout.data_folder(table, partition.scenario) + "/")
    assert layout.parse_manifest(layout.manifest_path(partition)) == partition
    assert layout.parse_scenario(layout.data_folder(table, partition.scenario)) == (
        partition.scenario
    )


def test_the_paths_that_were_promised() -> None:
    partition = layout.Partition("demo", 7)
    assert layout.data_path("patients", partition, 0, "0123456789ab") == (
        "patients/scenario=demo/batch=0007/part-00000-0123456789ab.parquet"
    )
    assert layout.manifest_path(partition) == "_manifests/scenario=demo/batch=0007.json"
    assert layout.staging_folder("run-1", "ab") == "_staging/run-1.ab"


@pytest.mark.parametrize(
    "path",
    [
        "patients/scenario=demo/batch=0007/notes.txt",
        "patients/scenario=Demo/batch=0007/part-00000-0123456789ab.parquet",
        "_staging/run-1.ab/patients-00000.parquet",
        "",
    ],
)
def test_other_paths_say_nothing(path: str) -> None:
    assert layout.parse_data(path) is None
    assert layout.parse_manifest(path) is None
    assert layout.parse_scenario(path) is None


@given(
    st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,40}", fullmatch=True),
    st.from_regex(r"[0-9a-f]{12}", fullmatch=True),
)
def test_a_staging_folder_says_whose_it_is(run: str, token: str) -> None:
    assert layout.parse_staging(layout.staging_folder(run, token)) == (run, token)


def test_a_batch_is_not_negative() -> None:
    with pytest.raises(DatasetError, match="batch is -1; must be at least 0"):
        layout.Partition("demo", -1)


@pytest.mark.parametrize("run", ["", "../up", "a/b", ".hidden"])
def test_a_run_id_cannot_leave_its_folder(run: str) -> None:
    with pytest.raises(ValueError, match="run id is"):
        layout.staging_folder(run, "ab")
