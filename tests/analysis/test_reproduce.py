"""The whole coursework at tiny sizes, on digits drawn from fonts: every row, its page, resuming."""

import dataclasses
import html
import json
import os
import re
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from running import refused, words_of

from analysis.cli import main
from analysis.coursework import questions
from analysis.coursework.reproduce import steps
from analysis.coursework.reproduce.rows import ROWS
from analysis.coursework.reproduce.run import Run
from analysis.coursework.reproduce.sizes import QUICK, Sizes

TINY = dataclasses.replace(
    QUICK,
    name="tiny",
    train_images=600,
    readouts=((4,),),
    epochs=2,
    pixel_batch=200,
    pixel_recipe="coursework",
    hidden=4,
    continued_images=4,
    inpainted_images=5,
    mistaken_images=3,
    streams=20,
    exact_task_length=4,
    hidden_streams=40,
    hidden_models=("M2",),
)
KEPT = Path(__file__).parents[2] / "docs" / "results" / "questions.json"
ROW_NUMBERS = [str(n) for n in ROWS]


def reproduced(out, cache, monkeypatch, *arguments, sizes: Sizes = TINY):
    """``meta-learn reproduce`` at tiny sizes."""
    monkeypatch.setattr("analysis.coursework.reproduce.sizes.QUICK", sizes)
    environment = {"META_LEARN_CACHE": str(cache)}
    words = ["reproduce", "--quick", "--data", "glyphs", "--out", out, *arguments]
    return CliRunner().invoke(main, [str(a) for a in words], env=environment)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The folder of a whole run and its JSON document."""
    folder = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as monkeypatch:
        result = reproduced(folder / "out", folder / "cache", monkeypatch, "--json")
    assert result.exit_code == 0, result.stderr
    assert len(result.stderr.splitlines()) == 19, result.stderr
    return folder / "out", json.loads(result.stdout)


def sections(out):
    """The page's sections by anchor, as text of tags and words."""
    page = (out / "report.html").read_text()
    found = re.findall(r'<section id="([^"]+)">(.*?)</section>', page, re.S)
    return {anchor: html.unescape(text) for anchor, text in found}


def test_the_page_has_every_row_with_its_command_and_seed(whole):
    out, document = whole
    found = sections(out)
    assert list(found) == [*(f"row-{n}" for n in ROW_NUMBERS), "mistakes"]
    for number, row in ROWS.items():
        text = found[row.step]
        assert row.title in text and row.asked in text
        assert re.search(rf"meta-learn reproduce .*--seed 0 --rows {number} --out", text)
        assert row.report in text
        assert "<table" in text
        assert document["rows"][str(number)]["answer"] in text
    page = (out / "report.html").read_text()
    assert "not MNIST but glyphs" in page
    assert not re.search(r'(src|href)="(?!data:|#)', page)  # self-contained
    assert page.count("<svg") == len(list(out.glob("*.png"))) == len(list(out.glob("*.svg")))
    assert "nan" not in words_of(page).lower().replace("finance", "")


def test_captions_of_pixel_rows_say_what_the_images_are(whole):
    for anchor in ("row-1", "row-4", "row-5", "row-6", "row-7", "row-10"):
        captions = re.findall(r"<figcaption>(.*?)</figcaption>", sections(whole[0])[anchor], re.S)
        assert captions and all("glyphs" in caption for caption in captions)


def test_the_pages_numbers_are_those_of_the_json(whole):
    out, document = whole
    found = sections(out)
    numbers = {n: row["numbers"] for n, row in document["rows"].items()}
    (trained,) = (v for k, v in numbers["4"].items() if k.startswith("read-out"))
    for row in trained["epochs"].values():
        for part in ("train", "test"):
            mean, se = (row[part]["cross_entropy"][k] for k in ("mean", "se"))
            assert f"<td>{mean:.4f} ± {se:.4f}</td>" in found["row-4"]
    for horizons in numbers["5"]["networks"].values():
        for costs in horizons.values():
            for kind in ("own", "truth", "crossed"):
                cell = f"{costs[kind]['mean']:.4f} ± {costs[kind]['se_images']:.4f}"
                assert f"<td>{cell}</td>" in found["row-5"]
    for kind in numbers["10"].values():
        assert f"<td>{kind['nll_truth']['mean']:.5f}</td>" in found["row-10"]
    for recipe in numbers["16"].values():
        for model in recipe.values():
            assert f"<td>{100 * model['gap_closed']['mean']:.3f}%</td>" in found["row-16"]
    for effect in numbers["mistakes"]["effects"]:
        assert effect["mistake"] in found["mistakes"]


