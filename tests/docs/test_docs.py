"""The documentation keeps its word: its commands run, its lists are complete.

Commands are taken from the pages, the README and the help texts. Each is parsed by click as it
stands; then it runs at the smallest sizes and without a report, in a folder that holds the files it
speaks of. Networks are not trained: their initial weights stand in, and images are glyphs.
"""

from __future__ import annotations

import pkgutil
import re
import shlex
import shutil
from pathlib import Path
from urllib.parse import urlsplit

import click
import jax
import judges
import numpy as np
import pytest
from click.testing import CliRunner
from registries import registries_as_they_were

from analysis.all_histories.file import all_histories, write_histories
from analysis.cli import main
from analysis.comparison.streams_file import read_streams
from meta_learning.processes import Mess3

TOP = Path(__file__).parents[2]
PACKAGES = ("autoregressive", "meta_learning", "analysis")
PAGES = sorted(
    page
    for page in (TOP / "docs").rglob("*.md")
    if not {"_build", "generated", "jupyter_execute"} & set(page.parts)
)
TEXTS = {page.relative_to(TOP).as_posix(): page.read_text() for page in (*PAGES, TOP / "README.md")}


def commands_of(text):
    """The arguments of every meta-learn command of a script, one list each."""
    for line in re.sub(r"\\\n\s*", "", text).splitlines():
        for part in re.split(r"&&|\|(?!\|)|;", line):
            words = shlex.split(part, comments=True) if "meta-learn" in part else []
            names = [n for n, word in enumerate(words) if Path(word).name == "meta-learn"]
            if names and "pip" not in words:
                yield tuple(words[names[0] + 1 :])


def help_texts(command=main):
    for name, sub in command.commands.items():
        yield name, sub.epilog or ""
        if isinstance(sub, click.Group):
            yield from help_texts(sub)


def all_commands():
    """Arguments -> where they stand first. Loops over shell variables are left to the reader."""
    scripts = [
        (name, script)
        for name, text in TEXTS.items()
        for script in re.findall(r"^```sh\n(.*?)^```", text, re.M | re.S)
    ]
    found = {}
    for where, text in (*scripts, *help_texts()):
        for arguments in commands_of(text):
            if not any("$" in word for word in arguments):
                found.setdefault(arguments, where)
    return found


COMMANDS = all_commands()
# What makes a command small, by its name. Others are parsed only: their own tests run them.
SMALL: dict[str, dict[str, str]] = {
    "compare": {"--hidden": "2", "--streams": "4", "--recipe": "coursework"},
    "audit": {"--hidden": "2", "--tasks": "4"},
    "streams": {"--streams": "4"},
    "inpaint": {"--data": "glyphs", "--images": "2"},
    "pixels evaluate": {"--data": "glyphs"},
    "pixels continue": {"--data": "glyphs", "--images": "3", "--samples": "5"},
}
# Dask's workers take seconds to start; 581 million histories and half a picture take minutes.
TOO_LONG = {"--workers", "--scheduler", "lower-half", "square:14", "random:200"}
SMALLER = {"M2": "M1", "20": "4", "12": "4", "5": "2", "square:3": "square:2", "row:10": "row:3"}


def loads(arguments):
    """The options --load before the command."""
    count = 0
    while arguments[count : count + 1] == ("--load",):
        count += 2
    return tuple(arguments[:count])


def resolved(arguments):
    """The names of the command that arguments call, the command, and what is left for it."""
    command, names, rest = main, [], list(arguments[len(loads(arguments)) :])
    while isinstance(command, click.Group) and rest:
        name, command, rest = command.resolve_command(click.Context(command), rest)
        names.append(name)
    return " ".join(names), command, rest


def test_there_are_commands_to_try():
    assert len(COMMANDS) > 30
    names = {resolved(arguments)[0] for arguments in COMMANDS}
    leaves = {n for n, c in main.commands.items() if not isinstance(c, click.Group)}
    assert leaves <= names, "a command that no page and no help text shows"


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_click_understands(arguments):
    names, command, rest = resolved(arguments)
    try:
        command.make_context(names, rest)
    except click.ClickException as error:
        pytest.fail(f"{COMMANDS[arguments]}: {error.format_message()}")


