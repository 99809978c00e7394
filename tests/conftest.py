"""What every test shares: one thread, no progress bars, repeatable examples, nothing written into the repository."""

import os
from pathlib import Path

import build_site
import hypothesis
import pytest
import torch
from filelock import FileLock

os.environ["GPCORE_PROGRESS"] = "0"
for name in ("GPCORE_RECORD", "GPCORE_CHECKPOINTS", "GPCORE_WORKERS"):
    os.environ.pop(name, None)
torch.set_num_threads(1)
# The same examples on every machine and every run, and no database of earlier failures.
hypothesis.settings.register_profile("book", derandomize=True, deadline=None, max_examples=25, database=None)
hypothesis.settings.load_profile("book")


@pytest.fixture(autouse=True)
def _same_numbers_in_every_order():
    """What a test draws from the global generator must not hang on which tests its process has run before."""
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def site() -> Path:
    """The folder of the built book, built first where its sources have changed since.

    The process that asks first builds it, while the others go on with tests that ask for no page.
    """
    build_site.BUILD.mkdir(exist_ok=True)
    with FileLock(build_site.BUILD / "site.lock"):
        if not build_site.fresh():
            try:
                build_site.build()
            except SystemExit as failed:
                pytest.fail(str(failed))
    return build_site.BUILD / "html"
