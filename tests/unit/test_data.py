"""Samplers against their moments and definitions; files that are missing or corrupt."""

import collections
import gzip
import hashlib
import math
import re
import statistics

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gpcore import data, datasets


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("name", data.SAMPLERS)
def test_samplers_are_reproducible_and_leave_the_global_state_alone(name):
    before = torch.get_rng_state()
    first, again = (data.SAMPLERS[name](50, rng(3)) for _ in range(2))
    assert first.shape == (50, 2) and first.dtype == torch.float32
    assert torch.equal(first, again) and not torch.equal(first, data.SAMPLERS[name](50, rng(4)))
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize(
    "source",
    [*data.SAMPLERS, torch.arange(54.0).reshape(9, 3, 2)],
    ids=lambda source: source if isinstance(source, str) else "samples",
)
def test_several_generators_draw_what_each_draws_alone(source):
    draw = data.sampler(source)
    together, alone = [rng(s) for s in (3, 1, 5)], [rng(s) for s in (3, 1, 5)]
    for n in (7, 50):
        assert torch.equal(draw(n, together), torch.stack([draw(n, one) for one in alone]))


@pytest.mark.parametrize(("name", "modes"), [("8_gaussians", 8), ("25_gaussians", 25)])
def test_mixtures_have_their_modes_spread_and_weights(name, modes):
    centers, std = data.CENTERS[name], data.STDS[name]
    x = data.SAMPLERS[name](20_000, rng())
    distance, nearest = torch.cdist(x, centers).min(1)
    assert torch.bincount(nearest, minlength=modes).float().std() < 4 * math.sqrt(20_000 / modes)
    # In two dimensions the mean squared distance from the centre is 2 std^2.
    assert float(distance.square().mean()) == pytest.approx(2 * std**2, rel=0.05)
    assert distance.max() < 6 * std


def test_eight_gaussians_lie_on_the_papers_circle_and_25_on_its_grid():
    assert torch.allclose(data.CENTERS["8_gaussians"].norm(dim=1), torch.full((8,), 2 / 1.414))
    grid = data.CENTERS["25_gaussians"] * 2.828
    assert {tuple(map(round, map(float, c))) for c in grid} == {
        (x, y) for x in range(-4, 5, 2) for y in range(-4, 5, 2)
    }


def test_the_swiss_roll_is_a_spiral_with_its_noise():
    x = data.swiss_roll(20_000, rng()) * 7.5
    radius = x.norm(dim=1)
    # On the noiseless roll the angle modulo 2 pi equals the radius; the noise has deviation 0.25.
    angle = torch.atan2(x[:, 1], x[:, 0])
    off = torch.remainder(radius - angle + math.pi, 2 * math.pi) - math.pi
    assert float(off.std()) == pytest.approx(0.25, abs=0.03)
    assert 4.7 - 1 < radius.min() and radius.max() < 14.2 + 1.2


def test_two_points_are_two_points():
    x = data.two_points(1000, rng())
    assert {tuple(p) for p in x.tolist()} == {(-1.0, 0.0), (1.0, 0.0)}
    assert abs(float(x[:, 0].mean())) < 0.1


def test_a_tensor_is_drawn_from_with_replacement():
    draw = data.sampler(torch.arange(10.0)[:, None])
    values = draw(10_000, rng())[:, 0]
    assert torch.bincount(values.long(), minlength=10).min() > 850
    with pytest.raises(ValueError, match="data must be one of"):
        data.sampler("9_gaussians")
    with pytest.raises(TypeError, match="data"):
        data.sampler(torch.arange(10))


def test_digits_are_scikit_learns():
    from sklearn.datasets import load_digits

    images, labels = data.digits()
    theirs = load_digits()
    assert images.shape == (1797, 1, 8, 8) and images.min() == -1 and images.max() == 1
    assert torch.allclose((images[:, 0] + 1) * 8, torch.tensor(theirs.images, dtype=torch.float32))
    assert labels.tolist() == theirs.target.tolist()


