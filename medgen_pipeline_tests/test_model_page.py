"""The page on the model names what exists: files of figures, figures, fields and columns."""

import re
from importlib import resources
from pathlib import Path

from medgen_pipeline.dataset.schema import TABLES
from medgen_pipeline.reference.physiology import figures
from medgen_pipeline.scenario.model import Scenario

PAGE = (Path(__file__).parent.parent / "docs" / "model.md").read_text(encoding="utf-8")
QUOTED = set(re.findall(r"`([a-z_0-9.]+)`", PAGE))


def fields() -> set[str]:
    """Return the names of every field of a scenario and of its parts."""
    schema = Scenario.model_json_schema()
    parts = [schema, *schema["$defs"].values()]
    return {name for part in parts for name in part.get("properties", {})}


def test_every_file_of_figures_is_named_and_exists() -> None:
    folder = resources.files("medgen_pipeline.reference")
    files = {file.name for file in folder.iterdir() if file.name.endswith(".toml")}
    named = {word for word in QUOTED if word.endswith(".toml")}
    assert named == files - {"provenance.toml"}


def test_every_name_in_quotes_is_a_figure_a_field_or_a_column() -> None:
    columns = {column.name for table in TABLES.values() for column in table.columns}
    known = set(figures()) | columns | fields() | {"works"}
    named = {word.rpartition(".")[2] for word in QUOTED if not word.endswith((".toml", ".md"))}
    assert named <= known
