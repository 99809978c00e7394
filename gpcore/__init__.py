"""Gradient penalties and gradient norm scaling, small and tested: the module behind the book's chapters.

Two families of control over gradients. A *gradient penalty* acts on the norm of a critic's gradient with respect to its
**inputs**; *gradient norm scaling* acts on the norm of the loss's gradient with respect to the **parameters**.
"""

import importlib

from . import counting, data, datasets, dirac, losses, metrics, models, penalties, scaling
from .blocks import adaptive_clip_, clip_group_norms_, clip_rms_
from .check import museum
from .check.penalty import check
from .check.report import Finding, Report, Room
from .check.step import check_scaling
from .lipschitz import (
    GradientNormalized,
    clip_weights_,
    lipschitz_bound,
    lipschitz_estimate,
    spectral_norm_,
)
from .losses import (
    discriminator_loss,
    hinge_discriminator_loss,
    hinge_generator_loss,
    least_squares_discriminator_loss,
    least_squares_generator_loss,
    minimax_generator_loss,
    non_saturating_generator_loss,
    relativistic_discriminator_loss,
    relativistic_generator_loss,
    wasserstein_critic_loss,
    wasserstein_generator_loss,
)
from .metrics import (
    energy_distance,
    frechet_distance,
    mode_coverage,
    norm_statistics,
    perfect_critic,
    wasserstein_distance,
)
from .norm_log import ThresholdReport, suggest_threshold, threshold_report
from .page import evidence, runs
from .page.study import Study
from .page.tables import table
from .parallel import average_gradients_, on_processes
from .penalties import dragan_penalty, gradient_norms, gradient_penalty, interpolate, r1_penalty, r2_penalty
from .per_sample import per_sample_clip
from .scaling import clip_norm_, clip_value_, make_scaler, normalize_norm_, total_norm
from .sweep import critic_step as double_backprop
from .sweep import layers, passes
from .sweep.critic_step import CriticStep, penalized_backward_, supports
from .sweep.whole_step import CriticUpdate, compile_critic_step
from .thresholds import AutoClip, ZClip
from .training import checkpoint, replicas
from .training.adversarial import train, train_critic, train_many
from .training.averages import AveragedHistory, train_averaged, update_average_
from .training.config import Budget, Config, History, build_networks, final, median_run, stack
from .training.grids import train_grid, train_supervised_many
from .training.loop import TrainingDiverged
from .training.settings import Setting, train_settings
from .training.supervised import train_supervised
from .training.supervised_config import SupervisedConfig, SupervisedHistory
from .training.sweeps import train_sweep
from .training.tasks import SequenceConfig, sequence_task

# Earlier names, which go on working.
train_sequence, train_sequence_many = train_supervised, train_supervised_many
SequenceHistory = SupervisedHistory

__version__ = "0.5.0"

# Drawing needs matplotlib, which takes as long to import as all of gpcore: it is imported when it is first named.
_DRAWING = {name: f"gpcore.page.{name}" for name in ("figures", "plots", "widgets")}
_FROM_FIGURES = ("figure", "show")

__all__ = sorted({*dir(), *_DRAWING, *_FROM_FIGURES} - {"importlib"})
__all__ = [name for name in __all__ if not name.startswith("_")]


def __getattr__(name: str):
    if name in _DRAWING:
        return importlib.import_module(_DRAWING[name])
    if name in _FROM_FIGURES:
        return getattr(importlib.import_module("gpcore.page.figures"), name)
    raise AttributeError(f"module 'gpcore' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
