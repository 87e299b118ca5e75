"""Where numba keeps compiled kernels, safe for processes that compile at the same time.

numba names the data files of a kernel's signatures by a number that it reads off an index. Two processes that compile two
signatures at once read the same index, choose the same number, and one loads the other's code: wrong results without a word.
With the process in the name each file has one author; of two indices the later wins, and what it lost is compiled again.
"""

from __future__ import annotations

import os
from typing import Any

from numba import config
from numba.core import caching

from cmvsim.core import kernel_cache


def keep_apart() -> None:
    """Use the folder of the present sources, and name data files by process."""
    config.CACHE_DIR = kernel_cache.folder()  # type: ignore[attr-defined]  # set at run time
    index: Any = caching.IndexDataCacheFile
    if not hasattr(index, "_data_name"):  # another numba, not known to be safe: each process keeps its own code
        config.CACHE_DIR = f"{kernel_cache.folder()}/{os.getpid()}"  # type: ignore[attr-defined]
        return
    index._data_name = _named_by_process  # noqa: SLF001


def _named_by_process(self: Any, number: int) -> str:
    return str(self._data_name_pattern.format(number=number)).replace(".nbc", f"-{os.getpid()}.nbc")
