// Compare the engine with numbers from PyTorch, and with itself:  node book/playground/test_engine.mjs COMMAND
// Prints JSON, which tests/unit/test_playground.py reads and judges.
//
//   golden             the largest relative error of every kernel, by what was computed
//   repeat             are two runs of one seed the same bit for bit, and are two seeds not?
//   modes SEEDS STEPS  modes of the 8 Gaussians covered, seed by seed
//   pulls              the largest error of the arrows against differences of the loss, loss by loss
//   thresholds         norms in a row, and what each kind of threshold leaves of them
//   distance           two samples of 40 points and their distance, several times
//   together           steps at which two runs of unlike speed are shown, round by round
//   centers            where the modes stand, and 2,000 samples of every distribution
//   speed STEPS        generator steps a second with the page's first settings, kernel by kernel

import { readFileSync } from "node:fs";
import { CENTERS, modesCovered, sampler } from "./data.js";
import { wasserstein } from "./distance.js";
import { clipWeights, criticGradients, game, generatorGradients, LOSSES, OPTIMIZERS, PENALTIES } from "./engine.js";
import { plainKernel, simdKernel } from "./kernel.js";
import { network } from "./network.js";
import { randomNumbers } from "./random.js";
import { createRounds } from "./rounds.js";
import { createSession } from "./session.js";
import { DEFAULTS } from "./settings.js";
import { createScaler } from "./thresholds.js";

const KERNELS = { float64: () => plainKernel("float64"), float32: () => plainKernel("float32"), simd: simdKernel };

// The largest difference, relative to the largest number: single elements may be sums that cancel.
function error(found, wanted) {
  const scale = Math.max(...wanted.map(Math.abs));
  const worst = Math.max(...wanted.map((number, i) => Math.abs(found[i] - number)));
  return found.length === wanted.length && Number.isFinite(worst) ? worst / scale : Infinity;
}

const sum = (a, b) => a.map((number, i) => number + b[i]);

function golden() {
  const { settings, activations } = JSON.parse(readFileSync(new URL("golden.json", import.meta.url)));
  const { batch, width, weight, clip, threshold, rate, steps } = settings;
  const errors = {};
  for (const [kernelName, makeKernel] of Object.entries(KERNELS)) {
    for (const [activation, { inputs, losses, penalties, steps: after }] of Object.entries(activations)) {
      const note = (what, found, wanted) => (errors[`${kernelName} ${activation} ${what}`] = error([...found], wanted));
      const build = (outputs, parameters) => {
        const net = network([2, width, width, outputs], activation, makeKernel());
        net.parameters.set(parameters);
        net.kernel.keep();
        return net;
      };
      const put = (net, numbers) => {
        const array = net.kernel.take(numbers.length);
        array.set(numbers);
        return array;
      };
      const judge = (critic, loss, constraint) => {
        critic.kernel.release();
        const [real, fake, eps] = [inputs.real, inputs.fake, inputs.eps].map((numbers) => put(critic, numbers));
        return criticGradients(critic, real, fake, eps, batch, { loss, constraint, weight });
      };

      for (const [loss, wanted] of Object.entries(losses)) {
        for (const constraint of ["none", "clip", ...Object.keys(penalties)]) {
          const critic = build(1, inputs.critic);
          const found = judge(critic, loss, constraint);
          const penalty = penalties[constraint];
          note(`${loss} ${constraint} loss`, [found.loss], [wanted.critic]);
          if (penalty) note(`${loss} ${constraint} penalty`, [found.penalty], [penalty.value]);
          const gradient = penalty ? sum(wanted.critic_gradient, penalty.gradient) : wanted.critic_gradient;
          note(`${loss} ${constraint} gradient`, critic.gradient, gradient);
        }
        // Both networks from one kernel, as in a game.
        const critic = build(1, inputs.critic);
        const generator = network([2, width, width, 2], activation, critic.kernel);
        generator.parameters.set(inputs.generator);
        const found = generatorGradients(generator, critic, put(critic, inputs.noise), batch, { loss });
        note(`${loss} generator loss`, [found.loss], [wanted.generator]);
        note(`${loss} generator gradient`, generator.gradient, wanted.generator_gradient);
      }

      for (const { constraint, optimizer, ...wanted } of after) {
        const critic = build(1, inputs.critic);
        const step = OPTIMIZERS[optimizer](critic);
        critic.kernel.keep();
        const scale = createScaler();
        const norms = [];
        for (let i = 0; i < steps; i++) {
          judge(critic, "non_saturating", constraint);
          norms.push(scale(critic.gradient, { scaling: "clip_norm", threshold }).before);
          step(rate);
          if (constraint === "clip") clipWeights(critic, clip);
        }
        note(`${optimizer} ${constraint} norms before scaling`, norms, wanted.norms);
        note(`${optimizer} ${constraint} parameters after ${steps} steps`, critic.parameters, wanted.parameters);
      }
    }
  }
  return { errors, losses: Object.keys(LOSSES), penalties: Object.keys(PENALTIES) };
}

