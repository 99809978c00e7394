"""Data that is what it says: both ends of a window are drawn, held-out text is not trained on, headers are skipped."""

import gzip
import hashlib

import numpy as np
import pytest
import torch

import gpcore as gp
from gpcore import data, datasets


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def test_every_window_of_a_text_is_drawn_and_its_last_character_too():
    for length in (10, 11):
        x, y = data.text_batch(torch.arange(12), 400, length, rng())
        starts = x[:, 0].bincount(minlength=12 - length)
        assert len(starts) == 12 - length and (starts > 0).all()
        assert y.max() == 11 and x.min() == 0
    # As often each: 1,000 draws of 4 windows.
    x, _ = data.text_batch(torch.arange(12), 1000, 8, rng())
    assert (x[:, 0].bincount(minlength=4) > 180).all()


@pytest.mark.parametrize("length", [10, 20, 37])
def test_the_marks_stand_at_every_place_of_their_windows(length):
    x, y = data.temporal_order(4000, length, rng())
    marked = x.argmax(2) >= 4
    first, second = marked.int().argmax(1), length - 1 - marked.flip(1).int().argmax(1)
    assert set(first.tolist()) == set(range(length // 10, 2 * length // 10 + 1))
    assert set(second.tolist()) == set(range(4 * length // 10, 5 * length // 10 + 1))
    assert (y.bincount(minlength=4) > 850).all()
    # The distractors are four, everywhere, alike.
    symbols = x.argmax(2)[~marked].bincount(minlength=6)
    assert (symbols[4:] == 0).all() and (symbols[:4] / symbols.sum() > 0.22).all()


def test_every_sample_of_a_tensor_is_drawn_the_ends_too():
    draw = data.sampler(torch.arange(5.0)[:, None])
    assert set(draw(500, rng())[:, 0].tolist()) == {0, 1, 2, 3, 4}


def test_the_spiral_runs_from_one_and_a_half_turns_to_four_and_a_half():
    """t uniform on [1.5 pi, 4.5 pi]: its moments, and both ends; the noise is small beside them."""
    radius = data.swiss_roll(20_000, rng()).norm(dim=1) * 7.5 / np.pi
    assert radius.mean().item() == pytest.approx(3.0, abs=0.03)
    assert radius.std().item() == pytest.approx(3 / 12**0.5, abs=0.03)
    assert radius.min() < 1.6 and radius.max() > 4.4


def test_mixtures_are_as_wide_as_their_papers_say():
    """0.02 on a circle of radius 2, all divided by 1.414; 0.05 on a grid of spacing 2, all divided by 2.828."""
    for draw, name, scale, width in (
        (data.eight_gaussians, "8_gaussians", 1.414, 0.02),
        (data.twenty_five_gaussians, "25_gaussians", 2.828, 0.05),
    ):
        x = draw(4000, rng())
        off = x - data.CENTERS[name][torch.cdist(x, data.CENTERS[name]).argmin(1)]
        assert off.std().item() * scale == pytest.approx(width, rel=0.05)


@pytest.fixture(scope="module")
def task():
    """A text whose tenths are nine times 'ab' and at last 'yz', and what is drawn from it."""
    text = "ab" * 450 + "yz" * 50
    config = gp.sequence_task("text", text=text, length=10)
    codes, alphabet = data.encode_text(text)
    assert alphabet == "abyz"
    return config


def test_the_last_tenth_of_a_text_is_held_out_and_the_rest_is_trained_on(task):
    trained, _ = task.data(500, rng())
    held_out, _ = task.held_out(500, rng())
    assert set(trained.flatten().tolist()) == {0, 1}
    assert set(held_out.flatten().tolist()) == {2, 3}


def test_all_of_the_nine_tenths_are_trained_on():
    """Every character another one: inputs are the first 900 but the last of them, targets all but the first."""
    text = "".join(map(chr, range(100, 1100)))
    config = gp.sequence_task("text", text=text, length=40)
    x, y = config.data(20_000, rng())
    assert (x.min(), x.max(), y.min(), y.max()) == (0, 898, 1, 899)
    x, y = config.held_out(5_000, rng())
    assert (x.min(), y.max()) == (900, 999)


def test_defaults_of_sequence_tasks_are_those_of_pascanu(task):
    assert (task.batch_size, task.optimizer, task.lr, task.momentum) == (20, "sgd", 0.01, 0.0)
    model = task.model()
    assert model.recurrent.cell == "rnn" and model.readout.in_features == 50
    assert gp.sequence_task("temporal_order", batch_size=3).batch_size == 3


@pytest.fixture
def mnist(tmp_path, monkeypatch):
    """Two files in MNIST's format with three images: a header of 16 bytes before images, of 8 before labels."""
    pixels = np.arange(3 * 784, dtype=np.uint32).reshape(3, 28, 28) % 256
    contents = {
        "t10k-images-idx3-ubyte.gz": bytes([0, 0, 8, 3]) + b"\x07" * 12 + pixels.astype(np.uint8).tobytes(),
        "t10k-labels-idx1-ubyte.gz": bytes([0, 0, 8, 1]) + b"\x07" * 4 + bytes([9, 0, 4]),
    }
    monkeypatch.setenv("GPCORE_DATA", str(tmp_path / "named"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for folder in (tmp_path / "named", tmp_path / "cache" / "gpcore"):
        folder.mkdir(parents=True)
    for name, content in contents.items():
        (tmp_path / "cache" / "gpcore" / name).write_bytes(gzip.compress(content))
        monkeypatch.setitem(datasets.FILES, name, (hashlib.sha256(content).hexdigest(), ()))
    return pixels


def test_images_and_labels_begin_behind_their_headers(mnist):
    images, labels = datasets.mnist_test()
    assert images.shape == (3, 1, 28, 28) and labels.tolist() == [9, 0, 4]
    torch.testing.assert_close(images[:, 0], torch.tensor(mnist / 255 * 2 - 1, dtype=torch.float32))
    assert labels.dtype == torch.int64


def test_the_folder_that_is_named_comes_before_the_cache(mnist, tmp_path):
    name = "t10k-labels-idx1-ubyte.gz"
    (tmp_path / "named" / name).write_bytes(b"another file of this name")
    with pytest.raises(ValueError, match="has SHA-256"):
        datasets.fetch(name)


def test_a_download_goes_on_to_the_next_address_and_leaves_no_part(tmp_path, monkeypatch):
    """The first mirror breaks off, the second has the file; nothing but the file stays in the cache."""
    content, asked = b"the whole file", []
    monkeypatch.delenv("GPCORE_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    digest = hashlib.sha256(content).hexdigest()
    monkeypatch.setitem(datasets.FILES, "x.txt", (digest, ("https://one.invalid/", "https://two.invalid/")))

    class Answer:
        headers = {"Content-Length": str(len(content))}

        def __init__(self, blocks):
            self.blocks = [*blocks, b""]

        def __enter__(self):
            return self

        def __exit__(self, *error):
            pass

        def read(self, size):
            return self.blocks.pop(0)

    def urlopen(address, timeout):
        asked.append(address)
        return Answer([content[:5]] if "one" in address else [content[:9], content[9:]])

    monkeypatch.setattr(datasets.urllib.request, "urlopen", urlopen)
    assert datasets.fetch("x.txt") == content
    assert asked == ["https://one.invalid/x.txt", "https://two.invalid/x.txt"]
    assert [path.name for path in (tmp_path / "gpcore").iterdir()] == ["x.txt"]
