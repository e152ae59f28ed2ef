"""What every test shares: no test touches the user's cache, and trained networks are made once."""

from __future__ import annotations

import atexit
import gc
import itertools
import logging
import os
import shutil
import tempfile
from collections import Counter
from importlib.metadata import version
from pathlib import Path

import jaxtyping
import pytest


def quick_to_compile() -> str:
    """Flags for XLA, those that it knows: an unknown one would end the process."""
    flags = "--xla_backend_optimization_level=1 --xla_cpu_parallel_codegen_split_count=1"
    release = tuple(map(int, version("jaxlib").split(".")[:2]))
    return flags if release > (0, 10) else f"{flags} --xla_cpu_use_fusion_emitters=false"


# Shapes and types of every function of these packages are checked at every call. Of ``analysis`` it is
# the modules with numbers: pages have no arrays, and name types that are loaded late.
NUMBERS = {
    "": "intervals",
    "comparison": "array_files between chunks compare estimates learners metrics off_prior predictions "
    "results scores simplex_figures streams_file",
    "audit": "calibration carry_over decomposition exact_gap future_counts futures gap nuts tree "
    "worst_histories",
    "coursework": "bayes_figures curves effective_prior exact_losses mistakes questions "
    "questions_figures reproduce.layers",
    "hidden": "belief_figures beliefs carry_over dimensions effects_figures examine interventions "
    "jacobian partners probes simulation states trajectories",
    "images": "figures inpainting inpainting_results runs",
    "sweep": "sweep results",
    "all_histories": "file gap predictions states",
    "papers": "agarwal_2025 chlon_2025 edelman_2024 filtering genewein_2023 orders read_out shai_2024 "
    "switching",
}
CHECKED = ["autoregressive", "meta_learning"]
CHECKED += [
    f"analysis.{room}.{name}".replace("..", ".")
    for room, names in NUMBERS.items()
    for name in names.split()
]
# A module that was renamed would be checked no longer, in silence.
for name in CHECKED:
    path = Path(__file__).parent.parent.joinpath(*name.split("."))
    assert path.is_dir() or path.with_suffix(".py").is_file(), f"no module {name}"
jaxtyping.install_import_hook(CHECKED, "checks.checked")

# No array gets new axes in silence, in the tests and in the programs that they start.
os.environ.setdefault("JAX_NUMPY_RANK_PROMOTION", "raise")

# Tests compile for longer than they compute: without LLVM's later passes and XLA's newer code generator
# compiling takes about two fifths less, and a tenth less in one part than in many at once: other tests
# have the other cores. Last bits may differ from those of a user's programs; where bits are compared,
# both sides are compiled alike. XLA_FLAGS= (empty) compiles as users do.
os.environ.setdefault("XLA_FLAGS", quick_to_compile())

# Trainings in a test's own process share batches between two devices, as those of commands do.
os.environ.setdefault("JAX_NUM_CPU_DEVICES", "2")

# What one test compiled, no other compiles again: all tests, their workers and the programs that they
# start share one folder. It is of this run alone, unless the environment names one that stays.
if not os.environ.get("JAX_COMPILATION_CACHE_DIR"):
    os.environ["JAX_COMPILATION_CACHE_DIR"] = tempfile.mkdtemp(prefix="meta-learn-compiled-")
    atexit.register(shutil.rmtree, os.environ["JAX_COMPILATION_CACHE_DIR"], ignore_errors=True)
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")

# Linux gives a process 65,530 maps of memory, every compiled program holds several, and a compiler that
# gets no more of them ends the process.
MAPS = Path("/proc/self/maps")
MOST_MAPS = 20_000
TESTS_BETWEEN_LOOKS = 20
FINISHED = itertools.count(1)

pytest.register_assert_rewrite("laws")

# Tests of which some or all cases wait for CI, one a line.
LONGER = Path(__file__).with_name("longer.txt")

# A network and a comparison small enough to train in seconds.
QUICK = ("--recipe", "coursework", "--batch-size", "4", "--unroll", "8")
TINY = (*QUICK, "--iterations", "6", "--hidden", "4", "--streams", "60")
TRAIN = ("compare", "--alpha", "10,1,1", "--T", "4", *TINY)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Marks what ``longer.txt`` says."""
    stays = dict(line.rsplit(" ", 1) for line in LONGER.read_text().splitlines() if line[0] != "#")
    seen = Counter()
    for item in items:
        name = item.nodeid.partition("[")[0]
        every = int(stays.get(name, 1))
        if every == 0 or seen[name] % every:
            item.add_marker(pytest.mark.longer)
        seen[name] += 1


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown():
    """Lets go of compiled programs before a worker holds more of them than a process can."""
    if next(FINISHED) % TESTS_BETWEEN_LOOKS or not MAPS.exists():
        return
    if MAPS.read_bytes().count(b"\n") > MOST_MAPS:
        import jax

        jax.clear_caches()
        gc.collect()


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """The cache folder of this test alone; it does not exist yet."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("META_LEARN_CACHE", str(folder))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    # Programs that a test starts run with warnings as errors, as this one does.
    monkeypatch.setenv("PYTHONWARNINGS", "error")
    monkeypatch.delenv("META_LEARN_DEBUG", raising=False)
    return folder


@pytest.fixture(autouse=True)
def loggers():
    """Commands send what packages log to stderr, also those of fixtures that many tests share: each
    test finds the loggers as a program does that has run no command."""
    every = [logging.getLogger(p) for p in ("autoregressive", "meta_learning", "analysis")]

    def reset():
        for logger in every:
            logger.handlers, logger.propagate = [], True
            logger.setLevel(logging.NOTSET)

    reset()
    yield
    reset()


@pytest.fixture
def few_sources(monkeypatch):
    """Off the prior two other test streams of each kind at most: each takes its own compilation."""
    from analysis.comparison import off_prior

    monkeypatch.setattr(off_prior, "TASK_LENGTHS", (2,))
    monkeypatch.setattr(off_prior, "_FLAT", (1.1,))


@pytest.fixture(scope="session")
def trained_cache(tmp_path_factory):
    """A cache that holds the network of ``TRAIN``."""
    from click.testing import CliRunner

    from analysis.cli import main

    folder = tmp_path_factory.mktemp("trained")
    environment = os.environ | {"META_LEARN_CACHE": str(folder)}
    result = CliRunner().invoke(main, [*TRAIN, "--json"], env=environment)
    assert result.exit_code == 0, result.stderr
    return folder


@pytest.fixture
def filled_cache(cache, trained_cache):
    """This test's own copy of ``trained_cache``."""
    shutil.copytree(trained_cache, cache)
    return cache


@pytest.fixture
def network_file(filled_cache):
    """The checkpoint that ``TRAIN`` leaves in its cache."""
    (path,) = (filled_cache / "networks").iterdir()
    return path
