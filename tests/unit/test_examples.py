"""Every public function and class shows one short example in its docstring, and each is run here.

Those that read a data set from disk or from the web are skipped: tests/unit/test_data.py runs them where it is there.
"""

import doctest
import pkgutil

import gpapi
import pytest
import torch

import gpcore

MODULES = [
    info.name for info in pkgutil.walk_packages(gpcore.__path__, "gpcore.") if not info.name.endswith("__main__")
]
# What the reference documents: see book/ext/gpapi.py and the pages below book/api.
DOCUMENTED = {name: value for module in MODULES for name, value in gpapi.public(module).items()}


@pytest.mark.parametrize("name", sorted(DOCUMENTED))
def test_its_example_runs(name, capsys):
    value = DOCUMENTED[name]
    examples = [test for test in doctest.DocTestFinder(recurse=True).find(value, name) if test.examples]
    assert examples, f"{name} has no example"
    for test in examples:
        state = torch.get_rng_state()
        torch.manual_seed(0)
        test.globs = {"gp": gpcore, "torch": torch, "__name__": "example", **test.globs}
        runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
        runner.run(test)
        torch.set_rng_state(state)
        assert runner.failures == 0, capsys.readouterr().out