def test_every_row_holds_what_it_is_asked_for(whole):
    _, document = whole
    n = {k: row["numbers"] for k, row in document["rows"].items()}
    assert n["1"]["grey_levels_agree"] == 256
    assert n["2"]["change_before"] == n["12"]["change_before"] == 0
    assert n["2"]["change_after"] > 0 and n["12"]["change_after"] > 0
    assert n["6"]["shown"] == 48
    assert len({c["image"] for c in n["6"]["chosen"].values()}) == 3
    assert list(n["5"]["networks"]) == ["0 epochs", "1 epoch", "2 epochs"]
    assert all(list(h) == ["1", "10", "28", "300"] for h in n["5"]["networks"].values())
    assert n["7"]["missing"] == [1, 1] and n["8"]["missing"] == [4, 4]
    assert all(kind["truth_cheaper"] == 0 for kind in n["10"].values())
    assert all(model["resets_misplaced"] == 0 for model in n["11"].values())
    after = n["15"]["alpha=(1.3,1.3,1.3)"]["p0_after_n_zeros"]
    np.testing.assert_allclose([after["0"], after["10"]], [1.3 / 3.9, 11.3 / 13.9], rtol=1e-12)
    assert len({e["mistake"] for e in n["mistakes"]["effects"]}) >= 4


def kept(out):
    """What was kept of every row, without the time it took."""
    found = {}
    for path in sorted(out.glob("row-*.json")):
        document = json.loads(path.read_text())
        del document["seconds"]
        document["paragraphs"] = [p for p in document["paragraphs"] if p[0] != "Time:"]
        found[path.stem] = json.dumps(document).replace(str(out), "OUT")
    return found


def test_a_run_that_was_stopped_goes_on_to_the_same_results(whole, tmp_path, monkeypatch):
    out = tmp_path / "out"
    original = dict(steps.STEPS)

    def stopped(run):
        original["row-14"](run)
        raise KeyboardInterrupt

    monkeypatch.setitem(steps.STEPS, "row-14", stopped)
    chosen = ("--rows", "3-5,13-16")
    assert reproduced(out, tmp_path / "cache", monkeypatch, *chosen).exit_code == 130
    assert {p.stem for p in out.glob("row-*.json")} == {"row-3", "row-4", "row-5", "row-13"}
    before = {p.name: p.stat().st_mtime_ns for p in out.glob("row-*")}
    monkeypatch.setitem(steps.STEPS, "row-14", original["row-14"])
    result = reproduced(out, tmp_path / "cache", monkeypatch, *chosen)
    assert result.exit_code == 0, result.stderr
    assert result.stderr.count("kept from before") == 4
    assert {n: (out / n).stat().st_mtime_ns for n in before} == before
    resumed, straight = kept(out), kept(whole[0])
    assert len(resumed) == 7
    assert resumed == {name: straight[name] for name in resumed}


def test_a_training_that_was_stopped_between_epochs_goes_on(whole, tmp_path, monkeypatch):
    from analysis.images import runs as pixel_runs

    write, seen = pixel_runs.write_json, []

    def stopped(path, value):
        seen.append(path.name)
        if path.name == "epoch-1.json" and seen.count("epoch-1.json") == 1:
            raise KeyboardInterrupt
        write(path, value)

    monkeypatch.setattr(pixel_runs, "write_json", stopped)
    out = tmp_path / "out"
    assert reproduced(out, tmp_path / "cache", monkeypatch, "--rows", "4").exit_code == 130
    result = reproduced(out, tmp_path / "cache", monkeypatch, "--rows", "4")
    assert result.exit_code == 0, result.stderr
    assert seen.count("epoch-0.json") == 1 and seen.count("epoch-1.json") == 2
    assert kept_row(out, "row-4") == kept_row(whole[0], "row-4")


def kept_row(out, name):
    return json.loads((out / f"{name}.json").read_text())["numbers"]


def test_results_of_another_seed_are_not_taken(whole, tmp_path, monkeypatch):
    out = tmp_path / "out"
    for seed in (0, 1):
        result = reproduced(
            out, tmp_path / "cache", monkeypatch, "--rows", "11", "--seed", seed, "--json"
        )
        document = json.loads(result.stdout)
        assert document["rows"]["11"]["seed"] == document["seed"] == seed
    assert document["rows"]["11"]["numbers"] != whole[1]["rows"]["11"]["numbers"]


