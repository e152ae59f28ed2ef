"""Figures as files and as parts of a page: laid out once, by two processes, in a page's colours."""

from __future__ import annotations

import io
import re
import xml.etree.ElementTree as ET

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread
from matplotlib.ticker import FuncFormatter

from analysis.report import drawers
from analysis.report.drawing import draw
from analysis.report.inline import inline_svg, show_svg
from analysis.report.style import BLUE, ON_DARK, ON_LIGHT, STYLE, VERMILLION, log_scale


def curve(title="losses", width=4.0):
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(width, 2.5))
        axes = figure.subplots()
        axes.plot([1, 2, 3], [1e-5, 3e-3, 1e-1], color=BLUE, marker="o", label="a")
        axes.plot([1, 2, 3], [1e-4, 1e-4, 1e-4], color="#000000", label="b")
        axes.set_yscale("log")
        axes.set_title(title)
        axes.legend()
    return figure


def texts(svg):
    return {
        "".join(element.itertext()) for element in ET.fromstring(svg).iter() if is_text(element)
    }


def is_text(element):
    return element.tag.endswith("}text")


def test_a_figure_is_laid_out_once(monkeypatch):
    figure = curve()
    engine, times = figure.get_layout_engine(), []
    execute = engine.execute
    monkeypatch.setattr(engine, "execute", lambda of: (times.append(1), execute(of)))
    files = draw(figure)
    assert len(times) == 1
    assert imread(io.BytesIO(files["png"])).shape[1] == pytest.approx(4 * 110, abs=1)
    assert texts(files["svg"]) >= {"losses", "a", "b"}


def test_powers_are_plain_letters():
    found = texts(draw(curve())["svg"])
    assert {"10⁻⁵", "10⁻³", "10⁻¹"} <= found
    assert not any("$" in text or "{" in text for text in found)


def test_the_same_figure_gives_the_same_bytes():
    assert draw(curve()) == draw(curve())


def untold(figure):
    # What a function of this module does cannot be told to another process.
    figure.axes[0].xaxis.set_major_formatter(FuncFormatter(lambda x, place: f"at {x:g}"))
    return figure


@pytest.fixture
def second(monkeypatch):
    monkeypatch.setattr(drawers.os, "cpu_count", lambda: 2)
    drawers.begin()
    process = drawers._second
    assert process is not None
    yield process
    drawers.end()
    assert process.returncode is not None


def test_two_processes_draw_what_one_draws(second):
    drawn = drawers.draw_all([curve(str(n)) for n in range(4)])
    assert drawn == [draw(curve(str(n))) for n in range(4)]
    elsewhere = drawers._ask(second, curve("there"))
    assert elsewhere == draw(curve("there"))


def test_what_does_not_travel_is_drawn_here(second):
    drawn = drawers.draw_all([untold(curve(str(n))) for n in range(3)])
    assert drawn == [draw(untold(curve(str(n)))) for n in range(3)]
    assert "at 2" in texts(drawn[0]["svg"])


def test_a_second_process_that_dies_costs_no_figure(second):
    second.kill()
    second.wait()
    drawn = drawers.draw_all([curve(str(n)) for n in range(3)])
    assert drawn == [draw(curve(str(n))) for n in range(3)]


def test_a_figure_that_cannot_be_drawn_says_why():
    broken = curve()
    broken.axes[0].set_title("$\\nonsense{$")
    with pytest.raises(ValueError, match="nonsense"):
        drawers.draw_all([curve(), broken])


def test_colours_and_letters_are_the_pages():
    figure = curve("title")
    figure.axes[0].text(1, 1e-3, "on dark", color=ON_DARK)
    figure.axes[0].text(2, 1e-3, "on light", color=ON_LIGHT)
    figure.axes[0].axhline(1e-2, color=VERMILLION)
    figure.axes[0].axhline(2e-2, color="#555555")
    svg = inline_svg(draw(figure)["svg"], 'what "it" shows & how')
    used = set(re.findall(r"#[0-9a-f]{6}\b", svg))
    assert used == {ON_DARK, ON_LIGHT, VERMILLION.lower()}
    assert {"currentColor", "var(--soft)", "var(--paper)", "var(--grid)", "var(--blue)"} <= set(
        re.findall(r"currentColor|var\(--[a-z]+\)", svg)
    )
    assert "DejaVu" not in svg
    assert 'aria-label="what &quot;it&quot; shows &amp; how"' in svg
    assert not re.search(r"https?:|<style|<metadata|<!--", svg)


def test_names_of_two_figures_do_not_meet():
    one, other = (inline_svg(draw(curve(t))["svg"], t) for t in ("one", "other"))
    names = [set(re.findall(r'\bid="([^"]+)"', svg)) for svg in (one, other)]
    assert names[0] and not names[0] & names[1]
    referred = set(re.findall(r'(?:href="|url\()#([^")]+)', one))
    assert referred <= names[0]


@pytest.mark.parametrize(("width", "wide"), [(4.0, False), (7.2, True)])
def test_wide_figures_have_a_row_to_themselves(width, wide):
    shown = show_svg(draw(curve(width=width))["svg"], "alt", "caption")
    assert shown.wide == wide
    assert f"width: {width * 72 * 1.5:.0f}px" in shown.svg


def test_pictures_stay_pictures():
    figure = Figure()
    figure.subplots().imshow(np.eye(3))
    shown = show_svg(draw(figure)["svg"], "alt", "caption")
    assert shown.picture and "data:image/png;base64," in shown.svg
    assert not show_svg(draw(curve())["svg"], "alt", "caption").picture


@pytest.mark.parametrize("line", [None, -1e-17, 0.0])
def test_axes_with_nothing_above_0_are_drawn(line):
    """As where every gap is infinite, or 0 up to rounding: tests take warnings for errors."""
    nothing = np.full(3, np.nan)
    for together in (False, True):
        figure = Figure(layout="constrained")
        left, right = figure.subplots(1, 2, sharey=together)
        for axes in (left, right):
            axes.plot(range(3), nothing)
            axes.fill_between(range(3), nothing, nothing)
            if line is not None:
                axes.axhline(line)
            log_scale(axes)
        assert left.get_yscale() == "linear"
        draw(figure)
        right.plot([1, 2], [0.1, 0.01])
        log_scale(right)
        assert right.get_yscale() == "log"
        assert left.get_yscale() == ("log" if together else "linear")
        draw(figure)
