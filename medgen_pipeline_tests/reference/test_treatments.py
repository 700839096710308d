from medgen_pipeline.reference import vocabulary
from medgen_pipeline.reference.treatments import treatments


def test_every_treatment_is_coded_with_a_term_and_a_source() -> None:
    """One code has one term, wherever it stands."""
    terms: dict[str, set[str]] = {}
    for treatment in treatments():
        assert treatment.code_source
        assert treatment.confidence in {"high", "medium"}
        terms.setdefault(treatment.code, set()).add(treatment.term)
    assert all(len(said) == 1 and "" not in said for said in terms.values())


def test_treatments_can_be_given() -> None:
    """Each takes time, works sometimes, and what is used up has a unit."""
    for treatment in treatments():
        assert treatment.minutes > 0
        assert 0 < treatment.works <= 1
        assert (treatment.quantity is None) == (treatment.unit is None)
        assert treatment.unit is None or treatment.unit in vocabulary.UNITS


def test_drugs_and_dressings_are_not_coded_as_one_another() -> None:
    """Blood is whole blood, a needle is no tube, a drug by vein is no infusion of fluid."""
    code = {treatment.name: treatment.code for treatment in treatments()}
    apart = (
        "whole_blood",
        "crystalloid",
        "tranexamic_acid",
        "analgesia",
        "antibiotics",
        "needle_decompression",
        "chest_tube",
        "intubation",
        "surgical_airway",
        "tourniquet",
    )
    assert len({code[name] for name in apart}) == len(apart)
