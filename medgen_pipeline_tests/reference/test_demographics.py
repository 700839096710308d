import pytest

from medgen_pipeline.reference import snomed
from medgen_pipeline.reference.demographics import demographics


def test_allergies_are_distinct_snomed_concepts() -> None:
    """Each code passes Verhoeff's check, none comes twice, and the shares make a whole."""
    allergies = demographics().allergies
    assert all(snomed.is_valid(allergy.code) for allergy in allergies)
    assert len({allergy.code for allergy in allergies}) == len(allergies)
    assert sum(allergy.share for allergy in allergies) == pytest.approx(1)


def test_religions_are_distinct_hl7_codes() -> None:
    """HL7's codes of religious affiliation run from 1001 to 1082."""
    codes = [int(code) for code in demographics().religions.values()]
    assert len(set(codes)) == len(codes)
    assert 1001 <= min(codes) <= max(codes) <= 1082


def test_weights_lie_well_within_their_bounds() -> None:
    """The bounds cut off less than 3 % of either sex, so that they hardly move the mean."""
    weight = demographics().weight_kg
    for spread in (weight.male, weight.female):
        assert (spread.mean - weight.minimum) / spread.sd > 1.9
        assert (weight.maximum - spread.mean) / spread.sd > 1.9
