"""Tables and statistics that the measurements print."""

import pytest

from bench.harness.report import markdown_table, percentile, table


def test_a_percentile_is_one_of_the_values() -> None:
    values = [5.0, 1.0, 4.0, 2.0, 3.0]
    assert [percentile(values, percent) for percent in (0, 50, 95, 100)] == [1.0, 3.0, 5.0, 5.0]
    assert percentile([float(number) for number in range(1, 41)], 95) == 38.0
    with pytest.raises(ValueError, match="no values"):
        percentile([], 50)


def test_columns_of_a_table_are_aligned() -> None:
    assert table([["name", "ms"], ["a", "1"], ["bcdef", ""]]) == "name   ms\n-----  --\na      1\nbcdef"


def test_columns_of_a_markdown_table_are_aligned() -> None:
    assert markdown_table(("name", "ms"), [("a", "100")]) == "| name | ms  |\n|------|-----|\n| a    | 100 |\n"