@given(length=st.integers(10, 60), seed=st.integers(0, 1000))
def test_temporal_order_has_two_marks_in_their_windows_and_the_right_class(length, seed):
    x, y = data.temporal_order(20, length, rng(seed))
    assert x.shape == (20, length, 6) and (x.sum(2) == 1).all()
    for sequence, label in zip(x.argmax(2).tolist(), y.tolist(), strict=True):
        marks = [(t, symbol) for t, symbol in enumerate(sequence) if symbol >= 4]
        assert len(marks) == 2
        (first, a), (second, b) = marks
        assert length // 10 <= first <= 2 * length // 10 and 4 * length // 10 <= second <= 5 * length // 10
        assert label == {(4, 4): 0, (4, 5): 1, (5, 4): 2, (5, 5): 3}[a, b]


def test_short_sequences_are_refused():
    with pytest.raises(ValueError, match="length must be at least 10, got 9"):
        data.temporal_order(1, 9)


def test_the_book_s_text_is_the_same_for_everybody():
    text = data.book_text()
    assert text.isascii() and len(text) == 123_417
    digest = hashlib.sha256(text.encode()).hexdigest()
    assert digest == "1b578bf85a4503ddc8feaaa69c742d0696b48019ab55f02d29ccc281c12de715"
    # English: the commonest letters are e and t, and words are short.
    letters = collections.Counter(c for c in text.lower() if c.isalpha())
    assert [letter for letter, _ in letters.most_common(2)] == ["e", "t"]
    assert statistics.median(map(len, re.findall("[A-Za-z]+", text))) in (3, 4)
    # Formulas and markup are gone.
    assert not re.search(r"[\\{}<>`$*]|http", text)


def markov_pairs():
    """The stationary distribution of two letters, by going on with the chain until nothing changes."""
    p = data.markov_transitions().numpy()
    pairs = np.full((8, 8), 1 / 64)
    for _ in range(2000):
        pairs = np.einsum("ij,ijk->jk", pairs, p)
    return pairs


def test_the_entropy_of_the_generated_language_is_exact():
    p, pairs = data.markov_transitions().numpy(), markov_pairs()
    assert p.shape == (8, 8, 8) and (p > 0).all() and np.allclose(p.sum(2), 1, atol=1e-14)
    triples = pairs[..., None] * p

    def entropy(q):
        return float(-(q * np.log(q)).sum())

    # By the chain rule: what the third letter adds to the first two.
    assert data.markov_entropy() == pytest.approx(entropy(triples) - entropy(pairs), rel=1e-9)
    # The last letter alone tells less than both, and nothing at all tells less still.
    alone = pairs.sum(0)
    assert data.markov_entropy() + 0.1 < entropy(pairs) - entropy(alone) <= entropy(alone) <= math.log(8)


def test_generated_text_follows_the_stated_probabilities():
    n = 200_000
    codes, alphabet = data.encode_text(data.markov_text(n, rng()))
    assert len(codes) == n and alphabet == "abcdefgh"
    surprise = -data.markov_transitions().log()[codes[:-2], codes[1:-1], codes[2:]]
    # The surprises less what was expected of each are uncorrelated, so the error of their mean is known.
    assert surprise.mean().item() == pytest.approx(data.markov_entropy(), abs=5 * surprise.std().item() / n**0.5)
    seen = torch.bincount(codes[:-1] * 8 + codes[1:], minlength=64).reshape(8, 8) / (n - 1)
    assert np.abs(seen.numpy() - markov_pairs()).max() < 0.004
    assert data.markov_text(50, rng()) == data.markov_text(50, rng()) != data.markov_text(50, rng(1))


def test_generated_text_starts_from_the_stationary_distribution():
    starts = collections.Counter(data.markov_text(2, rng(seed)) for seed in range(4000))
    pairs = {a + b: markov_pairs()[i, j] for i, a in enumerate("abcdefgh") for j, b in enumerate("abcdefgh")}
    assert all(abs(starts[pair] / 4000 - share) < 5 * (share / 4000) ** 0.5 for pair, share in pairs.items())
    with pytest.raises(ValueError, match="n must be at least 2, got 1"):
        data.markov_text(1)


