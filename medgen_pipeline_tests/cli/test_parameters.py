"""`medgen parameters` lists every figure with its source."""

import json

import pytest

from medgen_pipeline.cli import main
from medgen_pipeline.reference.provenance import parameters

Capture = pytest.CaptureFixture[str]


def test_every_parameter_is_listed_under_its_source(capsys: Capture) -> None:
    assert main(["parameters"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert sum(line.startswith("  ") for line in lines) == len(parameters())
    place = lines.index("  fatal_blood_share = 0.4 share of normal volume")
    above = next(line for line in reversed(lines[:place]) if not line.startswith("  "))
    assert above == "physiology.toml: SIMEDIS, Benhassine et al. 2023  (V)"


def test_parameters_as_json(capsys: Capture) -> None:
    assert main(["parameters", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)["parameters"]
    assert len(listed) == len(parameters())
    assert all(
        one.keys() == {"file", "path", "value", "unit", "source", "mark", "check"} for one in listed
    )
