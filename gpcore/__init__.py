"""Gradient penalties and gradient norm scaling, small and tested: the module behind the book's chapters.

Two families of control over gradients. A *gradient penalty* acts on the norm of a critic's gradient with respect to its
**inputs**; *gradient norm scaling* acts on the norm of the loss's gradient with respect to the **parameters**.
"""

from . import (
    audit,
    audit_scaling,
    checkpoint,
    data,
    datasets,
    dirac,
    double_backprop,
    evidence,
    figures,
    layers,
    losses,
    metrics,
    models,
    museum,
    penalties,
    plots,
    replicas,
    runs,
    scaling,
    sweep,
    widgets,
)
from ._audit.report import Finding, Report, Room
from ._loop import TrainingDiverged
from .audit import check
from .audit_scaling import check_scaling
from .config import Config, History, stack
from .double_backprop import CriticStep, penalized_backward_, supports
from .figures import figure, show
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
from .metrics import frechet_distance, mode_coverage, norm_statistics, wasserstein_distance
from .penalties import dragan_penalty, gradient_norms, gradient_penalty, interpolate, r1_penalty, r2_penalty
from .per_sample import per_sample_clip
from .scaling import (
    AutoClip,
    ZClip,
    adaptive_clip_,
    clip_norm_,
    clip_value_,
    make_scaler,
    normalize_norm_,
    total_norm,
)
from .sequences import SequenceConfig, SequenceHistory, train_sequence, train_sequence_many
from .training import train, train_critic, train_many

__version__ = "0.1.0"

__all__ = [name for name in dir() if not name.startswith("_")]
