// The game: losses, constraints, Adam, and one step of both players.

import { sampler } from "./data.js";
import { adjoints, backward, doubleBackward, forward, initialise, inputNorms, network } from "./network.js";
import { randomNumbers } from "./random.js";
import { createScaler } from "./thresholds.js";

const softplus = (x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
const sigmoid = (x) => (x >= 0 ? 1 / (1 + Math.exp(-x)) : 1 - 1 / (1 + Math.exp(x)));

// What one score s adds to the mean: [value, slope], for the critic on a real and on a generated sample, and for the
// generator. As in gpcore.losses.
const crossEntropy = { real: (s) => [softplus(-s), -sigmoid(-s)], fake: (s) => [softplus(s), sigmoid(s)] };
export const LOSSES = {
  wasserstein: { real: (s) => [-s, -1], fake: (s) => [s, 1], generator: (s) => [-s, -1] },
  non_saturating: { ...crossEntropy, generator: (s) => [softplus(-s), -sigmoid(-s)] },
  minimax: { ...crossEntropy, generator: (s) => [-softplus(s), -sigmoid(s)] },
  least_squares: {
    real: (s) => [(s - 1) ** 2 / 2, s - 1],
    fake: (s) => [s ** 2 / 2, s],
    generator: (s) => [(s - 1) ** 2 / 2, s - 1],
  },
};

// weight * factor * excess(norm)^2; excess has the slope 1 wherever it is not 0.
export const PENALTIES = {
  gp: { at: "interpolates", factor: 1, excess: (norm) => norm - 1 },
  gp_one_sided: { at: "interpolates", factor: 1, excess: (norm) => Math.max(norm - 1, 0) },
  gp_zero: { at: "interpolates", factor: 1, excess: (norm) => norm },
  r1: { at: "real", factor: 1 / 2, excess: (norm) => norm },
  r1_r2: { at: "real and generated", factor: 1 / 2, excess: (norm) => norm },
};

// Of the rows real, generated and, where they are wanted, interpolates, n of each: those that the norm is taken at, and
// the others that the loss wants.
const ROWS = {
  interpolates: (n) => [{ start: 2 * n, n }, { start: 0, n: 2 * n }],
  real: (n) => [{ start: 0, n }, { start: n, n }],
  "real and generated": (n) => [{ start: 0, n: 2 * n }, { start: 2 * n, n: 0 }],
};

// Fill the critic's gradient with that of loss and penalty. `real` and `fake` are n rows, `eps` one number a row: the
// interpolates are eps * real + (1 - eps) * fake.
export function criticGradients(critic, real, fake, eps, n, { loss, constraint, weight }) {
  const { kernel } = critic;
  const penalty = PENALTIES[constraint];
  const between = penalty?.at === "interpolates";
  const width = critic.sizes[0];
  const rows = between ? 3 * n : 2 * n;
  const x = kernel.take(rows * width);
  x.set(real);
  x.set(fake, n * width);
  if (between) {
    for (let i = 0; i < n * width; i++) {
      const share = eps[Math.floor(i / width)];
      x[2 * n * width + i] = share * real[i] + (1 - share) * fake[i];
    }
  }
  const a = forward(critic, x, rows);
  const scores = a[critic.layers];
  const r = kernel.take(2 * n);
  let mean = 0;
  for (let i = 0; i < 2 * n; i++) {
    const [value, slope] = LOSSES[loss][i < n ? "real" : "fake"](scores[i]);
    mean += value / n;
    r[i] = slope / n;
  }
  critic.gradient.fill(0);
  if (!penalty) {
    backward(critic, a, r, 2 * n);
    return { loss: mean, penalty: 0 };
  }
  const [points, others] = ROWS[penalty.at](n);
  const scale = (weight * penalty.factor) / n;
  const norms = doubleBackward(critic, a, r, points, others, (norm) => 2 * scale * penalty.excess(norm));
  return { loss: mean, penalty: norms.reduce((sum, norm) => sum + scale * penalty.excess(norm) ** 2, 0) };
}

// Fill the generator's gradient; the critic's weights stay out of it.
export function generatorGradients(generator, critic, noise, n, { loss }) {
  const a = forward(generator, noise, n);
  const judged = forward(critic, a[generator.layers], n);
  const r = critic.kernel.take(n);
  let mean = 0;
  for (let i = 0; i < n; i++) {
    const [value, slope] = LOSSES[loss].generator(judged[critic.layers][i]);
    mean += value / n;
    r[i] = slope / n;
  }
  // The critic's own gradient is written over at its next step.
  const g = backward(critic, judged, r, n, true);
  generator.gradient.fill(0);
  backward(generator, a, g, n);
  return { loss: mean };
}

export function clipWeights(net, clip) {
  const { parameters } = net;
  for (let i = 0; i < parameters.length; i++) parameters[i] = Math.min(Math.max(parameters[i], -clip), clip);
}

// Adam (Kingma and Ba 2015) with the book's betas; returns the step.
export function adam(net, beta1 = 0.5, beta2 = 0.9, tiny = 1e-8) {
  const { parameters, gradient } = net;
  const mean = net.kernel.take(parameters.length);
  const square = net.kernel.take(parameters.length);
  let t = 0;
  return (rate) => {
    t++;
    const unbias1 = 1 - beta1 ** t;
    const unbias2 = 1 - beta2 ** t;
    for (let i = 0; i < parameters.length; i++) {
      mean[i] = beta1 * mean[i] + (1 - beta1) * gradient[i];
      square[i] = beta2 * square[i] + (1 - beta2) * gradient[i] ** 2;
      parameters[i] -= (rate * (mean[i] / unbias1)) / (Math.sqrt(square[i] / unbias2) + tiny);
    }
  };
}

const sgd = ({ parameters, gradient }) => (rate) => {
  for (let i = 0; i < parameters.length; i++) parameters[i] -= rate * gradient[i];
};
export const OPTIMIZERS = { adam, sgd };

// One run. step() makes `criticSteps` steps of the critic and one of the generator and returns what was measured;
// settings that do not shape the networks may be changed between two steps.
export function game(settings, kernel) {
  const { width, activation, seed, batch, optimizer } = settings;
  // Streams of their own: choosing other data does not change the initial weights.
  const [weights, noise, reals] = [0, 1, 2].map((stream) => randomNumbers(3 * seed + stream));
  const critic = network([2, width, width, 1], activation, kernel);
  const generator = network([2, width, width, 2], activation, kernel);
  initialise(critic, weights);
  initialise(generator, weights);
  const steps = { critic: OPTIMIZERS[optimizer](critic), generator: OPTIMIZERS[optimizer](generator) };
  const scale = { critic: createScaler(), generator: createScaler() };
  if (settings.constraint === "clip") clipWeights(critic, settings.clip);
  kernel.keep();

  const fill = (array, number) => {
    for (let i = 0; i < array.length; i++) array[i] = number();
    return array;
  };
  const drawNoise = (n, random) => fill(kernel.take(2 * n), random.normal);
  function drawReal(n, { data, points }, random) {
    const draw = sampler(data, points, random);
    const rows = kernel.take(2 * n);
    for (let i = 0; i < n; i++) rows.set(draw(), 2 * i);
    return rows;
  }

  // The critic's steps so far, and the penalty where it was last taken.
  let turn = 0;
  let penalty = 0;

  function criticStep(now) {
    kernel.release();
    const fake = forward(generator, drawNoise(batch, noise), batch)[generator.layers];
    const eps = fill(kernel.take(batch), noise.uniform);
    // A lazy penalty is taken at every k-th step, with k times its weight.
    const due = turn++ % now.every === 0;
    const wanted = due ? { ...now, weight: now.every * now.weight } : { ...now, constraint: "none" };
    const found = criticGradients(critic, drawReal(batch, now, reals), fake, eps, batch, wanted);
    if (due) penalty = found.penalty / now.every;
    const measured = { loss: found.loss, penalty };
    const norm = scale.critic(critic.gradient, now);
    if (!Number.isFinite(measured.loss + measured.penalty + norm.before)) return { ...measured, norm, diverged: true };
    steps.critic(now.lrCritic);
    if (now.constraint === "clip") clipWeights(critic, now.clip);
    return { ...measured, norm, diverged: false };
  }

  function generatorStep(now) {
    kernel.release();
    const measured = generatorGradients(generator, critic, drawNoise(batch, noise), batch, now);
    const norm = scale.generator(generator.gradient, now);
    if (!Number.isFinite(measured.loss + norm.before)) return { ...measured, norm, diverged: true };
    steps.generator(now.lrGenerator);
    return { ...measured, norm, diverged: false };
  }

  return {
    critic,
    generator,
    step(now = settings) {
      let ofCritic;
      for (let i = 0; i < now.criticSteps; i++) {
        ofCritic = criticStep(now);
        if (ofCritic.diverged) return { critic: ofCritic, generator: null, diverged: true };
      }
      const ofGenerator = generatorStep(now);
      return { critic: ofCritic, generator: ofGenerator, diverged: ofGenerator.diverged };
    },
    // Generated samples from the same noise each time, so that the eye can follow them.
    generated(n) {
      kernel.release();
      return Float32Array.from(forward(generator, drawNoise(n, randomNumbers(77)), n)[generator.layers]);
    },
    real(n, now = settings) {
      kernel.release();
      return Float32Array.from(drawReal(n, now, randomNumbers(78)));
    },
    // Where the loss sends the first n of these: minus the gradient of each one's own loss with respect to its place.
    pulls(n, { loss } = settings) {
      kernel.release();
      const samples = forward(generator, drawNoise(n, randomNumbers(77)), n)[generator.layers];
      const a = forward(critic, samples, n);
      const r = kernel.take(n);
      r.set(a[critic.layers].map((score) => LOSSES[loss].generator(score)[1]));
      return Float32Array.from(adjoints(critic, a, r, n, true).g, (slope) => -slope);
    },
    // The critic's value and the norm of its input gradient at n points.
    look(points, n) {
      kernel.release();
      const x = kernel.take(2 * n);
      x.set(points);
      const a = forward(critic, x, n);
      return { values: Float32Array.from(a[critic.layers]), norms: Float32Array.from(inputNorms(critic, a, n)) };
    },
  };
}
