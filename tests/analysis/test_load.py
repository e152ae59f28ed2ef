"""``--load``: extensions that no file beside them gets in between of."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import TINY, TRAIN
from registries import FOLDER, REGISTRIES, registries_as_they_were
from running import refused, run

from analysis import extensions
from analysis.workers import run_tasks

STICKY = FOLDER / "sticky.py"
SMALL = ("--process", "sticky", "--param", "symbols=3", "--T", 5)
MEMBER = "from analysis.comparison.metrics import METRICS\nMETRICS[{name!r}] = METRICS['brier']\n"


@pytest.fixture(autouse=True)
def nothing_loaded(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    modules, path = set(sys.modules), list(sys.path)
    with registries_as_they_were():
        yield
    assert sys.path == path
    for name in set(sys.modules) - modules:
        if name.startswith("loaded_") or name.split(".")[0] in ("mine", "helper"):
            del sys.modules[name]


def write(path, text):
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def names():
    return [list(registry) for registry in REGISTRIES]


def test_a_loaded_process_serves_a_command_and_its_manifest_says_so(tmp_path):
    metric = FOLDER / "total_variation.py"
    result = run(
        "--load",
        STICKY,
        "--load",
        metric,
        "compare",
        *SMALL,
        *TINY,
        "--out",
        tmp_path / "out",
        "--quiet",
    )
    assert result.exit_code == 0, result.stderr
    document = json.loads((tmp_path / "out" / "comparison.json").read_text())
    assert document["total_variation"]["bayes"] == 0
    made = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert [one["load"] for one in made["loaded"]] == [str(STICKY), str(metric)]
    assert len({one["sha256"] for one in made["loaded"]}) == 2


@pytest.mark.parametrize("command", ["compare", "streams", "sweep"])
def test_help_lists_what_was_loaded(command):
    assert "sticky" not in run(command, "--help").stdout
    assert "Loaded: sticky." in " ".join(run("--load", STICKY, command, "--help").stdout.split())
    assert "Loaded: sticky." not in run("inpaint", "--help").stdout


def test_help_lists_cells_and_masks():
    both = ("--load", FOLDER / "ugrnn.py", "--load", FOLDER / "checkerboard.py")
    assert "Loaded: ugrnn." in " ".join(run(*both, "compare", "--help").stdout.split())
    assert "Loaded: checkerboard." in " ".join(run(*both, "inpaint", "--help").stdout.split())


def test_a_module_of_a_package_in_the_working_folder_is_loaded():
    write("mine/__init__.py", "")
    write("mine/own.py", "from mine import more\n")
    write("mine/more.py", MEMBER.format(name="mine"))
    result = run("--load", "mine.own", *TRAIN, "--json", "--quiet")
    assert result.exit_code == 0, result.stderr
    assert "mine" in json.loads(result.stdout)
    assert extensions.list_loaded()[0].sha256


def test_a_module_beside_the_file_can_be_imported(tmp_path):
    write("folder/helper.py", MEMBER.format(name="helped"))
    extensions.load(str(write("folder/own.py", "import helper\n")))
    assert extensions.members("metric") == ["helped"]


def test_the_same_file_twice_is_loaded_once():
    write("own.py", MEMBER.format(name="own"))
    extensions.load("own.py")
    extensions.load(str(Path("own.py").resolve()))
    assert len(extensions.list_loaded()) == 1


def test_what_a_file_prints_is_no_part_of_the_result():
    write("own.py", "print('hello')\n")
    result = run(
        "--load",
        "own.py",
        "streams",
        "--alpha",
        "1,1",
        "--T",
        3,
        "--streams",
        2,
        "--json",
        "--quiet",
    )
    assert json.loads(result.stdout)["file"] == "streams.npz"


WRONG = {
    "missing": (None, "there is no such file; give a Python file like sticky.py"),
    "syntax": ("a = (\n", "SyntaxError: '(' was never closed"),
    "raises": ("\nraise KeyError('x')\n", "KeyError: 'x' (line 2)"),
    "many lines": ("raise ValueError('one\\ntwo')\n", "ValueError: one two (line 1)"),
    "import": ("import no_such_thing\n", "ModuleNotFoundError: No module named 'no_such_thing'"),
    "exits": ("import sys\nsys.exit(0)\n", "it ends the program; put that call under if __name__"),
    "not Python": ("\0", "SyntaxError"),
    "taken": (
        MEMBER.format(name="free") + "METRICS['brier'] = lambda *a: 0\n",
        "the metric 'brier' is already registered, one of meta-learn's own; give yours another name",
    ),
}


@pytest.mark.parametrize("text, message", WRONG.values(), ids=WRONG)
def test_what_cannot_be_loaded_is_one_line(text, message):
    if text is not None:
        write("own.py", text)
    before = names()
    assert message in refused("--load", "own.py", "compare", "--help")
    assert names() == before and extensions.list_loaded() == ()


def test_a_name_that_another_file_took_is_refused():
    write("one.py", MEMBER.format(name="own"))
    write("two.py", "from analysis.comparison.metrics import METRICS\nMETRICS['own'] = len\n")
    message = refused("--load", "one.py", "--load", "two.py", "compare")
    assert "the metric 'own' is already registered, that of one.py" in message


@pytest.mark.parametrize("name", ["no.such", "no_such"])
def test_a_module_that_is_not_there_is_one_line(name):
    assert "ModuleNotFoundError: No module named 'no" in refused("--load", name, "compare")


def test_a_module_is_not_taken_for_a_file_of_that_name():
    write("json.py", MEMBER.format(name="own"))
    assert "not json.py of this folder; give the file: --load json.py" in refused(
        "--load", "json", "compare"
    )
    extensions.load("json.py")
    assert extensions.members("metric") == ["own"]


@pytest.mark.parametrize("program", ["meta-learn", "python -m analysis"])
def test_the_users_own_files_get_in_between_of_nothing(tmp_path, program):
    """In the working folder and beside the loaded file alike."""
    beside = tmp_path / "beside"
    for folder in (tmp_path, beside):
        for name in ("autoregressive/__init__", "meta_learning", "tests/__init__", "jax", "numpy"):
            write(folder / f"{name}.py", "raise SystemExit('the user file ran')\n")
    write(beside / "analysis.py", "raise SystemExit('the user file ran')\n")
    write(beside / "sticky.py", STICKY.read_text())
    start = [sys.executable, "-m", "analysis"]
    if program == "meta-learn":  # python -m analysis is the user's own program where he has one
        write(tmp_path / "analysis.py", "raise SystemExit('the user file ran')\n")
        start = [str(Path(sys.executable).with_name("meta-learn"))]
        if not Path(start[0]).exists():
            pytest.skip("meta-learn is not installed beside this Python")
    done = subprocess.run(
        [
            *start,
            "--load",
            "beside/sticky.py",
            "streams",
            *map(str, SMALL),
            "--streams",
            "2",
            "--json",
        ],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["process"]["name"] == "sticky"


def test_workers_load_the_same_files():
    pytest.importorskip("distributed")
    extensions.load(str(STICKY))
    (kind,) = {type(p) for p in REGISTRIES[0]["sticky"].examples()}
    processes = kind.examples()
    assert run_tasks(title, processes, workers=1) == [p.title for p in processes]


def title(process):
    return process.title


def test_another_file_at_the_worker_is_refused():
    write("own.py", MEMBER.format(name="own"))
    extensions.load("own.py")
    wanted = extensions.list_loaded()
    extensions.forget()
    write("own.py", "\n")
    with pytest.raises(extensions.ExtensionError, match=r"has no file .*own.py, or another one"):
        extensions.load_again(wanted)


def test_an_edited_file_is_another_identity():
    assert extensions.identity() == {}
    write("own.py", MEMBER.format(name="own"))
    extensions.load("own.py")
    first = extensions.identity()
    extensions.forget()
    REGISTRIES[-1].pop("own")
    write("own.py", MEMBER.format(name="own") + "\n")
    extensions.load("own.py")
    assert extensions.identity() != first
