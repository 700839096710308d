import json
from pathlib import Path
from typing import Final

import pytest

from medgen_pipeline.errors import (
    MedgenError,
    ScenarioError,
    ScenarioExistsError,
    UnknownScenarioError,
)
from medgen_pipeline.scenario import documents
from medgen_pipeline.scenario.catalogue import SHIPPED, Catalogue, check_file, load_file, to_yaml
from medgen_pipeline.scenario.validation import parse
from medgen_pipeline_tests.scenario.examples import SHIPPED_IDS, Json, data_of, paths, smallest

# Of the predecessor's presets: total, days, battle, non-battle and disease share, fronts in order.
PRESETS: Final[dict[str, tuple[int, int, tuple[float, ...], str]]] = {
    "nato-article-5": (2500, 8, (0.55, 0.25, 0.2), "Northern Front, Central Front, Southern Front"),
    "peacekeeping": (500, 30, (0.1, 0.35, 0.55), "Main Operating Base, Forward Operating Base"),
    "urban-assault": (3000, 5, (0.7, 0.2, 0.1), "City Center, Industrial Zone, Harbor District"),
    "cbrn-incident": (  # its 80 % of "disease" are the poisoned: battle injuries here
        1500,
        3,
        (0.85, 0.15, 0.0),
        "Primary Impact Zone, Secondary Exposure Zone",
    ),
    "training-exercise": (100, 2, (0.4, 0.35, 0.25), "Training Area Alpha"),
    "mass-casualty": (800, 1, (0.6, 0.3, 0.1), "Incident Site"),
    "arctic-operation": (1200, 14, (0.3, 0.45, 0.25), "Arctic Forward Base, Mountain Sector"),
    "maritime-operation": (
        1800,
        6,
        (0.55, 0.3, 0.15),
        "Naval Task Force, Beach Landing Zone, Inland Objective",
    ),
}
COIN_DIFFERS_IN: Final = {
    "id",
    "title",
    "description",
    "care.blood_forward",
    "evacuation.point_of_injury_to_role1",
    "evacuation.point_of_injury_to_role2",
    "evacuation.role1_to_role2",
    "evacuation.role2_to_role3",
    "evacuation.vehicles.helicopters",
    "evacuation.threat.extraction_delay_minutes",
    "evacuation.direct_to_surgery_share",
}


def scenario_file(folder: Path, name: str, **changes: object) -> Path:
    """Write the smallest scenario under a name, its id the name's stem unless changed."""
    path = folder / name
    data = smallest() | {"id": path.stem} | changes
    text = json.dumps(data) if path.suffix == ".json" else documents.write(data)
    path.write_text(text, encoding="utf-8")
    return path


def leaves(data: Json) -> dict[str, object]:
    inside = paths(data)
    return {
        ".".join(map(str, path)): value
        for path, value in inside
        if not isinstance(value, dict | list)
    }


def test_the_catalogue_ships_what_is_promised() -> None:
    """A demonstration, the eight presets and seven scenarios for validation, all usable."""
    assert Catalogue().ids() == SHIPPED_IDS


@pytest.mark.parametrize("scenario_id", SHIPPED_IDS)
def test_a_shipped_scenario_survives_being_printed(scenario_id: str) -> None:
    """What `show` prints is what `generate` takes back, field for field."""
    scenario = Catalogue().get(scenario_id)
    assert parse(documents.read(to_yaml(scenario), ".yaml")) == scenario
    assert parse(json.loads(scenario.model_dump_json())) == scenario


@pytest.mark.parametrize("scenario_id", SHIPPED_IDS)
def test_a_shipped_scenario_explains_itself(scenario_id: str) -> None:
    """Its file opens with a comment, and it says in two sentences what happens."""
    text = (SHIPPED / f"{scenario_id}.yaml").read_text(encoding="utf-8")
    assert text.startswith("# ")
    assert len(Catalogue().get(scenario_id).description) > 80


