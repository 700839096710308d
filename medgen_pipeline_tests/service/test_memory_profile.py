"""The profile weighs what is there, and says so when a target is missed."""

import json
import sys

import pytest

from medgen_pipeline.cli import main
from medgen_pipeline.service import memory_profile
from medgen_pipeline.service.memory_profile import (
    COMPACT,
    DICT,
    SLOTTED,
    Peak,
    Profile,
    Weight,
    deep_bytes,
    weigh,
)


def test_deep_bytes_counts_what_is_shared_once() -> None:
    word = "a word of some length"
    expected = sys.getsizeof([0, 0]) + sys.getsizeof((0,)) + sys.getsizeof((0, 0))
    assert deep_bytes([[(word,), (word, word)]]) == expected + sys.getsizeof(word)
    assert deep_bytes([word, word]) == sys.getsizeof(word)
    assert deep_bytes([{"a": 1}]) == (
        sys.getsizeof({"a": 1}) + sys.getsizeof("a") + sys.getsizeof(1)
    )


def test_forms_weigh_what_they_hold() -> None:
    """A course adds weight in every form; columns are lighter than values, values than dicts."""
    weights = {form: weigh("demo", 200, form) for form in (DICT, SLOTTED, COMPACT)}
    for weight in weights.values():
        assert weight.with_course > weight.patient > 50
    assert weights[COMPACT].with_course < weights[SLOTTED].with_course < weights[DICT].with_course


def profile(columns: float, slotted: float) -> Profile:
    weights = [
        Weight(DICT, 2_000, 10_000),
        Weight(SLOTTED, 800, slotted),
        Weight(COMPACT, columns, 500),
    ]
    peaks = [
        Peak("list", 100, 100, 1.0),
        Peak("list", 10_000, 5_000, 50.0),
        Peak("stream", 100, 100, 5.0),
        Peak("stream", 10_000, 10_000, 5.0),
    ]
    return Profile("demo", 100, weights, peaks)


def test_the_conclusion_is_that_of_the_figures() -> None:
    """Other figures, another conclusion."""
    good = [finding.holds for finding in profile(150, 4_000).findings]
    assert False not in good
    bad = profile(185, 5_001).findings
    assert [finding.holds for finding in bad[:3]] == [False, True, False]
    said = "\n".join(finding.said for finding in bad)
    assert "stopped by its bound at 5,000" in said
    assert "a stream of 10,000 takes +0 MB" in said


def test_the_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """It prints what it measured, and its exit code says whether the targets are met."""
    for found, code in ((profile(150, 4_000), 0), (profile(185, 4_000), 1)):
        monkeypatch.setattr(memory_profile, "measured", lambda *_, found=found, **__: found)
        assert main(["memory-profile", "--json"]) == code
        told = json.loads(capsys.readouterr().out)
        assert len(told["weights"]) == 3
        assert main(["memory-profile"]) == code
        assert "slotted class" in capsys.readouterr().out
    assert main(["memory-profile", "--counts", "x"]) == 2
