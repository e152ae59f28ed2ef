"""Two devices of one CPU, between which a training shares its batches.

JAX runs a program's loops on one core of a device. A CPU that it is told to take for two devices runs
two such loops at once.
"""

from __future__ import annotations

import os
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

# The axis of ``find_pair``'s mesh.
HALF = "half"
# XLA ends a process in which one device has waited 40 seconds for the other, as it may where Ctrl-Z
# stopped it, or other work has all threads. For ``jax.jit(..., compiler_options=PATIENT)``.
_FOREVER_S = 10**8
PATIENT = {
    "xla_cpu_collective_call_terminate_timeout_seconds": _FOREVER_S,
    "xla_cpu_collective_timeout_seconds": _FOREVER_S,
}
_ASKED = "xla_force_host_platform_device_count"


def take_cpu_for_two() -> None:
    """Tells JAX to take the CPU for two devices, before it begins to compute: afterwards, or where the
    environment says how many they are, nothing changes."""
    config: Any = jax.config
    if config.jax_num_cpu_devices != -1 or _ASKED in os.environ.get("XLA_FLAGS", ""):
        return
    try:
        jax.config.update("jax_num_cpu_devices", 2)
    except RuntimeError:  # JAX has begun
        return


def find_pair() -> Mesh | None:
    """The first two devices of the CPU as one axis, ``HALF``; None where JAX computes elsewhere, or has
    only one."""
    if jax.default_backend() != "cpu" or len(jax.local_devices()) < 2:
        return None
    return Mesh(np.array(jax.local_devices()[:2]), (HALF,))


def list_devices() -> list[jax.Device]:
    """JAX's devices, a CPU's as one."""
    devices = jax.devices()
    return devices[:1] if devices[0].platform == "cpu" else devices
