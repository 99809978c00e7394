"""Real data that is too large to ship: found on disk, or downloaded once, and always checked by its digest."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import os
import sys
import urllib.request
import zlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from . import _checks

_MNIST = ("https://ossci-datasets.s3.amazonaws.com/mnist/", "https://storage.googleapis.com/cvdf-datasets/mnist/")
_TEXT = ("https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/",)
# file: (SHA-256 of the uncompressed bytes, folders on the web); mirrors compress the same bytes differently
FILES = {
    "t10k-images-idx3-ubyte.gz": ("0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7", _MNIST),
    "t10k-labels-idx1-ubyte.gz": ("ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2", _MNIST),
    "tinyshakespeare.txt": ("86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed", _TEXT),
}


def _stream():
    """Where a progress bar is drawn: a notebook's stdout, because its stderr keeps an empty red strip of it."""
    return sys.stdout if "ipykernel" in sys.modules else sys.stderr


def _folders() -> list[Path]:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gpcore"
    return [Path(os.environ["GPCORE_DATA"]), cache] if os.environ.get("GPCORE_DATA") else [cache]


def _download(name: str, target: Path) -> None:
    """Fetch a file into the cache under a temporary name, from the first folder on the web that has it."""
    failures = []
    for address in FILES[name][1]:
        try:
            with urllib.request.urlopen(address + name, timeout=60) as answer:
                target.parent.mkdir(parents=True, exist_ok=True)
                part = target.with_name(f"{name}.part{os.getpid()}")
                size = int(answer.headers.get("Content-Length") or 0) or None
                with (
                    open(part, "wb") as file,
                    tqdm(total=size, unit="B", unit_scale=True, desc=name, leave=False, file=_stream()) as bar,
                ):
                    while block := answer.read(1 << 16):
                        file.write(block)
                        bar.update(len(block))
                if size and part.stat().st_size < size:
                    raise OSError(f"it broke off after {part.stat().st_size} of {size} bytes")
                os.replace(part, target)
                return
        except OSError as error:
            failures.append(f"{address}: {error}")
    looked = ", ".join(str(folder) for folder in _folders())
    raise FileNotFoundError(
        f"{name} was not found in {looked} and could not be downloaded ({'; '.join(failures)}). Put the file into a "
        "folder and name that folder in the environment variable GPCORE_DATA"
    )


def fetch(name: str) -> bytes:
    """Return the uncompressed bytes of a file of ``FILES``.

    It is looked for in the folder named by ``GPCORE_DATA``, then in the user's cache, then downloaded into the cache.

    Raises:
        FileNotFoundError: not on disk and not to be had from the web; says where it was looked for.
        ValueError: no such name; or the bytes are not those expected: names both digests.

    Example:
        >>> text = gp.datasets.fetch("tinyshakespeare.txt")  # doctest: +SKIP
    """
    _checks.one_of("name", name, FILES)
    path = next((folder / name for folder in _folders() if (folder / name).exists()), None)
    if path is None:
        path = _folders()[-1] / name
        _download(name, path)
    content = path.read_bytes()
    with contextlib.suppress(OSError, EOFError, zlib.error):  # what is damaged has another digest as it is
        content = gzip.decompress(content) if name.endswith(".gz") else content
    digest = hashlib.sha256(content).hexdigest()
    if digest != FILES[name][0]:
        raise ValueError(
            f"{name} has SHA-256 {digest} uncompressed, expected {FILES[name][0]}: delete the file and try again"
        )
    return content


def mnist_test() -> tuple[Tensor, Tensor]:
    """Return the MNIST **test split**: images ``(10000, 1, 28, 28)`` in [-1, 1] and labels ``(10000,)``.

    The training split is not used anywhere in the book; where a held-out set is needed, half of this one is held out.

    Raises:
        FileNotFoundError, ValueError: as :func:`fetch`.

    Source: LeCun, Cortes and Burges 1998.

    Example:
        >>> images, labels = gp.datasets.mnist_test()  # doctest: +SKIP
    """
    # The IDX format: a header of 16 bytes before images and of 8 before labels.
    images = np.frombuffer(fetch("t10k-images-idx3-ubyte.gz"), np.uint8, offset=16).reshape(-1, 1, 28, 28)
    labels = np.frombuffer(fetch("t10k-labels-idx1-ubyte.gz"), np.uint8, offset=8)
    return torch.tensor(images / 127.5 - 1, dtype=torch.float32), torch.tensor(labels).long()


def shakespeare() -> str:
    """Return 1,115,394 characters of Shakespeare's plays, as used by char-rnn (Karpathy 2015).

    Raises:
        FileNotFoundError, ValueError: as :func:`fetch`.

    Example:
        >>> len(gp.datasets.shakespeare())  # doctest: +SKIP
        1115394
    """
    return fetch("tinyshakespeare.txt").decode("ascii")
