"""Tables on narrow screens: nothing sticks out, and every number stays whole."""

import pytest

from meanfield.cli.tables import table_text, wrapped

PHASE = ("phase", "tanh", "--sigma-w", 0.5, 2.5, "--sigma-b", 0, 1, "--points", 61, 2)


def words_of(text):
    return sorted(text.split())


@pytest.mark.parametrize(
    "words",
    [
        ("critical", "silu", "--sigma-b", 0.2),
        ("fixed-points", "silu", "--sigma-w", 1.65, "--sigma-b", 0.2),
        ("line", "tanh", "--points", 12),
        ("list",),
        ("spectrum", "hard_tanh", "--depth", "1,2,3"),
        ("fisher", "tanh"),
        ("propagate", "tanh", "--sigma-w", 2.5, "--sigma-b", 0.3, "--depth", 9, "--c0", "0,0.1,0.2,0.3,0.4,0.5"),
        ("init", "tanh", 30, 20, 10),
        ("validate", "tanh", "--sigma-w", 1.5, "--sigma-b", 0.3, "--depth", 2, "--widths", "20,40", "--networks", 16),
    ],
    ids=lambda words: words[0] if isinstance(words, tuple) else words,
)
def test_no_number_is_split(terminal, monkeypatch, words):
    monkeypatch.delenv("COLUMNS", raising=False)
    wide = terminal.ok(*words).stdout
    for columns in (60, 80):
        monkeypatch.setenv("COLUMNS", str(columns))
        narrow = terminal.ok(*words).stdout
        assert max(map(len, narrow.splitlines())) <= columns
        assert {word for word in wide.split() if set(word) != {"-"}} <= set(narrow.split())


def test_a_map_is_as_wide_as_the_screen(terminal, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    lines = terminal.ok(*PHASE).stdout.splitlines()
    assert "60 of the 61 columns fit the screen" in lines
    assert [len(line) for line in lines if set(line) <= set(".#=~")] == [60, 60]


def test_cells_without_a_phase_are_explained(terminal):
    lines = terminal.ok("phase", "exp(x)", *PHASE[2:-2], 3, 2, "--q0", 1e3).stdout.splitlines()
    assert "???" in lines
    assert any(line.startswith("? ") and len(line) > 10 for line in lines)


def test_a_table_that_fits_is_left_alone():
    text = table_text(("name", "value"), [("a", "1.5"), ("bb", "-10.25")], width=20)
    assert text.splitlines() == ["name   value", "----  ------", "a        1.5", "bb    -10.25"]
    assert table_text(("", ""), [("a", "1")]) == "a  1"
    assert table_text(("name",), []).splitlines() == ["name", "----"]


def test_text_is_wrapped_before_columns_move():
    text = table_text(("value", "what it is"), [("1.25", "the largest of all the eigenvalues")], width=25)
    assert text.splitlines()[2:] == [" 1.25  the largest of all", "       the eigenvalues"]


def test_rows_become_columns_then_blocks():
    headers = [f"field{number}" for number in range(6)]
    row = [f"0.{number}2345678" for number in range(6)]
    turned = table_text(headers, [row], width=30).splitlines()
    assert turned[0].split() == ["field0", "0.02345678"]
    assert [line.split() for line in turned[2:]] == [list(pair) for pair in zip(headers[1:], row[1:], strict=True)]
    blocks = table_text(headers, [row] * 9, width=30).split("\n\n")
    assert [block.split()[0] for block in blocks] == ["field0"] * len(blocks)
    assert words_of(" ".join(blocks)).count("0.52345678") == 9


def test_every_block_has_all_its_keys():
    rows = [["a" * 9, str(n), *["1.23 (1.01 to 1.45)"] * 4] for n in range(9)]
    blocks = table_text(["group", "q_star", *"wxyz"], rows, width=60, keys=2).split("\n\n")
    assert len(blocks) == 2
    for block in blocks:
        assert block.split()[:2] == ["group", "q_star"]
        assert max(map(len, block.splitlines())) <= 60


def test_a_long_word_sticks_out_whole():
    assert wrapped("see 1.234567890123456789", 10) == ["see", "1.234567890123456789"]
    assert wrapped("  a sentence", 8) == ["  a", "  sentence"]