@pytest.mark.parametrize("scenario_id", PRESETS)
def test_a_preset_keeps_what_its_origin_says(scenario_id: str) -> None:
    """Total, days, class mix and fronts are those of the predecessor."""
    scenario = Catalogue().get(scenario_id)
    assert scenario.class_mix is not None
    mix = tuple(share for _, share in scenario.class_mix)
    fronts = ", ".join(str(front.name) for front in scenario.fronts)
    assert (scenario.patients, scenario.days, mix, fronts) == PRESETS[scenario_id]


def test_the_two_insurgencies_differ_in_evacuation_and_blood_only() -> None:
    """Same seed, same casualties: what differs is what the comparison is about."""
    fast, slow = leaves(data_of("coin")), leaves(data_of("coin-slow-evacuation"))
    differing = {name for name in fast | slow if fast.get(name) != slow.get(name)}
    covered = {name for name in differing for prefix in COIN_DIFFERS_IN if name.startswith(prefix)}
    assert differing == covered
    assert fast["seed"] == slow["seed"]
    assert slow["care.blood_forward"] is False


def test_the_conventional_rates_are_those_of_the_source() -> None:
    """With a quarter killed, wounded are 1.77 (SD 3.56) a day; the rest 2.04 (SD 1.89)."""
    rates = Catalogue().get("conventional").rates
    assert rates is not None
    battle, others = rates.battle_injury, (rates.non_battle_injury, rates.disease)
    assert 0.75 * battle.mean_per_1000 == pytest.approx(1.77)
    assert 0.75 * (battle.sd_per_1000 or 0) == pytest.approx(3.56, abs=0.001)
    assert sum(rate.mean_per_1000 for rate in others) == pytest.approx(2.04)
    variance = sum((rate.sd_per_1000 or 0) ** 2 for rate in others)
    assert variance**0.5 == pytest.approx(1.89, abs=0.001)


@pytest.mark.parametrize("name", ["own.yaml", "own.yml", "own.json"])
def test_a_folder_adds_its_files(tmp_path: Path, name: str) -> None:
    """In any of the formats, beside those that ship."""
    scenario_file(tmp_path, name)
    catalogue = Catalogue(tmp_path)
    assert set(catalogue.ids()) == {*SHIPPED_IDS, "own"}
    assert catalogue.get("own").title == "The smallest"


def test_a_folder_s_file_takes_the_place_of_a_shipped_one(tmp_path: Path) -> None:
    """And the list says so."""
    scenario_file(tmp_path, "demo.yaml", title="Mine")
    catalogue = Catalogue(tmp_path)
    assert catalogue.get("demo").title == "Mine"
    (entry,) = (entry for entry in catalogue.entries() if entry.id == "demo")
    assert entry.replaces_shipped
    assert entry.path == tmp_path / "demo.yaml"


def test_a_broken_file_is_listed_with_its_problem_and_hides_nothing(tmp_path: Path) -> None:
    """Whoever asks for it gets the reason, not the shipped scenario of that name."""
    scenario_file(tmp_path, "demo.yaml", days=0)
    catalogue = Catalogue(tmp_path)
    (entry,) = (entry for entry in catalogue.entries() if entry.problem)
    assert entry.id == "demo"
    assert "days is 0" in str(entry.problem)
    assert "demo" not in catalogue.ids()
    with pytest.raises(ScenarioError, match="days is 0"):
        catalogue.get("demo")


def test_a_file_bears_the_name_of_its_scenario(tmp_path: Path) -> None:
    """Otherwise one id could hide in two files."""
    scenario_file(tmp_path, "one.yaml", id="another")
    with pytest.raises(ScenarioError, match="id is 'another'; must be 'one'"):
        Catalogue(tmp_path).get("one")


def test_two_files_for_one_id_are_refused(tmp_path: Path) -> None:
    """Nobody could tell which one was meant."""
    scenario_file(tmp_path, "own.yaml")
    scenario_file(tmp_path, "own.json")
    with pytest.raises(MedgenError, match=r"more than one own: own\.json, own\.yaml"):
        Catalogue(tmp_path).get("own")


