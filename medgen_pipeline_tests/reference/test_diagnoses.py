from hypothesis import given
from hypothesis import strategies as st

from medgen_pipeline.reference import conditions, diagnoses

TERM = {concept.code: concept.term for concept in conditions.concepts()}
WOUNDS = sorted({(n.code, site) for n in conditions.wound_names() for site in n.sites})
CATALOGUE = conditions.table("wounds")
ILLNESSES = sorted(
    {c.code for kind in ("disease", "heat", "cold") for c in conditions.conditions(kind)}
)
OTHERS = sorted(
    {row["code"] for row in CATALOGUE["catalogue"]["burns"]}
    | {CATALOGUE["catalogue"]["inhalation"]}
    | {CATALOGUE["chemical"]["light_code"], CATALOGUE["chemical"]["severe_code"]}
)


def grades(code: str, site: str) -> set[int]:
    """Return the AIS that the catalogue gives a wound at a site."""
    names = [n for n in conditions.wound_names() if n.code == code and site in n.sites]
    return {ais for name in names for ais in range(name.ais[0], name.ais[1] + 1)}


@given(st.sampled_from(WOUNDS))
def test_a_wound_is_mistaken_for_another_at_its_site_that_is_about_as_grave(
    wound: tuple[str, str],
) -> None:
    """Never for itself, and never for nothing."""
    code, site = wound
    mistaken = diagnoses.mistaken_for(code, site)
    assert mistaken
    assert code not in mistaken
    for other in mistaken:
        assert min(abs(a - b) for a in grades(code, site) for b in grades(other, site)) <= 1


@given(st.sampled_from(ILLNESSES + OTHERS))
def test_an_illness_is_mistaken_for_what_it_resembles(code: str) -> None:
    """The resemblance is mutual, and is stated for every illness, burn and poison."""
    mistaken = diagnoses.mistaken_for(code, "body")
    assert mistaken
    assert code not in mistaken
    assert all(code in diagnoses.mistaken_for(other, "body") for other in mistaken)


def test_stress_is_mistaken_for_stress() -> None:
    """A list of what is alike keeps to one kind of illness."""
    kinds = {c.code: c.wound_type for c in conditions.conditions("disease")}
    for code, kind in kinds.items():
        if kind == "stress_reaction":
            others = diagnoses.mistaken_for(code, "body")
            assert {kinds[other] for other in others} == {"stress_reaction"}


def test_a_burn_is_mistaken_for_a_burn() -> None:
    """And the other way round."""
    for code, term in TERM.items():
        if term.startswith("Burn"):
            others = diagnoses.mistaken_for(code, "skin")
            assert all(TERM[other].startswith("Burn") for other in others)


def test_diagnoses_are_right_more_often_the_further_back_they_are_made() -> None:
    """From the point of injury to Role 3, and never always."""
    shares = list(diagnoses.accuracy().values())
    assert shares == sorted(shares)
    assert 0.5 < shares[0] < shares[-1] < 1.0
