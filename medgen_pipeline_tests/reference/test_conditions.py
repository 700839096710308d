import re

import pytest

from medgen_pipeline.reference import conditions, snomed, vocabulary

# Words of a term, and the regions a wound called so may be in.
PLACES = {
    r"scalp|skull|brain|concussion|intracranial|cerebral": {"head"},
    r"\beye|eyelid|cornea|globe": {"eyes"},
    r"\bear\b|tympanic": {"ears"},
    r"\bface|facial|mandible|tooth": {"face"},
    r"neck\b(?! of femur)|cervical spine|decapitation": {"neck"},
    r"chest|thora|\brib|sternum|pneumothorax|hemothorax|heart": {"thorax"},
    r"abdom|liver|spleen|kidney|lumbar spine": {"abdomen"},
    r"buttock|pelvis|hip|thigh|femur|leg|knee|tibia|foot|ankle|calcaneus|lower": {"extremity"},
    r"shoulder|clavicle|scapula|arm\b|humerus|forearm|radius|ulna|hand|finger|wrist|upper": {
        "extremity"
    },
    r"back\b": {"other"},
}
SITE = {site.name: site for site in conditions.sites()}
TERM = {concept.code: concept.term for concept in conditions.concepts()}


def regions_of(term: str) -> set[str]:
    """Return the regions a term names, empty when it names none."""
    found = [regions for words, regions in PLACES.items() if re.search(words, term, re.IGNORECASE)]
    return set().union(*found)


def test_every_concept_has_a_term_a_source_and_a_valid_code() -> None:
    """And no code stands twice."""
    concepts = conditions.concepts()
    assert len({concept.code for concept in concepts}) == len(concepts)
    for concept in concepts:
        assert snomed.is_valid(concept.code)
        assert concept.term
        assert concept.source
        assert concept.confidence in {"high", "medium"}


def test_every_concept_is_used() -> None:
    """A code that nothing can be given is dead weight."""
    wounds = conditions.table("wounds")
    used = {name.code for name in conditions.wound_names()}
    used |= {c.code for kind in ("disease", "heat", "cold") for c in conditions.conditions(kind)}
    used |= {burn["code"] for burn in wounds["catalogue"]["burns"]}
    used |= {wounds["catalogue"]["inhalation"]}
    used |= {wounds["chemical"][name] for name in ("light_code", "severe_code")}
    assert used == set(TERM)


@pytest.mark.parametrize(
    "name", conditions.wound_names(), ids=lambda n: f"{n.code}-{n.sites[0]}-{n.ais[0]}"
)
def test_a_name_of_a_wound_agrees_with_where_the_wound_is(name: conditions.WoundName) -> None:
    """A term that names a part of the body stands only for wounds of that part."""
    named = regions_of(TERM[name.code])
    for site in name.sites:
        assert not named or SITE[site].wound_region in named


def test_burns_are_named_for_where_they_are() -> None:
    """A burn of the hand is not one of the face; burns of several places are nowhere in one."""
    named = {
        (TERM[burn["code"]], SITE[burn["site"]].wound_region)
        for burn in conditions.table("wounds")["catalogue"]["burns"]
    }
    assert named == {
        ("Burn of face AND/OR head", "face"),
        ("Burn of hand", "extremity"),
        ("Burn of upper limb", "extremity"),
        ("Burn of lower limb", "extremity"),
        ("Burn of multiple sites of trunk", "other"),
        ("Burns of multiple sites", "other"),
    }


def test_closed_fractures_are_never_the_work_of_bullets() -> None:
    """What goes through the skin and breaks a bone leaves an open fracture."""
    bullet = conditions.profiles().index("bullet")
    closed = [n for n in conditions.wound_names() if TERM[n.code].startswith("Closed fracture")]
    assert closed
    assert not [TERM[name.code] for name in closed if name.weights[bullet]]


def test_mechanisms_and_places_cover_the_vocabulary() -> None:
    """Every mechanism that can happen to someone does something to them."""
    for mechanism in conditions.mechanisms():
        does = mechanism.profile or mechanism.burn or mechanism.condition
        assert does or mechanism.name in {"none", "chemical"}
    assert {site.wound_region for site in conditions.sites()} == set(vocabulary.WOUND_REGIONS)
    assert {site.body_region for site in conditions.sites()} == set(vocabulary.BODY_REGIONS)
