"""Compiled kernels are kept under the digest of all kernel sources, so that no change of one leaves another stale."""

from __future__ import annotations

from pathlib import Path

import numba
import pytest

from cmvsim.core import kernel_cache


def test_kernels_are_cached_under_the_digest_of_their_sources() -> None:
    import cmvsim.estimators.kernels.incidence  # noqa: F401
    import cmvsim.simulation.kernels.hazard as hazard

    assert kernel_cache.folder() == numba.config.CACHE_DIR
    hazard.not_yet(1.0, 0.0, 2.0, 1.3)
    assert hazard.not_yet.stats.cache_path.startswith(kernel_cache.folder())


def test_a_change_of_any_kernel_changes_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    (tmp_path / "a" / "kernels").mkdir(parents=True)
    source = tmp_path / "a" / "kernels" / "one.py"
    monkeypatch.setattr(kernel_cache, "PACKAGE", tmp_path)
    found = []
    for text in ("X = 1\n", "X = 2\n"):
        source.write_text(text, encoding="utf-8")
        found.append(kernel_cache.folder.__wrapped__())
    assert found[0] != found[1]
    monkeypatch.setenv("NUMBA_CACHE_DIR", "mine")
    assert kernel_cache.folder.__wrapped__() == "mine"


def test_a_family_is_filled_when_most_of_its_kernels_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel_cache, "folder", lambda: str(tmp_path / "code"))
    (tmp_path / "code" / "kernels_1").mkdir(parents=True)
    modules = [p.stem for p in (kernel_cache.PACKAGE / "simulation" / "kernels").glob("*.py") if "\n@" in p.read_text("utf-8")]
    found = []
    for module in modules:
        found.append(kernel_cache.filled("simulation"))
        (tmp_path / "code" / "kernels_1" / f"{module}.f-1.py311.nbi").touch()
    assert found == [2 * k >= len(modules) for k in range(len(modules))]
    assert kernel_cache.filled("simulation")
    assert not kernel_cache.filled("estimators")


def test_of_two_processes_that_compile_at_once_none_loads_the_code_of_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both read an empty index, both write their file, and the index of the first is the last to be written."""
    from numba.core.caching import IndexDataCacheFile

    import cmvsim.estimators.kernels

    assert cmvsim.estimators.kernels is not None  # importing it names the files

    def cache() -> IndexDataCacheFile:
        return IndexDataCacheFile(str(tmp_path), "kernel", ("stamp", 1))

    with monkeypatch.context() as stale:
        stale.setattr(IndexDataCacheFile, "_load_index", lambda _: {})
        for process, key in ((1, "a"), (2, "b")):
            stale.setattr("os.getpid", lambda process=process: process)
            cache().save(key, f"code of {key}")
        stale.setattr("os.getpid", lambda: 1)
        first = cache()
        first._save_index({"a": first._data_name(1)})
    assert cache().load("a") == "code of a"
    assert cache().load("b") is None, "what the later index lost is compiled again"
