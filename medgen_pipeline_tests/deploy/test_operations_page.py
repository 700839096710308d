"""docs/operations.md tells every setting with its default, every part of health, and no others."""

import re
from pathlib import Path
from typing import Final

from medgen_pipeline.runtime.instance import KeptInstance
from medgen_pipeline.service import checks
from medgen_pipeline.service.checks import Checks
from medgen_pipeline.service.dagster_runs import DagsterRuns
from medgen_pipeline.settings import Settings
from medgen_pipeline_tests.test_settings import DEFAULTS

TOP: Final = Path(__file__).parents[2]
PAGE: Final = TOP / "docs/operations.md"


def section(title: str) -> str:
    """Return what stands under a heading."""
    text = PAGE.read_text(encoding="utf-8")
    return text.split(f"\n## {title}\n")[1].split("\n## ")[0]


def shown(value: object) -> str:
    """Return a default as the page has it."""
    return "none" if value is None else f"`{str(value).lower() if value is True else value}`"


def test_every_setting_is_told_with_its_default() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (\S+) \|", section("Environment"), re.MULTILINE)
    assert dict(rows) == {name: shown(value) for name, value in DEFAULTS.items()}
    assert len(rows) == len(DEFAULTS)


def test_every_part_of_health_is_told(tmp_path: Path) -> None:
    looks = Checks(
        Settings(), KeptInstance(tmp_path, is_sqlite=True), DagsterRuns("http://127.0.0.1:1")
    ).looks()
    rows = re.findall(r"^\| `(\w+)`[^`|]*\|[^|]*\|[^|]*\|$", section("Health"), re.MULTILINE)
    assert set(rows) == set(looks)


def test_the_thresholds_of_health_are_those_that_hold() -> None:
    text = section("Health")
    for figure in (
        f"{checks.DISK_WARNING_PERCENT:g} % used",
        f"{checks.DISK_FULL_PERCENT:g} % used",
        f"{checks.MEMORY_WARNING_PERCENT:g} % used",
        f"{checks.MEMORY_FULL_PERCENT:g} % used",
        f"not beaten for {checks.HEARTBEAT_SECONDS:g} s",
        f"launched for {checks.QUEUE_IDLE_SECONDS:g} s",
    ):
        assert figure in text


def test_the_readme_and_the_instance_file_lead_there() -> None:
    assert "docs/operations.md" in (TOP / "README.md").read_text(encoding="utf-8")
    assert "docs/operations.md" in (TOP / "dagster.yaml").read_text(encoding="utf-8")
