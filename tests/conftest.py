"""What every test shares: one thread, no progress bars, repeatable examples, nothing written into the repository."""

import os
from pathlib import Path

import build_site
import hypothesis
import pytest
import torch

os.environ["GPCORE_PROGRESS"] = "0"
for name in ("GPCORE_RECORD", "GPCORE_CHECKPOINTS", "GPCORE_WORKERS"):
    os.environ.pop(name, None)
torch.set_num_threads(1)
# The same examples on every machine and every run, and no database of earlier failures.
hypothesis.settings.register_profile("book", derandomize=True, deadline=None, max_examples=25, database=None)
hypothesis.settings.load_profile("book")


@pytest.fixture(scope="session")
def site() -> Path:
    """The folder of the built book, made from the present sources; `make test` builds it before the tests start."""
    if not build_site.fresh():
        pytest.fail("the built book is missing or older than its sources; run: make test")
    return build_site.BUILD / "html"
