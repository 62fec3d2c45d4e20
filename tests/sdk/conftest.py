"""A provider on loopback for the official SDKs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from omnillm.testing import LocalProvider


@pytest.fixture
def provider() -> Iterator[LocalProvider]:
    with LocalProvider() as it:
        yield it
