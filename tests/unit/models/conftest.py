"""What several files of tests of the training share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture
def settings_of_torch() -> Iterator[None]:
    """Put back what a training sets: the number of threads, and that numbers next to 0 are taken for 0."""
    torch = pytest.importorskip("torch", reason="training needs torch: pip install '.[train]'")
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)
    torch.set_flush_denormal(False)
