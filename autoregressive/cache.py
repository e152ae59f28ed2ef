"""Where files are kept from one run to the next."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """``META_LEARN_CACHE``, else the platform's user cache. It may not exist yet."""
    chosen = os.environ.get("META_LEARN_CACHE")
    if chosen:
        return Path(chosen).expanduser()
    # The folder that pooch.os_cache names, without the cost of importing pooch.
    import platformdirs

    return Path(platformdirs.user_cache_dir("meta-learn"))
