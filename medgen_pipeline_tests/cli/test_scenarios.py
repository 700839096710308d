"""Scenarios can be listed, printed, checked and added from the command line."""

import json
from pathlib import Path

import pytest
import yaml

from medgen_pipeline.cli import main
from medgen_pipeline.scenario.catalogue import Catalogue

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make an empty MEDGEN_SCENARIO_DIR."""
    path = tmp_path / "scenarios"
    path.mkdir()
    monkeypatch.setenv("MEDGEN_SCENARIO_DIR", str(path))
    return path


def printed_demo(capsys: Capture) -> str:
    assert main(["scenarios", "show", "demo"]) == 0
    return capsys.readouterr().out


def test_every_shipped_scenario_is_listed(capsys: Capture) -> None:
    assert main(["scenarios", "list", "--json"]) == 0
    listed = {entry["id"] for entry in json.loads(capsys.readouterr().out)}
    assert listed == set(Catalogue().ids())
    assert {"demo", "coin", "coin-slow-evacuation", "high-intensity"} <= listed


def test_what_is_shown_is_taken_back(tmp_path: Path, capsys: Capture) -> None:
    """`show` prints a file that is the same scenario, defaults and all."""
    file = tmp_path / "demo.yaml"
    file.write_text(printed_demo(capsys))
    assert Catalogue().get(str(file)) == Catalogue().get("demo")
    assert main(["scenarios", "check", str(file)]) == 0
    assert "scenario demo can be generated" in capsys.readouterr().out


def five_faults(tmp_path: Path, text: str) -> Path:
    data = yaml.safe_load(text)
    data |= {"tempo": "slow", "intensity": "mad", "colour": "red", "seed": -1, "start": "tomorrow"}
    file = tmp_path / "five.yaml"
    file.write_text(yaml.safe_dump(data))
    return file


@pytest.mark.parametrize("command", [["scenarios", "check"], ["generate"]])
def test_five_faults_are_refused_with_all_five(
    command: list[str], tmp_path: Path, capsys: Capture
) -> None:
    """Nothing is generated, and each fault is named with what is allowed."""
    file = five_faults(tmp_path, printed_demo(capsys))
    data = tmp_path / "data"
    where = ["--data-url", str(data)] if command == ["generate"] else []
    assert main([*command, str(file), *where]) == 2
    said = capsys.readouterr().err
    assert "5 faults" in said
    for path in ("tempo", "intensity", "colour", "seed", "start"):
        assert f"  {path} is " in said
    assert not data.exists()


def test_check_takes_ids_as_others_do(folder: Path, capsys: Capture) -> None:
    """Of the package or the folder, under the rules of a catalogue; a slip has a suggestion."""
    assert main(["scenarios", "check", "demo"]) == 0
    assert "scenario demo can be generated" in capsys.readouterr().out
    (folder / "mine.yaml").write_text(printed_demo(capsys))
    assert main(["scenarios", "check", "mine"]) == 2
    assert "id is 'demo'; must be 'mine' as its file is named" in capsys.readouterr().err
    assert main(["scenarios", "check", "dmo"]) == 2
    assert "there is no scenario 'dmo'; did you mean demo?" in capsys.readouterr().err


def test_one_that_is_not_there_hides_no_fault_of_the_others(
    tmp_path: Path, capsys: Capture
) -> None:
    file = five_faults(tmp_path, printed_demo(capsys))
    given = ["no/such.yaml", str(file), "demo"]
    assert main(["scenarios", "check", *given]) == 2
    printed = capsys.readouterr()
    assert "there is no scenario file no/such.yaml" in printed.err
    assert "5 faults" in printed.err
    assert "scenario demo can be generated" in printed.out
    assert main(["scenarios", "check", "--json", *given]) == 2
    missing, faulty, fit = json.loads(capsys.readouterr().out)
    assert missing["problem"] == "there is no scenario file no/such.yaml"
    assert (len(faulty["faults"]), faulty["problem"]) == (5, None)
    assert (fit["faults"], fit["problem"]) == ([], None)


def test_faults_as_json(tmp_path: Path, capsys: Capture) -> None:
    file = five_faults(tmp_path, printed_demo(capsys))
    assert main(["scenarios", "check", "--json", str(file)]) == 2
    (checked,) = json.loads(capsys.readouterr().out)
    assert len(checked["faults"]) == 5
    assert set(checked["faults"][0]) == {"path", "got", "allowed"}


def test_a_scenario_is_added_under_its_id(tmp_path: Path, folder: Path, capsys: Capture) -> None:
    file = tmp_path / "anything.yaml"
    file.write_text(printed_demo(capsys).replace("id: demo", "id: mine", 1))
    assert main(["scenarios", "add", str(file)]) == 0
    assert (folder / "mine.yaml").read_bytes() == file.read_bytes()
    assert main(["scenarios", "show", "mine"]) == 0
    capsys.readouterr()
    assert main(["scenarios", "add", str(file)]) == 2
    assert "already holds scenario mine" in capsys.readouterr().err
    assert main(["scenarios", "add", "--replace", str(file)]) == 0
