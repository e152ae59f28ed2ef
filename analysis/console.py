"""What every command begins with: its device, errors as one line, the log on stderr."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from analysis import extensions
from autoregressive.errors import DataError, OptionError


def choose_device(device: str) -> None:
    """Pins JAX to "cpu" or "gpu" before it starts one; "auto" leaves the choice to it.

    A CPU is taken for two devices. JAX keeps compiled programs in our cache folder, unless the
    environment names another for it.
    Errors: ClickException for "gpu" without one.
    """
    # The compiler's log says nothing to a user; its errors are raised.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import jax

    from autoregressive.cache import cache_folder
    from autoregressive.devices import take_cpu_for_two

    if not os.environ.get("JAX_COMPILATION_CACHE_DIR"):
        jax.config.update("jax_compilation_cache_dir", str(cache_folder() / "compiled"))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.03)
    # A program that could not be kept is compiled again: no reason to warn.
    warnings.filterwarnings("ignore", "Error (reading|writing) persistent compilation cache")
    take_cpu_for_two()
    if device == "cpu":
        jax.config.update("jax_platforms", "cpu")
    else:
        jax.config.update("jax_default_matmul_precision", "highest")
    if device != "gpu":
        return
    try:
        jax.devices("gpu")
    except RuntimeError:
        raise click.ClickException(
            "no GPU that JAX can use; install with the extra [cuda13] on a machine that has one, "
            "or drop --device gpu"
        ) from None


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Inside it a user's mistake, a failure of the machine, or whatever a loaded file raises becomes one
    line and exit code 1; 2 where an option asked for it wrongly (``OptionError``).

    META_LEARN_DEBUG=1 shows the traceback.
    """
    try:
        yield
    except Exception as error:
        theirs = isinstance(error, click.ClickException | click.exceptions.Exit | click.Abort)
        if theirs or os.environ.get("META_LEARN_DEBUG"):
            raise
        if isinstance(error, OptionError):
            raise click.UsageError(_one_line(error)) from None
        where = "" if isinstance(error, DataError) else extensions.place_of(error)
        if where:
            first = (str(error).splitlines() or [""])[0]
            raise click.ClickException(f"{where}: {type(error).__name__}: {first}") from None
        if not isinstance(error, ValueError | OSError | RuntimeError | MemoryError):
            raise
        raise click.ClickException(_one_line(error)) from None


@contextmanager
def usage_errors() -> Iterator[None]:
    """Inside it, a ValueError is wrong usage: exit code 2."""
    try:
        yield
    except ValueError as error:
        raise click.UsageError(str(error)) from None


def _one_line(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        # Of a file that is renamed, the second name is the one that was asked for.
        named = error.filename2 or error.filename
        if isinstance(error, IsADirectoryError) and named:
            return f"{named} is a folder where a file is expected: give another path"
        if isinstance(error, FileExistsError | NotADirectoryError) and named:
            # What stands in the way may be above the path that could not be made.
            path = Path(os.fsdecode(named))
            file = next((p for p in (path, *path.parents) if p.is_file()), path)
            return f"{file} is a file where a folder is expected: give another path, like another --out"
        where = f" {named}" if named else ""
        return (
            f"cannot read or write{where}: {error.strerror}; try another --out folder or free space"
        )
    return " ".join(str(error).split()) or type(error).__name__


def log_to_stderr(quiet: bool) -> None:
    """Sends the log of the three packages to stderr; with ``quiet`` only errors."""
    for package in ("autoregressive", "meta_learning", "analysis"):
        logger = logging.getLogger(package)
        logger.handlers = [_Echo()]
        logger.setLevel(logging.ERROR if quiet else logging.INFO)
        logger.propagate = False
    # Matplotlib warns where it cannot keep its list of fonts, which costs a second, no more.
    logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)


class _Echo(logging.Handler):
    """Writes by click, which knows what stderr is now."""

    def emit(self, record: logging.LogRecord) -> None:
        click.echo(record.getMessage(), err=True)
