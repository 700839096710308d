"""Free memory: of the host, or of the tightest control group above this process."""

from pathlib import Path

import pytest

from medgen_pipeline.runtime.host import available_mb, cgroups_available_mb, own_groups

MIB = 1024 * 1024


def group(folder: Path, **files: str) -> None:
    """Write the files of a control group as the kernel shows them."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)


def test_a_group_of_version_2_has_its_limit_less_what_cannot_be_reclaimed(tmp_path: Path) -> None:
    group(
        tmp_path,
        memory__max=f"{512 * MIB}\n",
        memory__current=f"{400 * MIB}\n",
        memory__stat=f"anon 1\ninactive_file {100 * MIB}\n",
    )
    assert cgroups_available_mb(tmp_path, [""]) == [212]


def test_a_group_without_a_limit_or_without_files_says_nothing(tmp_path: Path) -> None:
    group(tmp_path, memory__max="max\n", memory__current="1\n", memory__stat="inactive_file 0\n")
    assert cgroups_available_mb(tmp_path, ["", "absent"]) == []


def test_both_versions_and_every_group_above_are_looked_at(tmp_path: Path) -> None:
    group(
        tmp_path / "memory" / "job",
        memory__limit_in_bytes=f"{300 * MIB}\n",
        memory__usage_in_bytes=f"{100 * MIB}\n",
        memory__stat="cache 0\ntotal_inactive_file 0\n",
    )
    assert cgroups_available_mb(tmp_path, ["", "job"]) == [200]


@pytest.mark.parametrize(
    ("text", "groups"),
    [
        ("0::/\n", [""]),
        ("0::/system.slice/medgen.service\n", ["", "system.slice/medgen.service"]),
        ("5:devices:/x\n4:memory:/job/1\n0::/\n", ["", "job/1"]),
    ],
)
def test_own_groups_are_those_that_bound_memory(
    tmp_path: Path, text: str, groups: list[str]
) -> None:
    listing = tmp_path / "cgroup"
    listing.write_text(text)
    assert own_groups(listing) == groups


def test_this_host_has_some_memory_left() -> None:
    assert available_mb() > 0
    assert own_groups(Path("/does/not/exist")) == [""]
