import pytest

from medgen_pipeline.reference import conditions, disabilities

CODE = {d.term: number for number, d in enumerate(disabilities.disabilities())}
AMPUTATION = "262595009"


def test_every_disability_can_be_left_by_a_wound() -> None:
    """A rule that no wound of the catalogue meets is dead weight."""
    left = {number for number, _ in disabilities.left_by().values()}
    assert left == set(range(len(disabilities.disabilities())))


def test_shares_are_shares_and_graver_wounds_leave_more() -> None:
    """A wound of the same name and place that is graver leaves no less, and nothing lighter."""
    left = disabilities.left_by()
    for (code, site, ais), (number, share) in left.items():
        assert 0.0 < share <= 1.0
        worse, more = left.get((code, site, ais + 1), (number, share))
        assert worse < number or (worse == number and more >= share)


@pytest.mark.parametrize(
    ("site", "ais", "term"),
    [
        ("thigh", 4, "Amputated above knee"),
        ("lower_leg", 3, "History of amputation of leg through tibia and fibula"),
        ("foot", 3, "History of amputation of foot"),
        ("forearm", 3, "Amputee"),
        ("upper_arm", 4, "Amputee"),
    ],
)
def test_a_limb_that_is_lost_stays_lost(site: str, ais: int, term: str) -> None:
    """Whoever lives, and nobody is fit for duty again within weeks."""
    number, share = disabilities.left_by()[AMPUTATION, site, ais]
    assert (number, share) == (CODE[term], 1.0)
    assert disabilities.disabilities()[number].least_stay_days >= 60


def test_what_heals_leaves_nothing() -> None:
    """No bruise, sprain or cut is for life."""
    left = {code for code, _, _ in disabilities.left_by()}
    heals = {"contusion", "sprain", "laceration"}
    assert not left & {n.code for n in conditions.wound_names() if n.wound_type in heals}
