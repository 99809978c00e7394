"""The page of results: every number that the pages' runs measured, a section per chapter, with names spelled out.

A chapter calls its measurements shortly, for its own tables stand beside them. On a page by themselves they need what
the chapter says around them: ``NAMES`` puts it back, chapter by chapter.
"""

from __future__ import annotations

import html
import json
import re

from docutils import nodes
from docutils.parsers.rst import Directive
from gpbook import EVIDENCE, MEASURED, ROOT, chapters, link, measured, raw

from gpcore.page import evidence
from gpcore.page.tables import html_table

# Per chapter: a pattern, and what takes its place. All that fit are applied, in this order.
NAMES = {
    "01": [
        (r"^final / initial W1, the same, R1$", "final / initial W1, generator 10 times faster, R1"),
        (r"(?<=W1, )([\d.]+) times, ", r"discriminator's rate \1 times the generator's, "),
        (r"rate 1 times the", "rate equal to the"),
        (r"undamped$", "no penalty"),
        (r"^value where p = q, plus log 4", "value of the game where real and generated samples are alike, plus log 4"),
    ],
    "02": [
        (r"clipped, 0.01$", "Wasserstein critic with weights clipped at 0.01"),
        (r"penalised, 1$", "Wasserstein critic with a gradient penalty of weight 1"),
        (r"(?<!non-)saturating", "saturating loss"),
        (r"non-saturating$", "non-saturating loss"),
        (r"^saturating loss gradient", "gradient of the saturating loss"),
    ],
    "03": [
        (r"(?<=[:,] )(\d+) times, (\d steps?)", r"critic with \1 times the generator's rate and \2 per generator step"),
        (r", GP$", ", penalty of WGAN-GP"),
        (r"^stray: ", "share of stray samples: "),
    ],
    "04": [
        (r"^(reported|corrected) over true, weight (\d+), d = (\d+)",
         r"distance \1 by a critic with a penalty of weight \2, over the true one of \3"),
        (r"^best scale, W1", "scale of a copy at the smallest W1"),
        (r"^best scale, energy", "scale of a copy at the smallest energy distance"),
        (r"from A = I", "from the right start"),
        (r"^(W1|energy distance), (other|shrunk)", r"\1 to real digits, \2"),
    ],
    "05": [
        (r"^r, c = ([\d.]+)", r"correlation with the perfect critic, weights clipped at \1"),
        (r"^r, two", "correlation of two"),
        (r"per layer, c = ([\d.]+)", r"per layer that the gradient gains, weights clipped at \1"),
        (r"per layer, penalty", "per layer that the gradient gains, gradient penalty"),
    ],
    "06": [
        (r"^seen, two-sided, ([\d,]+)", r"distance that a critic sees over the true one, two-sided penalty, \1 steps"),
        (r"^r, two-sided, 1$", "correlation with the perfect critic, two-sided penalty of weight 1, 500 steps"),
        (r"((?:two|one)-sided), ([\d.]+)$", r"\1 penalty of weight \2"),
        (r"clipping, ([\d.]+)$", r"weights clipped at \1"),
        (r"batch norm, (\d+)$", r"batch norm, penalty of weight \1"),
        (r"^W1, ", "W1 to fresh data, "),
        (r"^stray, ", "share of stray samples, "),
        (r"(?<=data, )(\d+) critic steps", r"two-sided penalty of weight 10, \1 critic steps"),
        (r"^largest change, weight", "largest change, Adam, weight"),
        (r"^largest change, (.+), weight", r"largest change of the critic's parameters per step, \1, weight"),
    ],
    "07": [
        (r"^units per layer", "products with a batch per layer"),
        (r"^time in plain steps", "processor time over that of a plain critic step"),
        (r"wgan_gp_by_hand", "penalty of WGAN-GP by hand"),
        (r"wgan_gp", "penalty of WGAN-GP by autograd"),
        (r"r1_reuse", "R1 by autograd with the scores reused"),
        (r"r1_by_hand", "R1 by hand"),
    ],
    "08": [
        (r", (wasserstein|non-saturating|hinge|least-squares|relativistic),", r", \1 loss,"),
        (r"wasserstein", "Wasserstein"),
        (r", none, (.+), w = 0$", r", no penalty, \1"),
        (r", w = 0$", ""),
        (r", w = ([\d.]+)$", r", weight \1"),
        (r"spectral_norm", "spectral normalisation"),
        (r"gradient_normalization", "gradient normalisation"),
        (r"^energy, ", "energy distance on digits, "),
        (r"^radii: ", "radius of the Dirac-GAN's circle: "),
        (r"^two-sided walk", "distance that a two-sided penalty lets the Dirac-GAN walk"),
        (r"^(upper|lower) end", r"\1 end of the weights with which the Dirac-GAN arrives"),
        (r"^half way", "W1 half way from the untrained generator to real data"),
    ],
    "09": [
        (r"^perfect critic: (.+), (\d+) dimensions", r"perfect critic of 64 samples in \2 dimensions: \1"),
        (r"^no penalty: ", "critic without a penalty, 64 samples: "),
        (r"^stopped at its best step: ", "critic stopped at its best step, 64 samples: "),
        (r"^(two-sided|one-sided), (\d+): ", r"critic with a \1 penalty of weight \2, 64 samples: "),
        (r"^(0-GP|R1), (\d+): ", r"critic with \1 of weight \2, 64 samples: "),
        (r"^(spectral norm|dropout|weight decay), ([\d.]+): ", r"critic with \1 of strength \2, 64 samples: "),
        (r"^Wasserstein loss, none: ", "Wasserstein critic without a penalty, 64 samples: "),
        (r"^Wasserstein loss, two-sided, (\d+): ",
         r"Wasserstein critic with a two-sided penalty of weight \1, 64 samples: "),
        (r"^Wasserstein loss, 0-GP, (\d+): ", r"Wasserstein critic with 0-GP of weight \1, 64 samples: "),
        (r"^(two-sided|one-sided), at its evenest: ", r"critic with a \1 penalty at its evenest, 64 samples: "),
        (r"^(0-GP|R1), at its evenest: ", r"critic with \1 at its evenest, 64 samples: "),
        (r"^no penalty, (\d+) samples(, at its best step)?: ", r"critic without a penalty\2, \1 samples: "),
        (r"^R1, (\d+), (\d+) samples: ", r"critic with R1 of weight \1, \2 samples: "),
        (r"^digits, none", "critic of 100 digits without a penalty"),
        (r"^digits, R1, (\d+): ", r"critic of 100 digits with R1 of weight \1: "),
        (r", moved: ", ", all images moved by up to a pixel: "),
        (r": memory$", ": memory as an AUC"),
        (r": norm$", ": mean slope"),
        (r": unevenness$", ": standard deviation of the slope over its mean"),
    ],
    "10": [
        (r"^accuracy of the classifier", "accuracy of the classifier whose features the FD takes"),
        (r"^(W1|FD) over that of real images, (.+)", r"\1 from real digits over that of other real digits: \2"),
        (r"^energy distance, (?!pixels)", "energy distance from real digits: "),
        (r"^energy of the average, ", "energy distance of the average, "),
        (r"^(FD|energy distance) of the average, (.+)", r"\1 of averaged generators from real digits, \2"),
        (r"^gain of the average, energy, ", "share of the energy distance that averaging a generator takes away, "),
        (r"^slope, pixels", "critic's mean slope, pixels"),
        (r"^energy distance, pixels", "energy distance of WGAN-GP's digits, pixels"),
        (r"(?<=pixels within )(\d+), weight ", r"±\1, penalty of weight "),
        (r"^slope with (\d+) within 128, over its copy's",
         r"critic's mean slope, pixels within ±128 and weight \1, over that with both scaled to ±1"),
        (r", clipping$", ", weight clipping"),
        (r"\bFD\b", "Fréchet distance"),
    ],
    "11": [
        (r"^growth per step, (radius .+)", r"growth per step of a tanh network, spectral \1"),
        (r"^the same, radius 3", "norm at 80 characters over that at 40, mean loss, spectral radius 3"),
        (r"^solved: ", "seeds that solve the task: "),
        (r"LSTM, bias", "LSTM with open forget gates"),
        (r"^share that (.+) keeps", r"share of the runs lost without clipping that \1 keeps"),
        (r"^runs that it keeps from", "runs that clipping keeps from"),
        (r"^of these, solved at", "of the runs that clipping makes solve the task, solved at"),
        (r"^bits, ", "bits per character, "),
        (r"^largest norm, ", "largest norm before scaling, "),
    ],
    "12": [
        (r"^solved, of 5: ", "seeds of 5 that solve the task: "),
        (r"^plain runs to compare", "plain runs that solve the task beside clipped ones"),
        (r"^of these, clipped", "of the plain runs to compare in which a loss rises, clipped"),
        (r"^of these, smaller", "of the pairs of the control in which a loss rises, smaller"),
        (r"^largest rise", "largest rise of the loss between evaluations"),
        (r"over tau$", "over the threshold"),
        (r"before and after, clip_norm", "before and after norm clipping"),
        (r"before and after, normalize", "before and after normalisation"),
        (r"before and after, clip_value", "before and after value clipping"),
    ],
    "13": [
        (r"^the same, last step below half, over equation \(1\), spike (\d+)$",
         r"last step of Adam below half of its length after a spike of \1, over the predicted one"),
        (r"^Adam's step at a spike of (\d+)$", r"Adam's step at a gradient \1 times the others, over the one before"),
        (r"^where clipped SGD settles, threshold ([\d.]+)$",
         r"where SGD settles on a quadratic with minimum at 1, gradients clipped at \1"),
        (r"^gain in points at one rate, ", "points of accuracy by clipping at the one rate where it gains most: "),
        (r"^gain in points, ", "points of accuracy by clipping, with the best rate for each: "),
        (r"^accuracy, wrong", "accuracy in per cent, SGD, wrong"),
        (r"^points apart, ", "points of accuracy between the best and the worst of three thresholds: "),
        (r"^points behind, ", "points of accuracy behind a rate and threshold chosen by hand: "),
        (r"^share that AutoClip clips$", "share of steps that AutoClip clips"),
    ],
    "14": [
        (r"^seeds ahead of none, (.+), clean$", r"seeds of 8 in which \1 beats none in a classifier, clean images"),
        (r"^seeds ahead of none, (.+), noise$", r"seeds of 8 in which \1 beats none in a classifier, noisy images"),
        (r"^seeds ahead of none, (.+), opponent$", r"seeds of 8 in which \1 beats none in a classifier, under attack"),
        (r"^accuracy gained over", "accuracy gained by the Jacobian penalty at 900 unlabelled digits, over"),
        (r"^seeds nearer than none", "seeds of 8 in which imitation is nearer to the expert than without a penalty"),
        (r"^W1 to the expert, best rate, ", "W1 to the expert's pairs at the best rate, penalty: "),
        (r"^different strings of 40, ", "balanced strings of 40 that are written, "),
        (r"^energy distance of clips, ", "energy distance from clips of moving digits, "),
    ],
    "15": [
        (r"^norm, (policy|value network), ", r"PPO on cart-pole, Adam: gradient norm of the \1, "),
        (r"^share of steps above 0.5, ", "PPO on cart-pole, Adam: share of steps with a joint norm above 0.5, "),
        (r"^value network's norm, ", "PPO on cart-pole, Adam: norm of the value network, "),
        (r"^steps per episode: SGD, none, ", "PPO on cart-pole, SGD: mean length of the episodes, not clipped, "),
        (r"^steps per episode: SGD, joint, scaled, ",
         "PPO on cart-pole, SGD: mean length of the episodes, clipped jointly at half of the reward, "),
        (r"^steps per episode: SGD, joint, ", "PPO on cart-pole, SGD: mean length of the episodes, clipped jointly, "),
        (r"^steps per episode: SGD, apart, ", "PPO on cart-pole, SGD: mean length of the episodes, clipped apart, "),
        (r"^seeds of 8 with longer episodes, (.+)",
         r"PPO on cart-pole, \1: seeds of 8 whose episodes are longer with clipping"),
        (r"^steps per episode gained: (\w+), ", r"PPO on cart-pole, \1: steps per episode that clipping adds, rate "),
        (r"^largest logit, GPT, ", "largest attention logit, GPT, "),
        (r"^largest logit, NormedGPT, ", "largest attention logit, GPT with normalised queries and keys, "),
        (r"threshold 1e\+06$", "not clipped"),
        (r"^GPT, best bits ", "GPT, bits per character at the best rate, "),
        (r"^bits lost by a summed batch, ", "GPT, bits per character lost by one batch with a summed loss, "),
        (r"^seeds of 8 with a lower error, by rate$",
         "video classifier: seeds of 8 with a lower error by clipping, at each rate"),
        (r"^error saved by clipping, ", "video classifier: error without clipping minus that with it, "),
    ],
    "16": [
        (r"^W1, batch norm, ([\d.]+)$", r"W1 at the end, batch norm, penalty of weight \1"),
        (r"^error, ", "error of a network trained with: "),
        (r"^input norm, ", "input norm at the end, "),
    ],
    "17": [
        (r"^([A-L])(?=[:,])", r"patient \1"),
        (r"^healthy", "healthy run"),
        (r"new critic$", "value gap that a new critic finds"),
        (r"scaled share$", "generator's gradient norm after scaling over that before"),
        (r"uphill$", "cosine of the generator's step with the critic's uphill direction"),
    ],
    "18": [
        (r"^norm on 16 processes over one, ", "norm of the mean gradient of 16 batches over that of one, critics "),
        (r"^error of equation \(1\)$", "relative error of the predicted norm of a mean gradient"),
        (r"^time of the loop over that of replicas$", "time to train many seeds one by one over that of replicas"),
    ],
}  # fmt: skip


