"""Where compiled kernels are kept: a folder named after the source of all of them.

numba recompiles a cached function when its own file changes, but not when a kernel or a constant that it imports from
another file does: after an upgrade it could run yesterday's code. A folder per state of the sources rules that out.
"""

from __future__ import annotations

import hashlib
import os
from functools import cache
from pathlib import Path
from typing import Literal

from cmvsim.core.sources import PACKAGE


@cache
def folder() -> str:
    """Cache folder for the present sources; the user's own ``NUMBA_CACHE_DIR`` has precedence.

    Where it cannot be written, numba falls back to its other places by itself.
    """
    if "NUMBA_CACHE_DIR" in os.environ:
        return os.environ["NUMBA_CACHE_DIR"]
    whole = hashlib.sha256()
    for path in sorted(PACKAGE.glob("*/kernels/*.py")):
        whole.update(path.name.encode() + path.read_bytes())
    return str(PACKAGE / "__pycache__" / f"kernels-{whole.hexdigest()[:16]}")


def filled(family: Literal["simulation", "estimators"]) -> bool:
    """Whether machine code of most kernels of a family is kept already; False also where it is kept elsewhere."""
    sources = (PACKAGE / family / "kernels").glob("*.py")
    modules = {path.stem for path in sources if "\n@" in path.read_text(encoding="utf-8")}
    kept = {path.name.split(".")[0] for path in Path(folder()).rglob("*.nbi")}
    return 2 * len(modules & kept) >= len(modules)
