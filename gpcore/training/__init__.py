"""Training loops: adversarial and supervised, one run or many at once, in one process or several, with checkpoints.

``adversarial`` and ``supervised`` are the two loops, ``config`` and ``supervised_config`` say what their runs depend on
and leave behind, ``run`` holds the moving parts of an adversarial run, ``constraints`` its penalties, ``averages`` the
moving average of a generator's weights, ``loop`` and ``checkpoint`` what both loops share, and ``tasks`` has ready
configurations; ``replicas``, ``settings``, ``grids`` and ``stacks`` train many runs as rows of the same products, and
``sweeps`` many settings in several processes. A newcomer starts with :func:`gpcore.train` in ``adversarial``.
"""

from .adversarial import train, train_critic, train_many
from .averages import train_averaged
from .grids import train_grid, train_supervised_many
from .loop import TrainingDiverged
from .settings import train_settings
from .supervised import train_supervised
from .sweeps import train_sweep

__all__ = [
    "TrainingDiverged",
    "train",
    "train_averaged",
    "train_critic",
    "train_grid",
    "train_many",
    "train_settings",
    "train_supervised",
    "train_supervised_many",
    "train_sweep",
]
