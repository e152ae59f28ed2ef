"""A report's folder holds one run, and nothing that no run wrote is touched."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys

import pytest
from conftest import TRAIN
from running import run

from analysis.report import folder as report_folder
from analysis.report import publish
from analysis.report.report import Report
from autoregressive import checkpoint


@pytest.fixture
def out(tmp_path):
    yield tmp_path / "out"
    report_folder.leave()


def one_run(out, files, name="", inputs=(), ends=True):
    out.mkdir(exist_ok=True)
    report_folder.begin(out, name, inputs)
    for path, text in files.items():
        checkpoint.write_atomically(out / path, text)
    if ends:
        report_folder.finish(out, {"seeds": [0]})
    report_folder.leave()


def there(out):
    return {p.relative_to(out).as_posix() for p in out.rglob("*") if p.is_file()}


def listed(out):
    return json.loads((out / "manifest.json").read_text())["files"]


def test_the_manifest_lists_what_the_run_wrote(out):
    one_run(out, {"a": "1", "networks/b": "2"})
    assert there(out) == {"a", "networks/b", "manifest.json"}
    assert listed(out) == {
        path: hashlib.sha256(text).hexdigest() for path, text in [("a", b"1"), ("networks/b", b"2")]
    }
    assert json.loads((out / "manifest.json").read_text())["seeds"] == [0]


def test_a_run_that_ends_before_it_has_written_leaves_no_folder(out):
    report_folder.check(out / "deep")
    report_folder.begin(out / "deep")
    assert not out.exists()  # a process may end here, without a chance to tidy
    report_folder.leave()
    assert not out.exists()
    out.mkdir()
    report_folder.check(out)
    report_folder.begin(out)
    report_folder.leave()
    assert list(out.iterdir()) == []  # the user's own folder stays


def test_what_an_earlier_run_left_is_gone(out):
    one_run(out, {"a": "1", "networks/deep/b": "2", "c": "3"})
    one_run(out, {"a": "4"})
    assert there(out) == {"a", "manifest.json"} and not (out / "networks").exists()
    assert listed(out).keys() == {"a"}


def test_nothing_that_no_run_wrote_is_touched(out):
    one_run(out, {"a": "1", "networks/b": "2", "changed": "3"})
    (out / "own").write_text("mine")
    (out / "networks" / "own").write_text("mine")
    (out / "changed").write_text("mine")
    one_run(out, {"c": "4"})
    assert there(out) == {"c", "own", "networks/own", "changed", "manifest.json"}
    assert (out / "changed").read_text() == "mine"


def test_a_file_of_the_same_content_that_no_run_wrote_stays(out):
    one_run(out, {"a": "1"})
    (out / "copy").write_text("1")
    one_run(out, {"b": "2"})
    assert there(out) == {"b", "copy", "manifest.json"}


@pytest.mark.parametrize("ends", [0, 1, 2])
def test_a_run_that_was_killed_leaves_what_the_next_removes(out, ends):
    """However many runs were killed since the last one that ended."""
    one_run(out, {"a": "1", "b": "1"})
    for number in range(ends):
        one_run(out, {"b": f"killed {number}", f"of-{number}": "2"}, ends=False)
        assert (out / "a").exists()
    one_run(out, {"c": "3"})
    assert there(out) == {"c", "manifest.json"}


def test_half_a_line_of_the_journal_is_passed_over(out):
    one_run(out, {"a": "1", "b": "2"}, ends=False)
    with open(out / report_folder.JOURNAL, "a") as file:
        file.write('["c", "12')
    one_run(out, {"d": "3"})
    assert there(out) == {"d", "manifest.json"}


def test_a_run_that_goes_on_keeps_its_own(out):
    one_run(out, {"row-1": "1"}, "A", ends=False)
    one_run(out, {"row-2": "2"}, "A")
    assert there(out) == {"row-1", "row-2", "manifest.json"} and len(listed(out)) == 2
    one_run(out, {"row-1": "3"}, "B", ends=False)
    one_run(out, {"row-3": "4"}, "A")
    assert there(out) == {"row-2", "row-3", "manifest.json"}
    one_run(out, {"row-1": "5"}, "B")
    assert there(out) == {"row-1", "manifest.json"}


def test_what_the_run_reads_stays(out):
    one_run(out, {"network": "1", "a": "2"})
    one_run(out, {"b": "3"}, inputs=[out / "network"])
    assert there(out) == {"network", "b", "manifest.json"}
    one_run(out, {"b": "3"})
    assert there(out) == {"b", "manifest.json"}


WRONG = ["", "[]", "{}", '{"files": 3}', '{"files": [1]}', '{"files": {"a": 1}, "run": 2}', "\xff"]


@pytest.mark.parametrize("text", WRONG)
def test_a_manifest_that_is_not_ours_removes_nothing(out, text):
    out.mkdir()
    (out / "a").write_text("1")
    (out / "manifest.json").write_bytes(text.encode("latin-1"))
    one_run(out, {"b": "2"})
    assert there(out) == {"a", "b", "manifest.json"}


def test_a_manifest_reaches_nothing_outside_its_folder(out, tmp_path):
    out.mkdir()
    (tmp_path / "beside").mkdir()
    outside = [tmp_path / "x", tmp_path / "beside" / "x"]
    for path in outside:
        path.write_text("1")
    (out / "link").symlink_to(tmp_path / "beside")
    (out / "file").symlink_to(tmp_path / "x")
    digest = hashlib.sha256(b"1").hexdigest()
    names = ["../x", str(tmp_path / "x"), "link/x", "file", "a/../../x", "\0", "", "."]
    (out / "manifest.json").write_text(json.dumps({"files": dict.fromkeys(names, digest)}))
    one_run(out, {"b": "2"})
    assert all(path.exists() for path in outside) and (out / "file").is_symlink()


def test_what_is_written_elsewhere_is_not_listed(out, tmp_path):
    one_run(out, {"a": "1", "../elsewhere": "2"})
    one_run(out, {"b": "1"})
    assert (tmp_path / "elsewhere").exists()


def test_without_a_beginning_nothing_is_removed(out):
    one_run(out, {"a": "1"})
    report_folder.finish(out, {})
    assert there(out) == {"a", "manifest.json"} and listed(out) == {}


KILLED = """
import os, signal, sys
from pathlib import Path
from analysis.report import folder as report_folder
from analysis.report import publish
from analysis.report.report import Report
from autoregressive import checkpoint

