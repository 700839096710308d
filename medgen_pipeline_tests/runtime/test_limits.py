"""Limits of a run: settings, then executor config, then tags, none above the deployment's."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medgen_pipeline.runtime.limits import KINDS, LimitError, Limits
from medgen_pipeline.settings import Settings

DEPLOYMENT = Limits(max_memory_mb=512, max_cpu_seconds=300, max_runtime_seconds=600)


def config(**limits: object) -> dict[str, Any]:
    return {"execution": {"config": limits}}


def test_a_run_that_asks_for_nothing_has_the_deployments_limits() -> None:
    assert Limits.of(Settings()) == DEPLOYMENT
    assert DEPLOYMENT.of_run({}, {}) == DEPLOYMENT
    assert DEPLOYMENT.of_run({"ops": {}, "execution": None}, {"team": "a"}) == DEPLOYMENT
    assert DEPLOYMENT.of_run({"execution": {"config": {"max_memory_mb": None}}}, {}) == DEPLOYMENT


def test_a_tag_comes_before_config_and_config_before_the_deployment() -> None:
    limits = DEPLOYMENT.of_run(
        config(max_memory_mb=400, max_cpu_seconds=20), {"medgen/max_memory_mb": "300.5"}
    )
    assert limits == Limits(max_memory_mb=300.5, max_cpu_seconds=20, max_runtime_seconds=600)


@pytest.mark.parametrize(
    "value", ["0", "-1", "lots", "", "nan", "inf", "513", "1e9", "0x10", "12 MB", "None"]
)
def test_a_tag_with_rubbish_is_refused_by_name_value_and_what_is_allowed(value: str) -> None:
    with pytest.raises(LimitError) as error:
        DEPLOYMENT.of_run({}, {"medgen/max_memory_mb": value})
    assert str(error.value) == (
        f"tag medgen/max_memory_mb is {value!r}; must be a number above 0 and at most 512, "
        "which JOB_MAX_MEMORY_MB sets"
    )


@pytest.mark.parametrize("value", [0, -3.5, math.nan, math.inf, True, [], {}, "x", 301])
def test_config_with_rubbish_is_refused_too(value: object) -> None:
    with pytest.raises(LimitError, match=r"execution\.config\.max_cpu_seconds is .* at most 300"):
        DEPLOYMENT.of_run(config(max_cpu_seconds=value), {})


def test_every_fault_is_named_at_once() -> None:
    with pytest.raises(LimitError) as error:
        DEPLOYMENT.of_run(config(max_memory_mb=0), {kind.tag: "-1" for kind in KINDS})
    assert len(str(error.value).splitlines()) == 4


@given(st.fixed_dictionaries({}, optional={kind.tag: st.text(max_size=8) for kind in KINDS}))
def test_no_tag_whatever_raises_a_limit(tags: dict[str, str]) -> None:
    """Any text is either a limit within the deployment's or refused."""
    try:
        limits = DEPLOYMENT.of_run({}, tags)
    except LimitError:
        return
    for name, most in DEPLOYMENT.as_dict().items():
        assert 0 < getattr(limits, name) <= most
