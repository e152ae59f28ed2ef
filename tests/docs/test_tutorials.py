"""Every tutorial is a notebook that runs from its first cell to its last, and can be downloaded."""

from __future__ import annotations

import re
from pathlib import Path

import jax
import pytest

from autoregressive.cells import CELLS

TUTORIALS = sorted((Path(__file__).parents[2] / "docs" / "tutorials").glob("*.md"))
_CELL = re.compile(
    r"^```\{code-cell\} python\n(?:---\n.*?\n---\n)?(.*?)^```$", re.DOTALL | re.MULTILINE
)


def named(path):
    return path.stem


@pytest.mark.parametrize("page", TUTORIALS, ids=named)
def test_its_page_links_to_the_notebook(page):
    assert f"{{nb-download}}`{page.stem}.ipynb`" in page.read_text("utf-8")


@pytest.mark.parametrize("page", TUTORIALS, ids=named)
def test_it_runs(page, tmp_path, monkeypatch, capsys):
    pytest.importorskip("IPython")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("META_LEARN_CACHE", str(tmp_path / "cache"))
    known = dict(CELLS)
    cells = _CELL.findall(page.read_text("utf-8"))
    assert len(cells) > 4
    # A module's own names: dataclasses look up where their class was made.
    space = {"__name__": __name__}
    # A reader's own lines broadcast as JAX does by itself.
    with jax.numpy_rank_promotion("allow"):
        for number, cell in enumerate(cells):
            code = compile(cell, f"{page.name}, cell {number}", "exec", dont_inherit=True)
            exec(code, space)
    assert "nan" not in capsys.readouterr().out.lower()
    CELLS.clear()
    CELLS.update(known)
