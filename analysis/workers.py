"""One function of many tasks, in this process or on the workers of Dask distributed.

With neither ``scheduler`` nor ``workers`` everything runs in this process and Dask is not imported. The
task of a worker that dies is run again. A worker with other versions or another platform than this
process refuses its task: results must be those of one process.
"""

from __future__ import annotations

import logging
import os
import pickle
import platform
import signal
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError
from contextlib import ExitStack, closing, contextmanager
from importlib.metadata import version
from importlib.util import find_spec
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from analysis import extensions
from autoregressive.errors import OptionError, counted
from autoregressive.versions import package_version

if TYPE_CHECKING:
    from distributed import Client, Future

Task = TypeVar("Task")
Result = TypeVar("Result")

log = logging.getLogger(__name__)

_CONNECT_S = 10.0
# Tasks submitted for each thread of the workers: one runs, one waits.
_TASKS_A_THREAD = 2
# Each worker is a process with JAX in it: more for each core, and beyond so many, only take memory.
_WORKERS_A_CORE, _ALWAYS = 4, 8
# Ctrl-C reaches every process of a terminal, but it is the parent that ends workers.
_LEAVE_CTRL_C = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)"
_NO_DASK = "workers need Dask distributed: pip install 'meta-learn[cluster]'"
# Set on the worker, where other settings must be equal already.
_PRECISION = "jax_default_matmul_precision"


def run_tasks(
    function: Callable[[Task], Result],
    tasks: Iterable[Task],
    *,
    scheduler: str | None = None,
    workers: int | None = None,
    on_done: Callable[[int, Result], None] = lambda index, result: None,
) -> list[Result]:
    """``function`` of every task, in the order of ``tasks``.

    function: of a module, so that workers can import it. tasks: what can be pickled, with parameters
    as NumPy arrays. scheduler: the address of a Dask scheduler, like tcp://10.0.0.1:8786. workers: the
    number of processes of this machine, instead. on_done: called here with the index and the result
    of each task as it ends, in no fixed order.
    Errors: a task's own ValueError, OSError, RuntimeError or MemoryError, and RuntimeError for any
    other error of a task; ValueError without Dask; OptionError for more workers than this machine can
    use; RuntimeError for a scheduler that cannot be reached or was lost, a worker of other versions,
    and a task that ended several workers.
    """
    done: dict[int, Result] = {}
    with closing(each_result(function, tasks, scheduler=scheduler, workers=workers)) as results:
        for index, result in results:
            done[index] = result
            on_done(index, result)
    return [done[index] for index in range(len(done))]


def each_result(
    function: Callable[[Task], Result],
    tasks: Iterable[Task],
    *,
    scheduler: str | None = None,
    workers: int | None = None,
    one_thread: bool = True,
) -> Generator[tuple[int, Result], None, None]:
    """As ``run_tasks``, but yields (index, result) as each task ends, and takes a task out of
    ``tasks`` only when a worker is about to need it.

    one_thread: whether XLA has one thread in each worker of this machine, or as many as here.
    To be closed (``contextlib.closing``): the workers of this machine end with it.
    """
    if scheduler is None and workers is None:
        for index, task in enumerate(tasks):
            yield index, function(task)
        return
    with connect(scheduler, workers, one_thread) as client:
        yield from _on_workers(client, function, tasks)


def check(scheduler: str | None, workers: int | None) -> None:
    """Tries whether tasks can run there. Errors: as ``run_tasks``."""
    if scheduler is not None:
        with connect(scheduler, None):
            pass
    elif workers is not None:
        _check_count(workers)
        if find_spec("distributed") is None:
            raise ValueError(_NO_DASK)


def _check_count(workers: int) -> None:
    """Errors: OptionError for no workers, or more than this machine can use."""
    cores = os.cpu_count() or 1
    most = max(_ALWAYS, _WORKERS_A_CORE * cores)
    if not 1 <= workers <= most:
        raise OptionError(
            f"--workers {workers}: expected 1 to {most} processes on this machine of "
            f"{counted(cores, 'core')}; try --workers {cores}, or --scheduler for other machines"
        )


@contextmanager
def connect(
    scheduler: str | None, workers: int | None, one_thread: bool = True
) -> Iterator[Client]:
    """A client of a scheduler, or of processes of this machine that end with it.

    one_thread: as for ``each_result``. Errors: as ``run_tasks``.
    """
    try:
        from distributed import Client, LocalCluster
        from distributed.utils import silence_logging_cmgr
    except ImportError:
        raise ValueError(_NO_DASK) from None
    if workers is not None:
        _check_count(workers)

    with ExitStack() as stack:
        # Dask's own log stays silent: ``_say_what_changed`` logs what matters.
        stack.enter_context(silence_logging_cmgr(logging.CRITICAL + 1))
        cluster: str | LocalCluster | None = scheduler
        if scheduler is None:
            cluster = stack.enter_context(
                _without_ctrl_c(
                    LocalCluster,
                    n_workers=workers,
                    threads_per_worker=1,
                    processes=True,
                    host="127.0.0.1",
                    dashboard_address="127.0.0.1:0",
                    worker_dashboard_address="127.0.0.1:0",
                    scheduler_kwargs={"dashboard": False},
                    memory_limit=0,
                    silence_logs=logging.CRITICAL + 1,
                    env=_local_environment(one_thread),
                    preload=[_LEAVE_CTRL_C],
                )
            )
        try:
            with warnings.catch_warnings(action="ignore"):  # about versions, which ``_run`` checks
                client = Client(cluster, timeout=_CONNECT_S, set_as_default=False)
        except (OSError, ValueError) as error:
            reason = f" ({error})" if isinstance(error, ValueError) else ""
            raise RuntimeError(
                f"no Dask scheduler answers at {scheduler}{reason}; is it running, and can it be "
                "reached from here?"
            ) from None
        yield stack.enter_context(client)