out = Path(sys.argv[1])
report_folder.begin(out)
checkpoint.write_atomically(out / "b", "2")
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_process_that_is_killed(out):
    one_run(out, {"a": "1"})
    ended = subprocess.run([sys.executable, "-c", KILLED, str(out)], env=os.environ | {})
    assert ended.returncode == -signal.SIGKILL
    assert there(out) == {"a", "b", "manifest.json", report_folder.JOURNAL}
    one_run(out, {"c": "1"})
    assert there(out) == {"c", "manifest.json"}


def report(document, panels=tuple):
    return Report("numbers", "Title", "Lead", document, panels=panels)


def one_report(out, value):
    out.mkdir(exist_ok=True)
    report_folder.begin(out)
    try:
        publish.publish(value, out, {}, "meta-learn")
    finally:
        report_folder.leave()


def test_what_cannot_be_drawn_leaves_the_folder_as_it_was(out):
    def fail():
        raise RuntimeError("not drawn")

    one_report(out, report([1]))
    before = {path: (out / path).read_bytes() for path in there(out)}
    for broken in (report([2], fail), report([float("nan")])):
        with pytest.raises((RuntimeError, ValueError)):
            one_report(out, broken)
        assert {path: (out / path).read_bytes() for path in there(out)} == before


def test_after_a_disk_that_was_full_the_next_run_cleans_up(out, monkeypatch):
    def full(path, data):
        if path.name == "report.html":
            raise OSError(28, "No space left on device", str(path))
        checkpoint.write_atomically(path, data)

    one_run(out, {"a": "1"})
    with monkeypatch.context() as patched:
        patched.setattr(publish, "write_atomically", full)
        with pytest.raises(OSError, match="No space"):
            one_report(out, report([1]))
    assert there(out) == {"a", "numbers.json", "manifest.json", report_folder.JOURNAL}
    one_run(out, {"b": "2"})
    assert there(out) == {"b", "manifest.json"}


def command(*arguments):
    result = run(*arguments, "--quiet")
    assert result.exit_code == 0, result.stderr


def test_commands_in_one_folder(filled_cache, out):
    """Compare and hidden, each in the folder of the one before, whose network it
    reads."""
    command(*TRAIN, "--out", out)
    for next_one, report in (("hidden", "hidden.json"), ("compare", "comparison.json")):
        network = out / "network-seed0.safetensors"
        (out / "notes.txt").write_text("mine")
        command(next_one, "--checkpoint", network, "--streams", 60, "--out", out)
        found = there(out)
        assert found == listed(out).keys() | {"notes.txt", "manifest.json"}
        assert {report, "report.html", network.name} <= found
        assert len(found & {"hidden.json", "comparison.json"}) == 1


def test_inpaint_and_evaluate_in_one_folder(out):
    command("inpaint", "--mask", "square:1", "--data", "glyphs", "--images", 2, "--out", out)
    assert {"inpainting.json", "posteriors.png"} <= there(out)
    command("inpaint", "--mask", "row:2", "--data", "glyphs", "--images", 3, "--out", out)
    assert there(out) == listed(out).keys() | {"manifest.json"}


def test_a_reproduction_goes_on_and_another_takes_its_place(out):
    start = ("reproduce", "--quick", "--data", "glyphs", "--out", out, "--rows")
    command(*start, 12)
    command(*start, 1)
    assert {"row-1.json", "row-12.json"} <= there(out)
    command(*start, 1, "--seed", 5)
    found = there(out)
    assert "row-1.json" in found and "row-12.json" not in found
    assert found == listed(out).keys() | {"manifest.json"}
