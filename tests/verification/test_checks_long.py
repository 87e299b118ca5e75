"""Every check at its long size: ``make verify``."""

from __future__ import annotations

import pytest

from tests.verification.checks import CHECKS, LONG, check


@pytest.mark.verification
@pytest.mark.parametrize("name", CHECKS)
def test_long(name: str) -> None:
    rows = check(name, LONG)
    assert rows
    assert not [row for row in rows if not row.ok]
