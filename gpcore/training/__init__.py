"""Training loops: adversarial and supervised, one run or many seeds at once, with checkpoints and logged norms.

``config`` says what a run depends on, ``adversarial`` and ``supervised`` are the two loops, ``replicas`` and ``stacks``
run many seeds side by side, ``loop`` and ``checkpoint`` hold what both loops share. A newcomer starts with
:func:`gpcore.train` in ``adversarial``.
"""

from .adversarial import train, train_critic, train_many
from .loop import TrainingDiverged

__all__ = ["TrainingDiverged", "train", "train_critic", "train_many"]