def test_damaged_results_are_made_again(tmp_path, monkeypatch):
    out = tmp_path / "out"
    first = reproduced(out, tmp_path / "cache", monkeypatch, "--rows", "15", "--json").stdout
    for damage in ("", "{}", "[]", "{"):
        (out / "row-15.json").write_text(damage)
        again = reproduced(out, tmp_path / "cache", monkeypatch, "--rows", "15", "--json").stdout
        assert again == first
    (out / "row-15-posteriors.png").unlink()
    assert reproduced(out, tmp_path / "cache", monkeypatch, "--rows", "15").exit_code == 0
    assert (out / "row-15-posteriors.png").exists()


def by_its_own_command(out, step):
    """The JSON document of the command that a row names as its own."""
    command = json.loads((out / f"{step}.json").read_text())["own"].split()[1:]
    result = CliRunner().invoke(main, [*command, "--json"])
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def test_commands_of_their_own_give_the_rows_numbers(whole):
    out, document = whole
    numbers = {n: row["numbers"] for n, row in document["rows"].items()}
    networks = by_its_own_command(out, "row-5")["networks"]
    assert list(networks.values()) == list(numbers["5"]["networks"].values())
    for row in ("7", "8"):
        found = by_its_own_command(out, f"row-{row}")
        assert {k: found[k] for k in numbers[row] if k in found} == {
            k: v for k, v in numbers[row].items() if k != "source"
        }
    assert by_its_own_command(out, "row-18") == numbers["18"]["M2"]


def test_bad_input_is_one_line(tmp_path):
    assert "rows 1 to 18" in refused("reproduce", "--rows", "19")
    assert "rows 1 to 18" in refused("reproduce", "--rows", "5-3")
    assert "unknown data" in refused(
        "reproduce", "--quick", "--rows", "1", "--data", "cifar", "--out", tmp_path / "a"
    )
    assert not (tmp_path / "a").exists()
    (tmp_path / "file").write_text("")
    assert "is a file where a folder" in refused("reproduce", "--quick", "--out", tmp_path / "file")


@pytest.mark.skipif("META_LEARN_DATA" not in os.environ, reason="needs MNIST: set META_LEARN_DATA")
def test_the_coursework_files_are_told_apart_by_content(tmp_path):
    sizes = dataclasses.replace(QUICK, inpainted_images=20)
    run = Run(sizes, 0, "mnist", tmp_path, train=None, follow_pixels=None)
    for kind, (images, source) in run.masked.items():
        assert images.kind() == kind
        assert source.endswith(".npy")
        assert len(images.masked) == 20


FROM_NOTHING = dataclasses.replace(TINY, packaged=False, budget=64 * 100 * 12)


@pytest.mark.slow
def test_everything_is_trained_where_nothing_is_packaged(tmp_path, monkeypatch):
    out, chosen = tmp_path / "out", ("--rows", "13,16", "--json")
    result = reproduced(out, tmp_path / "cache", monkeypatch, *chosen, sizes=FROM_NOTHING)
    assert result.exit_code == 0, result.stderr
    rows = json.loads(result.stdout)["rows"]
    assert rows["13"]["numbers"]["coursework"]["M1"]["train_loss"]["points"] == 12
    assert len(list((out / "networks").glob("M?-*.safetensors"))) == 8


@pytest.mark.slow
def test_the_questions_are_measured_where_nothing_is_packaged(tmp_path, monkeypatch):
    """One network of the study's is trained; the whole of it is run in test_questions.py."""

    def study(train, recipes, budget, seeds, streams):
        (learner,) = train(1, 1, questions.STUDY[0], recipes[0])
        assert learner.settings["recipe"]["iterations"] == recipes[0].iterations
        return json.loads(KEPT.read_text()) | {
            "budget": budget,
            "seeds": [*seeds],
            "streams": streams,
        }

    monkeypatch.setattr(questions, "study", study)
    sizes = dataclasses.replace(
        FROM_NOTHING, questions_budget=400, questions_seeds=1, questions_streams=20
    )
    out, chosen = tmp_path / "out", ("--rows", "17", "--json")
    result = reproduced(out, tmp_path / "cache", monkeypatch, *chosen, sizes=sizes)
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["rows"]["17"]["numbers"]["budget"] == 400