def full_name(chapter: str, name: str) -> str:
    """Return a measurement's name as it reads without its chapter around it."""
    for pattern, words in NAMES.get(chapter, []):
        name = re.sub(pattern, words, name)
    return name


def title(chapter: str) -> str:
    """Return a chapter's number and title."""
    cells = json.loads((ROOT / f"{chapters()[chapter]}.ipynb").read_text(encoding="utf-8"))["cells"]
    lines = "\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "markdown").splitlines()
    return f"{int(chapter)}. {next(line for line in lines if line.startswith('# ')).removeprefix('# ')}"


def filter_box(rows: int) -> str:
    """Return the box that hides rows; without scripts it would do nothing, and stays hidden."""
    return (
        '<p class="gp-filter" hidden><label>Show rows with '
        '<input type="search" placeholder="words, such as: clipped W1"></label> '
        f"<output>{rows} rows</output></p>"
    )


def table(chapter: str, record: dict) -> str:
    """Return a chapter's measurements as a table."""
    rows = [measured(m | {"name": full_name(chapter, m["name"])}) for m in record["measurements"]]
    return html_table(MEASURED, rows, f"Measurements of chapter {int(chapter)}")


class Results(Directive):
    def run(self):
        found = {n: r for n, r in evidence.load_evidence(EVIDENCE).items() if r["measurements"] and n in chapters()}
        shown = [raw(filter_box(sum(len(r["measurements"]) for r in found.values())))]
        for number, record in found.items():
            there = raw(f"<p>{link(number, f'To chapter {int(number)}')}</p>")
            named = nodes.title("", html.unescape(title(number)))
            part = nodes.section("", named, there, raw(table(number, record)), ids=[f"chapter-{number}"])
            part["classes"].append("gp-results")
            shown.append(part)
        return shown


def setup(app) -> dict:
    app.add_directive("results", Results)
    return {"parallel_read_safe": True}
