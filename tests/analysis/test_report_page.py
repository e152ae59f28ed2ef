"""The page of a report: the answer, one picture, what to read next."""

from __future__ import annotations

import html.parser
import re
import shlex
from pathlib import Path

import click
import numpy as np
import pytest
import xarray as xr
from matplotlib.figure import Figure

from analysis.cli import main
from analysis.report import words
from analysis.report.arrays import Group, groups_netcdf, to_datatree
from analysis.report.further import _FURTHER, further
from analysis.report.publish import publish
from analysis.report.report import Panel, Report, Table


def panel(name):
    figure = Figure(figsize=(3, 2))
    figure.subplots().plot([0, 1])
    return Panel(name, figure, f"alt of {name}", f"caption of {name}")


TABLE = Table(
    "What it is",
    ["quantity", "value"],
    [["share of the gap closed", "99%"], ["leak: p(RESET) before its place", "1e-5"], ["x", "<2>"]],
)


class Parsed(html.parser.HTMLParser):
    """Tags in their order, ids, and what links lead to."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.ids, self.links, self.texts = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.tags.append(tag)
        self.ids += [given["id"]] if "id" in given else []
        self.links += [given["href"]] if tag == "a" else []

    def handle_data(self, data):
        self.texts.append(data)


@pytest.fixture
def page(tmp_path, monkeypatch):
    def make(docs="", **more):
        monkeypatch.setenv("META_LEARN_DOCS", docs)
        given = {"tables": [TABLE], "panels": lambda: [panel("one"), panel("two")]} | more
        report = Report("comparison", "Title", "The answer.", {}, **given)
        publish(report, tmp_path, {}, "meta-learn compare")
        return (tmp_path / "report.html").read_text("utf-8")

    return make


def test_the_answer_then_the_picture_then_the_rest(page):
    text = page()
    marks = ["The answer.", "caption of one", "What it is", "caption of two", "How this was made"]
    places = [text.index(mark) for mark in marks]
    assert places == sorted(places)
    assert "&lt;2&gt;" in text


def test_every_quantity_leads_to_what_it_means(page):
    parsed = Parsed(page())
    inside = [link[1:] for link in parsed.links if link.startswith("#")]
    assert {"word-share-of-the-gap-closed", "word-leak-and-miss"} == set(inside)
    assert set(inside) <= set(parsed.ids)
    assert len(parsed.ids) == len(set(parsed.ids))


def test_links_lead_to_the_documentation_where_its_place_is_known(page):
    assert not [link for link in Parsed(page()).links if not link.startswith("#")]
    links = Parsed(page("https://docs.example/en/")).links
    assert "https://docs.example/en/notation.html#loss-gap-share" in links


def test_pages_that_words_name_exist():
    docs = Path(__file__).parents[2] / "docs"
    for word in words.WORDS:
        text = (docs / f"{word.page}.md").read_text("utf-8")
        heads = [line.lstrip("# ").strip() for line in text.splitlines() if line.startswith("#")]
        anchors = {re.sub(r"[^a-z0-9-]", "", head.lower().replace(" ", "-")) for head in heads}
        assert word.anchor in anchors | {""}, word


def test_a_report_with_one_folder_says_how_to_go_on(tmp_path):
    out = tmp_path / "a b"
    commands = [command for _, command in further("comparison", out, ["network-seed3"])]
    assert commands and all(f"'{out}/network-seed3.safetensors'" in c for c in commands)
    assert not further("comparison", out, [])  # predictions from elsewhere: no network to look at


def test_commands_to_go_on_with_are_understood(tmp_path):
    for name in _FURTHER:
        for _, line in further(name, tmp_path, ["network"]):
            command, arguments = main, shlex.split(line)[1:]
            while isinstance(command, click.Group):
                command = command.commands[arguments.pop(0)]
            if "--help" not in arguments:
                command.make_context("x", arguments, resilient_parsing=False)


def test_arrays_are_what_xarray_writes(tmp_path):
    groups = {
        "numbers": Group(
            {
                "loss": (("seed", "place"), np.array([[1.5, np.nan, 2.0]]), {"units": "nats"}),
                "short": ("place", np.arange(3, dtype=np.float32), {}),
                "drawn": (("place",), np.array([True, False, True])),
                "count": (("seed",), np.array([7], np.int32)),
            },
            {
                "seed": [3],
                "place": np.arange(3),
                "symbols": ("place", [10, 20, 30], {"units": "1"}),
            },
        ),
        "names": Group({"p": (("name",), np.ones(2))}, {"name": ["Bayes", "µ"]}),
    }
    (tmp_path / "ours.nc").write_bytes(groups_netcdf(groups))
    to_datatree(groups).to_netcdf(tmp_path / "theirs.nc", engine="h5netcdf")
    trees = [xr.open_datatree(tmp_path / f"{n}.nc", engine="h5netcdf") for n in ("ours", "theirs")]
    with trees[0] as ours, trees[1] as theirs:
        assert ours.identical(theirs)
        assert ours["numbers"]["drawn"].dtype == bool
        for group in groups:
            for name in ours[group].variables:
                assert ours[group][name].encoding["dtype"] == theirs[group][name].encoding["dtype"]