function run(seed, steps, kernel, more = {}) {
  const settings = { ...DEFAULTS, seed, ...more };
  const play = game(settings, kernel);
  let last;
  for (let i = 0; i < steps; i++) last = play.step();
  return { play, last, settings };
}

function repeat() {
  const bits = (kernel, seed) => {
    const { play, last } = run(seed, 6, kernel, { constraint: "gp", threshold: 1 });
    return JSON.stringify([[...play.critic.parameters], [...play.generator.parameters], last]);
  };
  return Object.fromEntries(
    Object.entries(KERNELS).map(([name, make]) => [name, [bits(make(), 5) === bits(make(), 5), bits(make(), 5) === bits(make(), 6)]]),
  );
}

function modes(seeds, steps) {
  return Array.from({ length: seeds }, (_, seed) => {
    const { play, settings } = run(seed, steps, simdKernel());
    return modesCovered(settings.data, play.generated(2000)).covered;
  });
}

// Central differences of each sample's own loss, with a smooth activation.
function pulls() {
  const h = 1e-2;
  return Object.keys(LOSSES).map((loss) => {
    const { play, settings } = run(1, 20, plainKernel("float64"), { loss, activation: "tanh", batch: 16 });
    const samples = play.generated(10);
    const lossesAt = (points) => [...play.look(points, 10).values].map((score) => LOSSES[loss].generator(score)[0]);
    const moved = (axis, by) => samples.map((number, i) => number + (i % 2 === axis ? by : 0));
    const slopes = [0, 1].map((axis) => {
      const [after, before] = [lossesAt(moved(axis, h)), lossesAt(moved(axis, -h))];
      return after.map((value, i) => (value - before[i]) / (2 * h));
    });
    const wanted = [...samples].map((_, i) => -slopes[i % 2][Math.floor(i / 2)]);
    return [loss, error([...play.pulls(10, settings)], wanted)];
  });
}

// Gradients of two numbers: at first about 1 long, with one in seven much longer, and from the middle on about 5.
function thresholds() {
  const random = randomNumbers(4);
  const before = Array.from({ length: 120 }, (_, i) => {
    const norm = Math.exp(0.3 * random.normal()) * (i < 60 ? 1 : 5);
    return i % 7 === 3 ? 20 * norm : norm;
  });
  const after = (settings) => {
    const scale = createScaler();
    return before.map((norm) => {
      const gradient = [0.6 * norm, -0.8 * norm];
      return { ...scale(gradient, settings), gradient };
    });
  };
  const wanted = [
    { scaling: "clip_norm", threshold: 2 },
    { scaling: "clip_norm", threshold: 0 },
    ...[0, 10, 37, 100].map((percentile) => ({ scaling: "autoclip", percentile })),
    ...[1, 2.5].map((z) => ({ scaling: "zclip", z })),
  ];
  return { before, after: wanted.map((settings) => ({ ...settings, steps: after(settings) })) };
}

function distance() {
  const random = randomNumbers(9);
  return Array.from({ length: 5 }, (_, at) => {
    const [first, second] = [0, at].map((shift) => Array.from({ length: 80 }, () => shift + random.normal()));
    return { first, second, distance: wasserstein(first, second) };
  });
}

// One of them has sixteen times the work. In the middle it begins anew.
async function together() {
  const shown = [];
  const told = [];
  const runs = [16, 256].map((batch, at) => {
    const run = { settings: { ...DEFAULTS, batch, criticSteps: 1 } };
    run.view = { record: (snapshot) => (run.step = snapshot.step) };
    const receive = createSession((snapshot) => rounds.receive(run, snapshot), 5);
    run.runner = {
      send(message) {
        if (message.type === "until") told.push([at, message.step, ...runs.map((other) => other.step)]);
        receive(message);
      },
    };
    return run;
  });
  let finished;
  const end = new Promise((done) => (finished = done));
  const rounds = createRounds(() => {
    shown.push(runs.map((run) => run.step));
    if (shown.length === 8) rounds.start();
    // Two steps by hand.
    if (shown.length === 12) [rounds.once(), rounds.once()];
    if (shown.length === 14) finished();
  });
  rounds.start(runs);
  rounds.play(true);
  await end;
  return { shown, told };
}

function centers() {
  const samples = {};
  for (const data of [...Object.keys(CENTERS), "swiss_roll", "drawn"]) {
    const draw = sampler(data, [[0.5, -0.5], [-1, 1]], randomNumbers(3));
    samples[data] = Array.from({ length: 2000 }, draw);
  }
  return { centers: CENTERS, samples };
}

function speed(steps) {
  return Object.entries(KERNELS).map(([name, make]) => {
    const start = performance.now();
    run(0, steps, make());
    return [name, Math.round((10_000 * steps) / (performance.now() - start)) / 10];
  });
}

const [command, ...counts] = process.argv.slice(2);
const commands = { golden, repeat, modes, pulls, thresholds, distance, together, centers, speed };
console.log(JSON.stringify(await commands[command](...counts.map(Number))));