def test_text_is_encoded_and_cut_into_batches():
    codes, alphabet = data.encode_text("banana")
    assert alphabet == "abn" and "".join(alphabet[c] for c in codes) == "banana"
    x, y = data.text_batch(torch.arange(100), 7, 10, rng())
    assert x.shape == y.shape == (7, 10) and torch.equal(x + 1, y)
    with pytest.raises(ValueError, match="codes must be longer"):
        data.text_batch(torch.arange(10), 1, 10)


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    """A data folder with one small gzipped file that datasets knows by its digest."""
    content = b"hello, these are bytes"
    (tmp_path / "small.gz").write_bytes(gzip.compress(content))
    digest = hashlib.sha256(content).hexdigest()
    monkeypatch.setitem(datasets.FILES, "small.gz", (digest, ("https://example.invalid/",)))
    monkeypatch.setenv("GPCORE_DATA", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path


def test_a_file_in_the_data_folder_is_found_and_checked(shelf):
    assert datasets.fetch("small.gz") == b"hello, these are bytes"
    # Other compression, same content: the digest is of the uncompressed bytes.
    (shelf / "small.gz").write_bytes(gzip.compress(b"hello, these are bytes", 1))
    assert datasets.fetch("small.gz") == b"hello, these are bytes"
    (shelf / "small.gz").write_bytes(gzip.compress(b"hello, these are other bytes"))
    with pytest.raises(ValueError, match="small.gz has SHA-256 .* expected"):
        datasets.fetch("small.gz")


def test_a_missing_file_without_a_network_says_what_to_do(shelf, monkeypatch):
    def unreachable(address, timeout):
        raise OSError("no network")

    monkeypatch.setattr(datasets.urllib.request, "urlopen", unreachable)
    (shelf / "small.gz").unlink()
    with pytest.raises(FileNotFoundError, match="small.gz was not found in .*no network.*GPCORE_DATA"):
        datasets.fetch("small.gz")


class Answer:
    """A web server's answer that announces 42 bytes and gives these."""

    headers = {"Content-Length": "42"}

    def __init__(self, content: bytes):
        self.blocks = [content, b""]

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

    def read(self, size):
        return self.blocks.pop(0)


def test_a_download_goes_into_the_cache(shelf, monkeypatch):
    content = (shelf / "small.gz").read_bytes()
    assert len(content) == 42
    (shelf / "small.gz").unlink()
    monkeypatch.setattr(datasets.urllib.request, "urlopen", lambda address, timeout: Answer(content))
    assert datasets.fetch("small.gz") == b"hello, these are bytes"
    assert [p.name for p in (shelf / "cache" / "gpcore").iterdir()] == ["small.gz"]


@pytest.mark.skipif("not __import__('os').environ.get('GPCORE_DATA')", reason="GPCORE_DATA names no folder with MNIST")
def test_the_real_files_have_their_digests():
    images, labels = datasets.mnist_test()
    assert images.shape == (10_000, 1, 28, 28) and images.min() == -1 and images.max() == 1
    assert torch.bincount(labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert len(datasets.shakespeare()) == 1_115_394


@pytest.mark.parametrize("damage", ["a web page", "cut short"])
def test_a_damaged_file_is_named_with_its_digest(shelf, damage):
    whole = (shelf / "small.gz").read_bytes()
    (shelf / "small.gz").write_bytes(b"<html>" if damage == "a web page" else whole[:-9])
    with pytest.raises(ValueError, match="small.gz has SHA-256 .* delete the file"):
        datasets.fetch("small.gz")
    with pytest.raises(ValueError, match="name must be one of .*'small.gz'"):
        datasets.fetch("large.gz")


def test_half_a_download_does_not_stay(shelf, monkeypatch):
    (shelf / "small.gz").unlink()
    monkeypatch.setattr(datasets.urllib.request, "urlopen", lambda address, timeout: Answer(b"half"))
    with pytest.raises(FileNotFoundError, match="broke off after 4 of 42 bytes"):
        datasets.fetch("small.gz")
    assert not (shelf / "cache" / "gpcore" / "small.gz").exists()
