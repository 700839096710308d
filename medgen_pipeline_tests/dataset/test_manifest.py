import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medgen_pipeline.dataset import schema
from medgen_pipeline.dataset.layout import Partition
from medgen_pipeline.dataset.manifest import Manifest, parse_manifest, scenario_digest
from medgen_pipeline.dataset.reader import Dataset
from medgen_pipeline.errors import DatasetError
from medgen_pipeline_tests.dataset import sample

HERE = Partition("sample", 0)


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    return sample.write(tmp_path_factory.mktemp("root"))


def test_a_manifest_survives_its_document(manifest: Manifest) -> None:
    assert parse_manifest(manifest.encode(), "there", HERE) == manifest


def test_it_says_what_it_was_made_from(manifest: Manifest) -> None:
    document = json.loads(manifest.encode())
    assert document["resolved_scenario"] == sample.SCENARIO
    assert (document["first_replicate"], document["last_replicate"]) == (0, 2)
    assert (document["seed"], document["generator_version"]) == (7, "1.0")
    assert document["schema_version"] == schema.SCHEMA_VERSION
    assert document["run"]["run_id"] == "run-1"


def test_only_run_differs_between_runs(manifest: Manifest) -> None:
    """Times, run id and whatever was measured are under `run`, nothing else is."""
    assert manifest.model_dump(mode="json").keys() - manifest.comparable().keys() == {"run"}
    assert "run-1" not in json.dumps(manifest.comparable())


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"format": 2}, "format: Input should be 1"),
        ({"batch": 1}, "it records sample batch 1"),
        ({"scenario": "other"}, "it records other batch 0"),
        ({"schema_version": 9}, "schema_version is 9; this is 1"),
        ({"seed": "x"}, "seed: Input should be a valid integer"),
        ({"scenario_sha256": "12"}, "scenario_sha256: String should match"),
        ({"colour": "red"}, "colour: Extra inputs are not permitted"),
        ({"files": []}, "rows and files do not name the same tables"),
        ({"rows": dict.fromkeys(schema.TABLES, 1)}, "rows.patients is 1, but its files have 60"),
    ],
)
def test_a_fault_is_named(manifest: Manifest, change: dict[str, Any], fault: str) -> None:
    document = json.loads(manifest.encode()) | change
    with pytest.raises(DatasetError, match="manifest there cannot be used: ") as caught:
        parse_manifest(json.dumps(document).encode(), "there", HERE)
    assert fault in str(caught.value)


def test_a_manifest_cut_short_is_named(tmp_path: Path) -> None:
    """By its path, wherever it is read."""
    sample.write(tmp_path)
    path = tmp_path / "_manifests/scenario=sample/batch=0000.json"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(DatasetError, match=f"manifest {path} cannot be used: Invalid JSON"):
        Dataset(tmp_path).manifests()


@given(st.dictionaries(st.text(), st.integers() | st.text(), min_size=2))
def test_the_digest_of_a_scenario_ignores_the_order_of_keys(scenario: dict[str, Any]) -> None:
    assert scenario_digest(scenario) == scenario_digest(dict(reversed(scenario.items())))
    name = next(iter(scenario))
    assert scenario_digest(scenario) != scenario_digest({**scenario, name: ["another"]})
