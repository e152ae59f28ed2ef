"""Commands run in this process, for the tests of every command."""

import re
from pathlib import Path

from click.testing import CliRunner, Result

from analysis.cli import main


def run(*arguments) -> Result:
    """``meta-learn`` with these arguments."""
    return CliRunner().invoke(main, [str(a) for a in arguments])


def refused(*arguments) -> str:
    """The one line that ``meta-learn`` says when it refuses these arguments."""
    result = run(*arguments)
    assert result.exit_code in (1, 2)
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    return result.stderr.strip().splitlines()[-1]


def assert_refused(result, *codes, says=""):
    """One clear line on stderr (after click's usage lines, if any), nothing on stdout."""
    assert result.exit_code in codes, result.output
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    assert isinstance(result.exception, SystemExit)
    lines = [x for x in result.stderr.splitlines() if not x.startswith(("Usage:", "Try "))]
    assert len([x for x in lines if x]) == 1, result.stderr
    assert lines[-1].startswith("Error: ")
    assert says in lines[-1]


def groups_of(path: Path) -> set[str]:
    """The names of a netCDF's groups, as ArviZ opens it, below 1.0 or from there on."""
    from analysis.arviz_versions import arviz

    groups = arviz().from_netcdf(path).groups
    return {name.strip("/") for name in (groups() if callable(groups) else groups)}


def words_of(page):
    """What a reader sees of a page: without its script and its drawings."""
    return re.sub(r"<script.*?</script>|<svg.*?</svg>|data:[^\"]*", "", page, flags=re.DOTALL)
