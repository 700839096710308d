"""Machines that make the same data are known by what decides it."""

import shutil
from pathlib import Path

from medgen_pipeline.runtime.fingerprint import (
    LIBRARIES,
    PACKAGE,
    differences,
    fingerprint,
    source_hash,
)


def test_it_names_this_package_its_sources_and_what_it_computes_with() -> None:
    found = fingerprint()
    assert found.keys() == {"medgen_pipeline", "python", *LIBRARIES}
    assert found["medgen_pipeline"].endswith(f"({source_hash(PACKAGE)})")


def test_a_copy_elsewhere_has_the_same_hash_until_a_line_of_it_changes(tmp_path: Path) -> None:
    """Byte code and compiled kernels are none of it, tables and scenarios are."""
    copy = tmp_path / "copy"
    ignored = shutil.ignore_patterns("__pycache__", "__compiled__")
    shutil.copytree(PACKAGE, copy, ignore=ignored)
    assert source_hash(copy) == source_hash(PACKAGE)
    (copy / "__pycache__").mkdir()
    (copy / "__pycache__/errors.py").write_text("")
    assert source_hash(copy) == source_hash(PACKAGE)
    scenario = next((copy / "scenario/catalogue").glob("*.yaml"))
    scenario.write_text(scenario.read_text() + "# more\n")
    assert source_hash(copy) != source_hash(PACKAGE)


def test_differences_name_both_sides() -> None:
    assert differences({"a": "1", "b": "2"}, {"a": "1", "b": "3", "c": "4"}) == [
        "b: 2 here, 3 there",
        "c: none here, 4 there",
    ]
