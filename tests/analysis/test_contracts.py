"""Members of the user's own that do not give what they must: one line, before anything is trained."""

import subprocess
import sys

import numpy as np
import pytest
from conftest import TINY
from registries import FOLDER, registries_as_they_were
from running import assert_refused, refused, run

STICKY, UGRNN, STRIPES = (
    (FOLDER / name).read_text() for name in ("sticky.py", "ugrnn.py", "stripes.py")
)
VARIATION, FORGETTING = (
    (FOLDER / name).read_text() for name in ("total_variation.py", "forgetting.py")
)
UPDATE = "return of_s + (last < self.symbols)"
HELD = 'return {"pseudo_counts": belief[0]}'
SAYS = "return jnp.log(jnp.where(jnp.arange(K)"
PROCESS = ("--process", "sticky", "--T", 5)
DIRICHLET = ("--alpha", "1,1", "--T", 5)


@pytest.fixture(autouse=True)
def nothing_loaded(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with registries_as_they_were():
        yield


def said(tmp_path, text, old, new, *options):
    """What ``compare`` says of a file in which one text was replaced by another."""
    assert text.count(old) == 1
    (tmp_path / "own.py").write_text(text.replace(old, new))
    message = refused("--load", "own.py", "compare", *options, *TINY, "--quiet", "--out", "out")
    assert not list(tmp_path.glob("out/*"))
    return message


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (UPDATE, "return of_s[:1], last\n        " + UPDATE, "update gives (float64(1,)"),
        (UPDATE, "return list(belief)\n        " + UPDATE, "update gives [float64(2,), int32()]"),
        (UPDATE, "if symbol > 1:\n            pass\n        " + UPDATE, "own.py, line 41: Tracer"),
        (UPDATE, "raise KeyError('no')\n        " + UPDATE, "own.py, line 41: KeyError: 'no'"),
        (UPDATE, "raise ValueError('no')\n        " + UPDATE, "own.py, line 41: ValueError: no"),
        (SAYS, "return jnp.zeros(2)\n        " + SAYS, "log_predictive_of gives float64(2,)"),
        (SAYS, "return jnp.full(K, jnp.nan)\n        " + SAYS, "probabilities sum to nan"),
        (SAYS, "return jnp.log(jnp.full(K, 0.5))\n        " + SAYS, "probabilities sum to 1.5"),
        (
            HELD,
            "return belief[0]",
            "coordinates gives float64(2,); expected a dict of float vectors",
        ),
        (HELD, "return None", "coordinates gives None; expected a dict"),
        (HELD, "return {'a': 'b'}", "coordinates gives no arrays"),
        (HELD, "return {'a': belief[0].sum()}", "coordinates gives {'a': float64()}"),
        (HELD, "return {'a': belief[1][None]}", "coordinates gives {'a': int32(1,)}"),
        (HELD, "return {'a': {'b': belief[0]}}", "expected a dict of float vectors"),
        (HELD, "return {'a': belief[0] * jnp.nan}", "coordinates gives 'a' with nan at place 0"),
        (
            HELD,
            "return {'a': jnp.log(3.0 - belief[1])[None]}",
            "'a' with -inf at place 0 of stream 0",
        ),
        (
            HELD,
            "return {'a': jnp.zeros(self.many)}\n\n    def initial_belief(self, draws=0):\n"
            "        Sticky.many = draws\n        return jnp.array(self.stay), jnp.int32(3)",
            "for 1 draw, and {'a': float64(12,)} of one for 12; expected the same names",
        ),
        ("return numpyro.sample", "numpyro.sample", "own.py, line 48: TypeError"),
        (
            "mp.PROCESSES[Sticky.name] = Sticky",
            "mp.PROCESSES['sticky'] = 3",
            "is 3; expected a sub",
        ),
        ("    parameters: ClassVar", "    others: ClassVar", "'sticky' lacks parameters"),
        ("    num_symbols = ", "    many = ", "'sticky' lacks num_symbols"),
    ],
)
def test_a_process(tmp_path, old, new, message):
    assert message in said(tmp_path, STICKY, old, new, *PROCESS)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("return (h,), h", "return (h,), h[..., :3]", "step gives the output float32(2, 3)"),
        ("return (h,), h", "return (h,), h.astype(jnp.float16)", "the output float16(2, 4)"),
        ("return (h,), h", "return [h], h", "step gives the state [float32(2, 4)]"),
        ("return (h,), h", "pass", "step gives None; expected (new state, output)"),
        ('"b": jnp', '"text": "x",\n            "b": jnp', "init gives no arrays"),
        ('"b": jnp', '"n": jnp.int32(3),\n            "b": jnp', "'n': int32()"),
        ('CELLS["ugrnn"] = UGRNN', 'CELLS["ugrnn"] = lambda *a: 1', "gives a int; expected a Cell"),
        ('CELLS["ugrnn"] = UGRNN', 'CELLS["ugrnn"] = 1', "is 1; expected a class"),
        ("(h,) = state", "(h,) = state + state", "own.py, line 40: ValueError: too many values"),
    ],
)
def test_a_cell(tmp_path, old, new, message):
    assert message in said(tmp_path, UGRNN, old, new, *DIRICHLET, "--cell", "ugrnn")