def _without_ctrl_c(make: Callable[..., Result], **arguments: object) -> Result:
    """``make(**arguments)`` with SIGINT blocked in the threads and processes that it starts: one that
    is still importing would answer it with a traceback."""
    if not hasattr(signal, "pthread_sigmask"):
        return make(**arguments)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        return make(**arguments)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _on_workers(
    client: Client, function: Callable[[Task], Result], tasks: Iterable[Task]
) -> Generator[tuple[int, Result], None, None]:
    from distributed import as_completed

    here = _setting()
    # Plain tuples and bytes: the scheduler imports nothing that a task needs.
    loaded = [tuple(one) for one in extensions.list_loaded()]
    payloads = ((n, pickle.dumps((function, task))) for n, task in enumerate(tasks))
    running: dict[Future, int] = {}
    ended = as_completed(loop=client.loop)
    known: Mapping[str, int] = {}

    def submit(count: int) -> None:
        for index, payload in islice(payloads, count):
            future = client.submit(_run, payload, here, loaded, pure=False)
            running[future] = index
            ended.add(future)

    try:
        while True:
            threads = client.nthreads()
            _say_what_changed(known, threads, client)
            known = threads
            # Counted anew each time, for workers that joined meanwhile.
            submit(max(1, _TASKS_A_THREAD * sum(threads.values())) - len(running))
            if not running:
                return
            future = next(ended)
            index = running.pop(future)
            yield index, _result(future, index)
            del future
    finally:
        if client.status == "running":
            client.cancel(list(running))


def _result(future: Future[Result], index: int) -> Result:
    """Errors: as ``run_tasks``."""
    from distributed.scheduler import KilledWorker

    try:
        return future.result()
    except KilledWorker:
        raise RuntimeError(
            f"task {index} ended several workers, one after another; have they memory enough for it?"
        ) from None
    except CancelledError:
        raise RuntimeError("the Dask scheduler was lost; start it and run this again") from None
    except (ValueError, OSError, RuntimeError, MemoryError):
        raise
    except Exception as error:
        raise RuntimeError(f"task {index}: {type(error).__name__}: {error}") from error


def _say_what_changed(before: Mapping[str, int], now: Mapping[str, int], client: Client) -> None:
    if not now:
        log.info("no worker has joined the scheduler yet: waiting for one")
    lost = before.keys() - now.keys()
    if lost:
        log.warning("workers lost: %d; what they had not finished is run again", len(lost))


def _run(
    payload: bytes, wanted: dict[str, str | None], loaded: Sequence[tuple[str, ...]]
) -> object:
    """Runs one task on a worker, after loading the extensions ``loaded``. wanted: ``_setting`` of the
    program. Errors: the task's own; RuntimeError for another setting; ExtensionError for another file.
    """
    import jax

    from autoregressive.devices import take_cpu_for_two

    take_cpu_for_two()
    for name, value in _setting().items():
        if name != _PRECISION and value != wanted[name]:
            raise RuntimeError(
                f"the worker on {platform.node()} has {name} {value}, this program has "
                f"{wanted[name]}; results would not be those of one process"
            )
    extensions.load_again([extensions.Extension(*one) for one in loaded])
    function, task = pickle.loads(payload)
    with jax.default_matmul_precision(wanted[_PRECISION]):
        return function(task)


def _setting() -> dict[str, str | None]:
    """What the numbers of a task depend on in this process."""
    import jax

    config: Any = jax.config
    return {
        "meta-learn": package_version(),
        "Python": ".".join(platform.python_version_tuple()[:2]),
        **{name: version(name) for name in ("jax", "jaxlib", "numpy")},
        "platform": jax.default_backend(),
        _PRECISION: config.jax_default_matmul_precision,
    }


def _local_environment(one_thread: bool) -> dict[str, str]:
    """Environment of workers on this machine: XLA's threads, and JAX's platform and cache of compiled
    programs as here. one_thread: as for ``each_result``."""
    import jax

    config: Any = jax.config
    environment = {"NPROC": "1"} if one_thread else {}
    if config.jax_compilation_cache_dir:
        environment["JAX_COMPILATION_CACHE_DIR"] = str(config.jax_compilation_cache_dir)
        seconds = config.jax_persistent_cache_min_compile_time_secs
        environment["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = str(seconds)
    if config.jax_platforms:
        environment["JAX_PLATFORMS"] = str(config.jax_platforms)
    return environment
