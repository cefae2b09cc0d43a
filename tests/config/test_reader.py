"""The strict reader: what plain YAML gives, and that everything beyond it is refused with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from smoothrl.config.errors import ConfigError
from smoothrl.config.reader import MAX_BYTES, MAX_DEPTH, read, read_file


def problems(text: str) -> list[str]:
    try:
        return [str(problem) for problem in read(text, "f").problems]
    except ConfigError as error:
        return [str(problem) for problem in error.problems]


def test_scalars_follow_yaml_1_2() -> None:
    text = "{a: 3e-4, b: 1e6, c: on, d: no, e: true, f: null, g: 7, h: 'x', i: ~, j: }"
    expected = {"a": 3e-4, "b": 1e6, "c": "on", "d": "no", "e": True, "f": None, "g": 7, "h": "x", "i": None, "j": None}
    assert read(text, "f").data == expected


def test_every_value_knows_its_line() -> None:
    document = read("a:\n  b: 1\n  c:\n    - x\n    - y: 2\n", "f")
    lines = {(): "f:1", ("a",): "f:1", ("a", "b"): "f:2", ("a", "c"): "f:3", ("a", "c", 0): "f:4", ("a", "c", 1): "f:5"}
    assert document.origins == lines | {("a", "c", 1, "y"): "f:5"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: !!str 5", ["f:1: tags are not allowed: `tag:yaml.org,2002:str`"]),
        ("a: !!python/object/apply:os.system [ls]", ["f:1: tags are not allowed: `tag:yaml.org,2002:python/object"]),
        ("a: 1\nb: !x {}", ["f:2: tags are not allowed: `!x`"]),
        ("a: &x 1\nb: *x", ["f:1: anchors are not allowed: `&x`", "f:2: aliases are not allowed: `*x`"]),
        ("a: &x [*x]", ["f:1: anchors are not allowed: `&x`", "f:1: aliases are not allowed: `*x`"]),
        ("%YAML 1.1\n---\na: on", ["f:2: directives (`%`) are not allowed"]),
        ("%TAG ! tag:x,2000:\n---\na: 1", ["f:2: directives (`%`) are not allowed"]),
        ("a: 1\n---\nb: 2", ["f:2: a file holds one document: `---` starts another"]),
        ("a: 1\nb: 2\na: 3", ['f:3: a: duplicate key, first at f:1 (got "3")']),
        ("a:\n  b: 1\n  b: 2", ['f:3: a.b: duplicate key, first at f:2 (got "2")']),
        ("a:\n  1: x", ['f:2: a: keys must be plain text (got "1")']),
        ("null: x", ['f:1: keys must be plain text (got "null")']),
        ("? [a, b]\n: x", ["f:1: keys must be plain text"]),
        ("<<: {a: 1}", ['f:1: keys must be plain text (got "<<")']),
        ("a: 2024-01-01", ['f:1: a: a timestamp is not plain data: quote it for text (got "2024-01-01")']),
        ("a: =", ["f:1: a: a value is not plain data: quote it for text"]),
        ("a: .nan", ['f:1: a: must be a finite number (got ".nan")']),
        ("a: [1, -.inf]", ['f:1: a[1]: must be a finite number (got "-.inf")']),
        ("a: 1e999", ['f:1: a: must be a finite number (got "1e999")']),
        ("a: " + "9" * 5000, ["f:1: a: not a number that can be read"]),
        ("a: b: c", ["f:1: not valid YAML: mapping values are not allowed here"]),
        ("a: [1", ["f:1: not valid YAML: while parsing a flow sequence"]),
        ("a: \x07", ["f: not valid YAML: unacceptable character #x0007"]),
    ],
)
def test_what_is_not_plain_data_is_refused(text: str, expected: list[str]) -> None:
    found = problems(text)
    assert len(found) == len(expected)
    for message, start in zip(found, expected, strict=True):
        assert message.startswith(start)


def test_all_problems_of_a_file_come_together() -> None:
    assert len(problems("a: .nan\na: 1\n2: x\nb: 2024-01-01\n")) == 4


def test_depth_is_limited_before_anything_is_built() -> None:
    def nested(depth: int) -> str:
        return "a: " + "[" * (depth - 1) + "]" * (depth - 1)

    assert problems(nested(MAX_DEPTH)) == []
    assert problems(nested(MAX_DEPTH + 1)) == [f"f:1: must be nested at most {MAX_DEPTH} deep"]
    assert problems("[" * 100_000) == [f"f:1: must be nested at most {MAX_DEPTH} deep"]


def test_size_is_limited(tmp_path: Path) -> None:
    path = tmp_path / "big.yaml"
    path.write_text("a: " + "x" * (MAX_BYTES - 3))
    assert read_file(path).data["a"].startswith("xxx")
    path.write_text("a: " + "x" * (MAX_BYTES - 2))
    with pytest.raises(ConfigError, match="must be at most 1,000,000 bytes long"):
        read_file(path)


def test_unreadable_files(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text("a: 1")
    with pytest.raises(ConfigError, match=r"no such file, did you mean `base\.yaml`"):
        read_file(tmp_path / "bose.yaml")
    with pytest.raises(ConfigError, match=r"cannot be read: .*directory"):
        read_file(tmp_path)
    (tmp_path / "latin.yaml").write_bytes("a: caf\xe9".encode("latin-1"))
    with pytest.raises(ConfigError, match=r"cannot be read: .*utf-8"):
        read_file(tmp_path / "latin.yaml")
