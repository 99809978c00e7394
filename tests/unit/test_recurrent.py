"""State that is passed in is where a network goes on, and is not dropped."""

import pytest
import torch

from gpcore import models

CODES = torch.randint(9, (3, 12), generator=torch.Generator().manual_seed(0))


def network(cell):
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return models.CharModel(9, 7, cell).double()


@pytest.mark.parametrize("cell", models.CELLS)
@pytest.mark.parametrize("cut", [1, 5])
def test_a_text_read_in_two_parts_is_the_text_read_at_once(cell, cut):
    model = network(cell)
    whole, end = model(CODES)
    first, state = model(CODES[:, :cut])
    second, last = model(CODES[:, cut:], state)
    torch.testing.assert_close(torch.cat([first, second], dim=1), whole)
    torch.testing.assert_close(last, end)
    fresh, _ = model(CODES[:, cut:])
    assert not torch.allclose(fresh[:, 0], second[:, 0])


@pytest.mark.parametrize("cell", models.CELLS)
def test_the_classifier_reads_its_answer_off_the_last_step(cell):
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = models.RecurrentClassifier(6, 7, 4, cell)
    x = torch.randn(3, 8, 6, generator=torch.Generator().manual_seed(2))
    expected = model.readout(model.recurrent(x)[0][:, 7])
    torch.testing.assert_close(model(x), expected)
    shorter = model(x[:, :5])
    torch.testing.assert_close(shorter, model.readout(model.recurrent(x)[0][:, 4]))