def test_a_cell_of_a_pixel_network(tmp_path):
    (tmp_path / "own.py").write_text(UGRNN.replace("return (h,), h", "return (h,), h[..., :3]"))
    message = refused("--load", "own.py", "pixels", "train", "--cell", "ugrnn", "--out", "out")
    assert "step gives the output float32(2, 3)" in message
    assert not (tmp_path / "out").exists()


MADE = 'return ImageSet("stripes", split, pack(how.apply(grey, "stripes")), SHAPE, how)'


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (MADE, "return None", "the image set 'stripes' returned None; expected an ImageSet"),
        (MADE, "return grey", "returned a ndarray; expected an ImageSet"),
        (MADE, MADE.replace("split,", "'test',"), "of the split 'test' when asked for 'train'"),
        (MADE, MADE.replace("(grey,", "(grey[:0],"), "returned 0 images for the split 'train'"),
        (MADE, MADE.replace("(grey,", "(grey[:1],"), "returned 1 image for the split 'train'"),
        (
            MADE,
            MADE.replace("SHAPE", "(8, 20)"),
            "packed images should be uint8 (n, 20), got uint8",
        ),
        (MADE, "return ImageSet('stripes', split, grey > 0.5, SHAPE)", "got bool (500, 8, 12)"),
        (MADE, "return ImageSet('stripes', split, pack(grey), SHAPE)", "got float64 with other"),
        (
            MADE,
            "return ImageSet('stripes', split, pack(np.uint8(9 * grey)), SHAPE)",
            "got uint8 with",
        ),
        ("split, *, how=DEFAULT", "split", "cannot be asked for a split (got an unexpected"),
        (
            MADE,
            "shape = SHAPE if split == 'train' else (12, 8)\n"
            "    return ImageSet('stripes', split, pack(grey > 0.5), shape, how)",
            "8 x 12 in train, 12 x 8 in test; expected one size",
        ),
    ],
)
def test_an_image_set(tmp_path, old, new, message):
    assert STRIPES.count(old) == 1
    (tmp_path / "own.py").write_text(STRIPES.replace(old, new))
    train = ("pixels", "train", "--data", "stripes", "--quiet", "--out", "out")
    found = run("--load", "own.py", *train)
    assert_refused(found, 1, says=message)
    assert not (tmp_path / "out").exists()


BARE = """
import numpy as np
from autoregressive.errors import DataError
from autoregressive.images.image_set import ImageSet

for packed, shape in [(None, (8, 12)), (np.zeros((2, 12), np.uint8), 96), (None, (8.0, 12))]:
    try:
        ImageSet("stripes", "train", packed, shape)
    except DataError as error:
        print(error)
"""


def test_parts_of_an_image_set():
    """In a program of its own, in which nothing checks annotations."""
    command = [sys.executable, "-c", BARE]
    found = subprocess.run(command, capture_output=True, text=True, cwd=FOLDER.parents[1])
    assert found.stdout.splitlines() == [
        "packed images should be uint8 (n, 12), got a NoneType: pack them with pack()",
        "the shape of images is 96; expected (rows, columns), two whole numbers",
        "the shape of images is (8.0, 12); expected (rows, columns), two whole numbers",
    ]


@pytest.mark.parametrize("command", ["compare", "pixels"])
def test_a_cell_that_gives_nan_is_not_told_of_the_learning_rate(tmp_path, command):
    (tmp_path / "own.py").write_text(UGRNN.replace("return (h,), h", "return (h,), h * jnp.nan"))
    options = (*DIRICHLET, *TINY)
    if command == "pixels":
        np.save("images.npy", np.arange(48).reshape(12, 2, 2) % 5 > 2)
        options = ("train", "--data", "images.npy", "--epochs", 1, "--readout", 2, "--hidden", 2)
    message = refused("--load", "own.py", command, *options, "--cell", "ugrnn", "--out", "out")
    assert "the network's first predictions are not finite" in message
    assert "look at the cell" in message and "smaller" not in message


VALUE = next(line for line in VARIATION.splitlines() if line.strip().startswith("return "))
COUNTS = next(line for line in FORGETTING.splitlines() if "return log_succession" in line)


@pytest.mark.parametrize(
    ("text", "old", "new", "message"),
    [
        (VARIATION, VALUE, f"{VALUE} * np.nan", "the metric 'total_variation' gives NaN at"),
        (VARIATION, VALUE, "    return 1.0", "the metric 'total_variation' gives float64()"),
        (FORGETTING, COUNTS, f"{COUNTS} + 1", "Forgetting.log_predictive_of is no distribution"),
    ],
)
def test_a_metric_and_a_reference(tmp_path, text, old, new, message):
    assert message in said(tmp_path, text, old, new, *DIRICHLET)
