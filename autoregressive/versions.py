"""What a result depends on besides its arguments: versions, device and number formats."""

from __future__ import annotations

import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any


@cache
def package_version() -> str:
    """The installed version of meta-learn."""
    try:
        return version("meta-learn")
    except PackageNotFoundError:
        return "0+unknown"


@cache
def versions() -> dict[str, str]:
    """The versions of this program and of the libraries that determine its numbers."""
    import jax
    import jaxlib
    import numpy
    import numpyro
    import optax

    return {
        "meta-learn": package_version(),
        "python": platform.python_version(),
        "jax": jax.__version__,
        "jaxlib": jaxlib.__version__,
        "numpy": numpy.__version__,
        "numpyro": numpyro.__version__,
        "optax": optax.__version__,
    }


def environment() -> dict[str, str | bool | list[str]]:
    """The device and the number formats in use, for a run's manifest."""
    import jax

    from autoregressive.unroll import backends

    device = jax.devices()[0]
    config: Any = jax.config  # whose attributes are made when JAX is imported
    return {
        "device": f"{device.platform}:{device.device_kind}",
        "platform": f"{platform.system()} {platform.machine()}",
        "float": "float32 networks, float64 references",
        "matmul_precision": str(config.jax_default_matmul_precision or "default"),
        "unroll": backends.used_backends(),
        "threefry_partitionable": bool(config.jax_threefry_partitionable),
    }