def test_a_path_is_loaded_from_anywhere(tmp_path: Path) -> None:
    """Whatever the file is called, and with a byte order mark too."""
    path = scenario_file(tmp_path, "any name.yaml", id="own")
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert Catalogue().get(path).id == "own"
    assert Catalogue().get(str(path)).id == "own"


@pytest.mark.parametrize(
    ("asked", "hint"),
    [
        ("coin-slow", "did you mean coin-slow-evacuation?"),
        ("convetional", "did you mean conventional?"),
        ("qqqq", "`medgen scenarios list` shows all"),
        ("nowhere/demo.yaml", "there is no scenario file nowhere/demo.yaml"),
    ],
)
def test_an_unknown_scenario_is_answered_with_the_nearest(asked: str, hint: str) -> None:
    """An id that is not there, or a file that is not."""
    with pytest.raises(UnknownScenarioError) as raised:
        Catalogue().get(asked)
    assert str(raised.value).endswith(hint)


def test_a_file_that_is_no_text_or_data_is_refused_with_its_name(tmp_path: Path) -> None:
    """Bytes, a folder, another ending and a syntax error each say what is wrong where."""
    binary, broken = tmp_path / "binary.yaml", tmp_path / "broken.yaml"
    folder, other = tmp_path / "folder.yaml", tmp_path / "scenario.txt"
    binary.write_bytes(b"\xff\xfe\x00")
    broken.write_text("a: b: c", encoding="utf-8")
    folder.mkdir()
    other.write_text("", encoding="utf-8")
    with pytest.raises(MedgenError, match=r"binary\.yaml is not UTF-8"):
        load_file(binary)
    with pytest.raises(ScenarioError, match="line 1, column 5 is not YAML"):
        load_file(broken)
    with pytest.raises(MedgenError, match=r"folder\.yaml cannot be read"):
        load_file(folder)
    with pytest.raises(MedgenError, match=r"must end in one of \.yaml, \.yml, \.json"):
        load_file(other)
    assert [fault.got for fault in check_file(broken).faults] == ["not YAML"]


def test_a_file_too_large_for_a_scenario_is_not_even_read(tmp_path: Path) -> None:
    """A dataset named by mistake is refused by its size."""
    path = tmp_path / "large.json"
    path.write_bytes(b" " * 1_000_001)
    with pytest.raises(MedgenError, match=r"large\.json is larger than 1000000 bytes"):
        load_file(path)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    """A slip in MEDGEN_SCENARIO_DIR must not look like an empty folder."""
    with pytest.raises(MedgenError, match="nowhere cannot be read: No such file"):
        Catalogue(tmp_path / "nowhere").ids()


def test_adding_copies_a_file_byte_for_byte_under_its_id(tmp_path: Path) -> None:
    """Comments stay, and the folder is made if need be."""
    source = SHIPPED / "training-exercise.yaml"
    catalogue = Catalogue(tmp_path / "new")
    added = catalogue.add(source)
    assert added == tmp_path / "new" / "training-exercise.yaml"
    assert added.read_bytes() == source.read_bytes()
    assert [path.name for path in added.parent.iterdir()] == ["training-exercise.yaml"]


def test_adding_refuses_what_is_faulty_or_already_there(tmp_path: Path) -> None:
    """Nothing is copied then, and what is there stays as it is, unless replacing is asked for."""
    folder = tmp_path / "folder"
    catalogue = Catalogue(folder)
    with pytest.raises(ScenarioError):
        catalogue.add(scenario_file(tmp_path, "own.yaml", days=0))
    assert not folder.exists()
    catalogue.add(scenario_file(tmp_path, "own.yaml"))
    second = scenario_file(tmp_path, "own.json", title="Second")
    with pytest.raises(ScenarioExistsError, match="already holds scenario own"):
        catalogue.add(second)
    assert catalogue.get("own").title == "The smallest"
    catalogue.add(second, replace=True)
    assert catalogue.get("own").title == "Second"


def test_adding_needs_a_folder() -> None:
    """Without one, the message names the variable that sets it."""
    with pytest.raises(MedgenError, match="MEDGEN_SCENARIO_DIR"):
        Catalogue().add(SHIPPED / "demo.yaml")
