"""The list of tests that wait for CI names tests that there are."""

import re
from pathlib import Path

TESTS = Path(__file__).parent


def test_every_name_is_that_of_a_test():
    lines = [x for x in (TESTS / "longer.txt").read_text().splitlines() if x[0] != "#"]
    assert lines == sorted(set(lines))
    for line in lines:
        path, name, every = re.fullmatch(r"(\S+\.py)::(\w+) (\d+)", line).groups()
        assert int(every) != 1, line
        assert f"\ndef {name}(" in (TESTS.parent / path).read_text(), line
