"""Options of compiled programs that spend their time on arithmetic."""

from __future__ import annotations

# Vectors of 512 bits where a CPU has them, in place of XLA's 256: up to a quarter off the time. A GPU's
# programs do not depend on it. For ``jax.jit(..., compiler_options=WIDE)``, which JAX takes of outermost
# calls only.
WIDE = {"xla_cpu_prefer_vector_width": 512}
