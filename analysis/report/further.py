"""The commands to go on with from a report."""

from __future__ import annotations

import shlex
from collections.abc import Collection
from pathlib import Path

_AUDIT = (
    "Where the gap comes from, exactly",
    "meta-learn audit --checkpoint {network} --out {out}-audit",
)
_HIDDEN = (
    "What the hidden state holds",
    "meta-learn hidden --checkpoint {network} --out {out}-hidden",
)
_INPAINT = ("Missing pixels, exactly", "meta-learn inpaint --mask square:3")
_REPRODUCE = ("The whole coursework on one page", "meta-learn reproduce --quick")
# The report's name -> (what for, the command). {network}: a network that its folder holds; commands
# that need one are left out where there is none.
_FURTHER: dict[str, tuple[tuple[str, str], ...]] = {
    "comparison": (_AUDIT, _HIDDEN),
    "experiments": (_HIDDEN, _REPRODUCE),
    "audit": (_HIDDEN, ("A grid of networks", "meta-learn sweep --help")),
    "hidden": (_AUDIT,),
    "training": (
        ("Loss and calibration on the test images", "meta-learn pixels evaluate {network}"),
        ("Continue images", "meta-learn pixels continue {network}"),
        ("Missing pixels", "meta-learn inpaint --checkpoint {network} --mask square:3"),
    ),
    "evaluation": (_INPAINT,),
    "continuation": (_INPAINT,),
    "inpainting": (
        ("More pixels, estimated with errors", "meta-learn inpaint --mask lower-half --images 20"),
    ),
    "sweep": (("One network closely", "meta-learn audit --help"),),
    "questions": (_REPRODUCE,),
}


def further(name: str, out: Path, networks: Collection[str]) -> list[tuple[str, str]]:
    """What to run next, (what for, command) each. name: the report's. out: its folder. networks: stems
    of the networks in it."""
    network = next((stem for stem in networks if stem in ("network", "network-seed0")), None)
    network = network or next(iter(networks), None)
    file = "" if network is None else shlex.quote(str(out / f"{network}.safetensors"))
    return [
        (label, command.format(network=file, out=shlex.quote(str(out))))
        for label, command in _FURTHER.get(name, ())
        if file or "{network}" not in command
    ]
