"""Names of folders to task, variant and seed: known layouts, and patterns."""

from __future__ import annotations

from pathlib import Path

import pytest

from smoothrl.compare.reading.layouts import Identity, cleanrl, compiled, proposed, sb3, zoo
from smoothrl.compare.runs import CompareError

FILE = (Path("events.out.tfevents.1"),)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Hopper-v4__td3_continuous_action__1__1700000000", Identity("Hopper-v4", "td3_continuous_action", "1")),
        ("A_b-v0__my__name__12__1700000000", Identity("A_b-v0", "my__name", "12")),
        ("Hopper-v4__td3__1", None),
        ("Hopper-v4__td3__x__1700000000", None),
        ("Hopper-v4", None),
    ],
)
def test_cleanrl(name: str, expected: Identity | None) -> None:
    assert cleanrl(Path("/runs") / name, FILE) == expected
    assert cleanrl(Path("/runs") / name, ()) is None


def test_zoo(tmp_path: Path) -> None:
    folder = tmp_path / "sac" / "Pendulum-v1_10"
    folder.mkdir(parents=True)
    assert zoo(folder, ()) is None
    (folder / "Pendulum-v1").mkdir()
    assert zoo(folder, ()) == Identity("Pendulum-v1", "sac", "10")


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("SAC_1", b"..time/fps..", Identity("Pendulum-v1", "SAC", "1")),
        ("ppo_big_12", b"..time/fps..", Identity("Pendulum-v1", "ppo_big", "12")),
        ("SAC_1", b"something else", None),
        ("SAC", b"..time/fps..", None),
        ("seed_1", b"..time/fps..", None),
        ("runs_1", b"..time/fps..", None),
    ],
)
def test_sb3(tmp_path: Path, name: str, content: bytes, expected: Identity | None) -> None:
    folder = tmp_path / "Pendulum-v1" / name
    folder.mkdir(parents=True)
    file = folder / "events.out.tfevents.1"
    file.write_bytes(content)
    assert sb3(folder, [file]) == expected
    assert sb3(folder, [folder / "gone"]) is None


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("{task}/{variant}/seed-{seed}", "/any/where/Hopper/sac/seed-3", Identity("Hopper", "sac", "3")),
        ("{task}/{variant}/seed-{seed}", "/Hopper/sac/seed3", None),
        ("{variant}-{seed}", "/x/sac-big-3", Identity("task", "sac-big", "3")),
        ("{variant}", "/x/sac", Identity("task", "sac", None)),
        ("{task}/{_}/{variant}_{_}", "/x/Hopper/2024/sac_a_b", Identity("Hopper", "sac_a", None)),
        ("{variant}/{_}/{seed}", "/sac/deep/er/3", Identity("task", "deep", "3")),
        ("{variant}.(*)/{seed}", "/x/sac.(*)/3", Identity("task", "sac", "3")),
        ("{variant}.(*)/{seed}", "/x/sac.aaa/3", None),
        ("a/b/c/d/{variant}", "/d/sac", None),
        ("/{task}/{variant}/", "/x/Hopper/sac", Identity("Hopper", "sac", None)),
        ("{variant}", "/x/new\nline", Identity("task", "new\nline", None)),
    ],
)
def test_patterns(pattern: str, path: str, expected: Identity | None) -> None:
    assert compiled(pattern)(Path(path), ()) == expected


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("{task}/{varient}", "unknown placeholder `{varient}`, did you mean `variant`?"),
        ("{variant}/{}", "unknown placeholder `{}`"),
        ("{task}/{seed}", "`{variant}` is missing"),
        ("{variant}/{variant}", "`{variant}` stands there more than once"),
        ("", "`{variant}` is missing"),
    ],
)
def test_wrong_patterns(pattern: str, message: str) -> None:
    with pytest.raises(CompareError) as error:
        compiled(pattern)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("path", "pattern"),
    [("/r/Hopper/sac/seed_3", "{task}/{variant}/seed_{seed}"), ("/r/Hopper/sac", "{task}/{variant}"),
     ("/r/Hopper/sac/7", "{task}/{variant}/{seed}")],
)  # fmt: skip
def test_a_proposed_pattern_matches(path: str, pattern: str) -> None:
    assert proposed(Path(path)) == pattern
    identity = compiled(pattern)(Path(path), ())
    assert identity is not None
    assert (identity.task, identity.variant) == ("Hopper", "sac")