def small(arguments):
    """The command at its smallest, or None where it is parsed only."""
    names, _, rest = resolved(arguments)
    options = SMALL.get(names)
    if options is None or TOO_LONG & set(rest):
        return None
    rest = [SMALLER.get(word, word) for word in rest]
    without = {"--out"} if names != "streams" else set()
    if "--checkpoint" in rest:
        without |= {"--hidden", "--recipe"}
    if {"--predictions", "--all-histories"} & set(rest) or any(w.endswith(".npy") for w in rest):
        without |= set(options)
    changed = {name: value for name, value in options.items() if name not in without}
    for name in {*without, *changed} & set(rest):
        place = rest.index(name)
        del rest[place : place + 2]
    rest += [word for option in changed.items() for word in option]
    flags = {"audit": ("--only-gap", "--json"), "streams": ()}.get(names, ("--json",))
    return (*loads(arguments), *names.split(), *rest, *(flag for flag in flags if flag not in rest))


SMALL_COMMANDS = {small(arguments): where for arguments, where in COMMANDS.items()}
SMALL_COMMANDS.pop(None, None)


def file_of_the_research_tutorial():
    """Its process and its module, and the line that it says the file ends in."""
    text = TEXTS["docs/tutorials/research.md"]
    cells = re.findall(r"^```\{code-cell\} python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    last = re.search(r"ends in `(mp\.PROCESSES[^`]+)`", text)
    parts = [cell for cell in cells if "class TwoCoins" in cell or "from_jax(" in cell]
    assert len(parts) == 2
    return "\n".join([*parts, last[1], ""])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with the files that the pages speak of."""
    from autoregressive.images.glyphs import load_glyphs
    from autoregressive.pixels.packaged import packaged_pixels
    from meta_learning import EXPERIMENTS
    from meta_learning.recipes import make_recipe

    out = tmp_path_factory.mktemp("reader")
    (learner,) = untrained(EXPERIMENTS["M1"], make_recipe("coursework"), hidden=2)
    pixels = packaged_pixels("lstm-32-epoch-0")
    for arguments in SMALL_COMMANDS:
        for word in arguments:
            if word.endswith(".safetensors"):
                (out / word).parent.mkdir(parents=True, exist_ok=True)
                symbols = "--checkpoint" in arguments and "inpaint" not in arguments
                (learner if symbols else pixels).save(out / word)
    for path in (TOP / "docs" / "examples").glob("*.py"):
        shutil.copy(path, out)
    (out / "mine.py").write_text(file_of_the_research_tutorial())
    truth = load_glyphs("test").images(slice(0, 2)).astype(np.float32)
    masked = truth.copy()
    masked[:, [300, 301]] = -1
    for name in ("one_pixel_inpainting.npy", "2X2_pixels_inpainting.npy", "images.npy"):
        np.save(out / name, np.stack([masked, truth]))
    write = ("streams", "--alpha", "1,1,1", "--T", "4", "--streams", "4", "--out")
    result = CliRunner().invoke(main, [*write, str(out / "streams.npz")])
    assert result.exit_code == 0, result.stderr
    streams = read_streams(out / "streams.npz")
    rows = streams.process.log_predictive(streams.symbols)
    for name in ("predictions.npz", "mine.npz"):
        np.savez(out / name, symbols=streams.symbols, log_probabilities=rows)
    histories = all_histories(Mess3(), 3)
    write_histories(out / "all.npz", histories)
    rows = histories.process.log_predictive(histories.symbols)
    np.savez(out / "answers.npz", symbols=histories.symbols, log_probabilities=rows)
    return out


def untrained(process, recipe, *, seeds=(0,), cell="lstm", hidden=32, folder=None, on_point=None):
    """``meta_learning.train`` without the training."""
    from meta_learning.learner import INIT, Learner, learner_model
    from meta_learning.training import learner_settings

    model = learner_model(process.num_symbols, cell, hidden)
    keys = [jax.random.fold_in(jax.random.key(seed), INIT) for seed in seeds]
    settings = [learner_settings(process, recipe, cell, hidden, seed) for seed in seeds]
    return [
        Learner(model, model.init(key, recipe.timescale), process.num_symbols, s)
        for key, s in zip(keys, settings, strict=True)
    ]


@pytest.mark.parametrize("arguments", SMALL_COMMANDS, ids=" ".join)
def test_it_runs(arguments, folder, tmp_path, monkeypatch):
    monkeypatch.setattr("meta_learning.training.train", untrained)
    here = tmp_path / "here"
    shutil.copytree(folder, here)
    monkeypatch.chdir(here)
    with registries_as_they_were():
        result = CliRunner().invoke(main, list(arguments))
    assert result.exit_code == 0, f"{SMALL_COMMANDS[arguments]}: {result.stderr}"
    assert result.stdout.strip()


def test_the_readmes_python_runs():
    (block,) = re.findall(r"^```python\n(.*?)^```", TEXTS["README.md"], re.M | re.S)
    names = {}
    exec(compile(block, "README.md", "exec"), names)
    assert names["log_p"].shape == (4, 100, 4)
    imports = re.findall(r"^from [\w.]+ import .*$", TEXTS["docs/api/index.md"], re.M)
    assert imports
    exec("\n".join(imports), {})


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_as_documented(shell):
    assert f"_META_LEARN_COMPLETE={shell}_source meta-learn" in TEXTS["docs/start.md"]
    environment = {"_META_LEARN_COMPLETE": f"{shell}_source"}
    script = CliRunner().invoke(main, prog_name="meta-learn", env=environment)
    assert script.exit_code == 0
    assert "_META_LEARN_COMPLETE" in script.stdout


def test_every_public_module_is_in_the_reference():
    listed = set()
    for name, text in TEXTS.items():
        if name.startswith("docs/api/"):
            listed |= set(re.findall(r"automodule:: ([\w.]+)", text))
    modules = {
        ".".join(path.relative_to(TOP).with_suffix("").parts)
        for package in PACKAGES
        for path in (TOP / package).rglob("*.py")
        if not path.name.startswith("_")
    }
    commands = {
        m for m in modules if m.startswith(("analysis.commands.", "analysis.coursework.reproduce."))
    }
    assert modules - commands - {"analysis.cli"} == listed


def test_every_work_that_is_cited_is_in_the_bibliography():
    text = TEXTS["docs/bibliography.md"]
    entries = [" ".join(entry.split()) for entry in re.split(r"^- ", text, flags=re.M)[1:]]
    cited = r"([A-Z][\w-]+)(?:,? (?:and ([A-Z][\w-]+)|et al\.))?,? \(?((?:17|18|19|20)\d\d)[,)]"
    sources = {n: t for n, t in TEXTS.items() if n != "docs/bibliography.md"}
    for package in PACKAGES:
        for path in (TOP / package).rglob("*.py"):
            sources[path.relative_to(TOP).as_posix()] = path.read_text()
    found = 0
    for where, source in sources.items():
        for first, second, year in re.findall(cited, " ".join(source.split())):
            names = [name for name in (first, second) if name]
            if first in ("Python", "Since", "In", "Of"):
                continue
            found += 1
            matches = [e for e in entries if f"({year})" in e and all(n in e for n in names)]
            assert matches, f"{where} cites {first} {second} {year}"
    assert found > 20


def test_names_of_the_code_exist():
    names = {
        (where, name)
        for where, text in TEXTS.items()
        for name in re.findall(rf"`((?:{'|'.join(PACKAGES)})(?:\.\w+)+)", text)
    }
    names = {(where, name) for where, name in names if not name.endswith(".py")}  # files
    assert len(names) > 20
    for where, name in names:
        try:
            pkgutil.resolve_name(name)
        except (ImportError, AttributeError) as error:
            pytest.fail(f"{where} speaks of {name}: {error}")


def test_exact_values_of_the_notation_are_those_of_enumeration():
    rows = re.findall(r"^\| \((\d[\d,]*)\) \|(.+)\|$", TEXTS["docs/notation.md"], re.M)
    assert len(rows) == 2
    for name, cells in rows:
        alpha = tuple(map(float, name.split(",")))
        oracle, bayes, *excess = map(float, cells.split("|"))
        assert oracle == pytest.approx(judges.oracle_loss(alpha), abs=5e-6)
        for value, pseudo_count in zip(excess, (None, 0.5, 1.0), strict=True):
            wanted = judges.exact_losses(alpha, 20, pseudo_count)
            assert (bayes, value) == pytest.approx(wanted, abs=5e-6)


def test_addresses_are_well_formed():
    for where, text in TEXTS.items():
        for address in re.findall(r"https?://[^\s)>\]\"'`]+", text):
            parts = urlsplit(address)
            assert parts.scheme == "https", f"{where}: {address}"
            assert re.fullmatch(r"[a-z0-9-]+(\.[a-z0-9-]+)+", parts.netloc), f"{where}: {address}"
