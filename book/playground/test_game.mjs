// What a game and a session do, watched from outside:  node book/playground/test_game.mjs
// Prints JSON, which tests/unit/book/test_playground_game.py judges.

import { game, generatorGradients, OPTIMIZERS } from "./engine.js";
import { bestKernel, plainKernel } from "./kernel.js";
import { createSession, look } from "./session.js";
import { DEFAULTS } from "./settings.js";

const SMALL = { ...DEFAULTS, width: 8, batch: 8 };
const EXPLODING = { optimizer: "sgd", weight: 10, lrCritic: 0.1, lrGenerator: 0.1, criticSteps: 1 };
const start = (more = {}, kernel = plainKernel("float64")) => game({ ...SMALL, ...more }, kernel);
const copied = (net) => [...net.parameters];
const largest = (net) => Math.max(...copied(net).map(Math.abs));

// Whose turn it is and at which rate, in the order of the updates: a network is told by how many numbers it gives.
function updates() {
  const made = [];
  OPTIMIZERS.watched = (net) => (rate) => made.push([net.sizes.at(-1) === 1 ? "critic" : "generator", rate]);
  const settings = { ...SMALL, optimizer: "watched", criticSteps: 3, lrCritic: 0.5, lrGenerator: 0.25 };
  const play = game(settings, plainKernel());
  play.step();
  play.step({ ...settings, criticSteps: 1, lrCritic: 0.125, lrGenerator: 2 });
  return made;
}

// With plain gradient steps: what an update moved, for one and for twice the rate.
function moved() {
  const by = (more) => {
    const play = start({ optimizer: "sgd", constraint: "none", criticSteps: 1, lrCritic: 0, lrGenerator: 0, ...more });
    const before = [copied(play.critic), copied(play.generator)];
    play.step();
    return [play.critic, play.generator].map((net, i) => copied(net).map((number, j) => number - before[i][j]));
  };
  const play = start({ optimizer: "sgd", constraint: "none", criticSteps: 1, lrCritic: 0, lrGenerator: 0 });
  play.step();
  return {
    nothing: by({}),
    critic: by({ lrCritic: 0.5 }),
    twice: by({ lrCritic: 1 }),
    generator: by({ lrGenerator: 0.5 }),
    gradient: [...play.generator.gradient],
  };
}

function clipped() {
  const play = start({ constraint: "clip", clip: 0.03, lrCritic: 0.1, optimizer: "sgd" });
  const seen = [largest(play.critic)];
  for (let i = 0; i < 3; i++) {
    play.step();
    seen.push(largest(play.critic));
  }
  return { critic: seen, generator: largest(play.generator) };
}

function scaled() {
  const norms = ({ critic, generator }) => ({ critic: critic.norm, generator: generator.norm });
  return { off: norms(start().step()), on: norms(start({ threshold: 0.001 }).step()) };
}

// A lazy penalty, and the same by hand: three times the weight at every third critic step, and no penalty at the others.
function lazy() {
  const bits = (settings) => {
    const play = start({ constraint: "r1_r2", criticSteps: 1 });
    const penalties = Array.from({ length: 7 }, (_, i) => play.step({ ...SMALL, constraint: "r1_r2", criticSteps: 1, ...settings(i) }).critic.penalty);
    return { penalties, all: JSON.stringify([copied(play.critic), copied(play.generator)]) };
  };
  const asked = bits(() => ({ weight: 5, every: 3 }));
  const byHand = bits((i) => (i % 3 ? { constraint: "none" } : { weight: 15 }));
  const always = bits(() => ({ weight: 5 }));
  return { same: asked.all === byHand.all, other: asked.all === always.all, asked: asked.penalties, byHand: byHand.penalties };
}

// Critic steps count on over the rounds: with two in each, the third of six is the first of the second round.
function lazyOverRounds() {
  const penalties = (rounds, more) => {
    const play = start({ optimizer: "sgd", lrCritic: 0, lrGenerator: 0, constraint: "r1", ...more });
    return Array.from({ length: rounds }, () => play.step().critic.penalty);
  };
  return { lazy: penalties(6, { criticSteps: 2, every: 4 }), each: penalties(12, { criticSteps: 1 }) };
}

// The threshold of each network follows its own norms, and another kind of threshold begins anew.
function adaptive() {
  const settings = { scaling: "autoclip", percentile: 0, criticSteps: 1 };
  const play = start(settings);
  const steps = Array.from({ length: 6 }, () => play.step());
  const norms = (name, when) => steps.map((step) => step[name].norm[when]);
  const both = Object.fromEntries(["critic", "generator"].map((name) => [name, { before: norms(name, "before"), after: norms(name, "after") }]));
  const fixed = play.step({ ...SMALL, ...settings, scaling: "clip_norm", threshold: 0 }).critic.norm;
  const anew = play.step({ ...SMALL, ...settings }).critic.norm;
  return { ...both, fixed, anew };
}

// Is a run that is looked at between its steps the run that is not?
function lookedAt() {
  const bits = (watch) => {
    const play = start();
    const seen = [];
    for (let i = 0; i < 4; i++) {
      seen.push(play.step());
      watch(play);
    }
    return JSON.stringify([copied(play.critic), copied(play.generator), seen]);
  };
  return bits(() => {}) === bits((play) => look(play, SMALL));
}

// The same twice: samples are drawn from the same noise each time.
function shownTwice() {
  const play = start();
  const twice = (what) => JSON.stringify([...what()]) === JSON.stringify([...what()]);
  return twice(() => play.generated(20)) && twice(() => play.real(20));
}

function diverging() {
  const play = start({ ...EXPLODING, batch: 32 });
  for (let step = 1; step < 200; step++) {
    const before = copied(play.critic);
    const { diverged, generator } = play.step();
    if (!diverged) continue;
    const kept = JSON.stringify(copied(play.critic)) === JSON.stringify(before);
    const finite = [play.critic, play.generator].map((net) => Number.isFinite(largest(net)));
    return { step, kept: kept || generator !== null, finite };
  }
  return null;
}

// The penalty is a number, its gradient is not: the critic must not take the step.
function divergingCritic() {
  const play = start({ optimizer: "sgd", weight: 1e200, criticSteps: 1, lrCritic: 1 });
  const before = JSON.stringify(copied(play.critic));
  const { critic, generator, diverged } = play.step();
  return { critic: critic.diverged, generator, diverged, kept: JSON.stringify(copied(play.critic)) === before };
}

// The critic's step is so long that the generator's loss overflows in the same step.
function divergingGenerator() {
  const play = start({ optimizer: "sgd", constraint: "none", criticSteps: 1, lrCritic: 1e200 });
  const before = JSON.stringify(copied(play.generator));
  const { critic, diverged } = play.step();
  return { critic: critic.diverged, diverged, kept: JSON.stringify(copied(play.generator)) === before };
}

// Parameters at the start: of one seed with other data, of other seeds, of both networks' first layers.
function started() {
  const first = (more) => {
    const play = start(more);
    return { critic: copied(play.critic), generator: copied(play.generator) };
  };
  return { one: first({ seed: 3 }), data: first({ seed: 3, data: "swiss_roll" }), other: first({ seed: 4 }) };
}

// How many numbers stand in the scratch memory at most, step by step.
function memory() {
  const kernel = plainKernel();
  let [now, most] = [0, 0];
  const watched = {
    ...kernel,
    take(length) {
      now += length;
      most = Math.max(most, now);
      return kernel.take(length);
    },
    release() {
      now = 0;
      kernel.release();
    },
  };
  const play = start({}, watched);
  return Array.from({ length: 6 }, () => {
    most = 0;
    play.step();
    return most;
  });
}

// The generator's gradient of one batch, taken twice: nothing of the first may be left.
function again() {
  const kernel = plainKernel("float64");
  const play = start({}, kernel);
  const noise = kernel.take(16).fill(0.5);
  return [0, 1].map(() => {
    generatorGradients(play.generator, play.critic, noise, 8, SMALL);
    return [...play.generator.gradient];
  });
}

// A session on a clock and with timers of our own: every look at the clock takes a millisecond.
let time = 0;
let timers = [];
globalThis.performance = { now: () => (time += 1) };
globalThis.setTimeout = (work) => timers.push(work);
globalThis.clearTimeout = () => (timers = []);

function session(more = {}) {
  const posted = [];
  [time, timers] = [0, []];
  const settings = { ...SMALL, ...more };
  const send = createSession(({ generated, real, values, norms, arrows, kernel, modes, ...said }) => posted.push(said), 4);
  // Let timers ring until none waits, at most `times`; how many rang.
  const ring = (times = 100) => {
    let rang = 0;
    while (timers.length && rang < times) {
      timers.shift()();
      rang++;
    }
    return rang;
  };
  send({ type: "start", settings, turn: 7 });
  return { send, ring, posted, settings };
}

const rowsOf = (posted) => posted.flatMap(({ rows }) => rows);

// What a game alone measures; from `change` on with other settings.
function alone(steps, change, other) {
  const play = start({}, bestKernel());
  return Array.from({ length: steps }, (_, i) => {
    const { critic: c, generator: g } = play.step(i < change ? SMALL : { ...SMALL, ...other });
    return [i + 1, c.loss, c.penalty, g.loss, c.norm.before, c.norm.after, g.norm.before, g.norm.after];
  });
}

function answered() {
  const { send, ring, posted, settings } = session();
  const other = { threshold: 0.01, criticSteps: 2 };
  send({ type: "until", step: 12 });
  const rang = ring();
  send({ type: "change", settings: { ...settings, ...other } });
  send({ type: "until", step: 15 });
  ring();
  send({ type: "until", step: 11 });
  const idle = timers.length;
  return { posted, rang, idle, rows: rowsOf(posted), alone: alone(15, 12, other) };
}

function sleeping() {
  const { send, ring, posted } = session();
  send({ type: "until", step: 30 });
  ring(1);
  send({ type: "awake", awake: false });
  ring();
  const [asleep, waiting] = [posted.length, timers.length];
  send({ type: "awake", awake: true });
  ring();
  return { asleep, waiting, end: posted.at(-1).step, rows: rowsOf(posted).length };
}

// The distance is measured at the start and after every fifty steps.
function distances() {
  const { send, ring, posted } = session({ lrGenerator: 0.1 });
  for (const step of [20, 50, 60]) {
    send({ type: "until", step });
    ring();
  }
  return posted.map(({ distance }) => distance);
}

function stopped() {
  const { send, ring, posted, settings } = session({ ...EXPLODING, batch: 32 });
  send({ type: "until", step: 200 });
  ring(300);
  const end = posted.at(-1);
  send({ type: "until", step: 400 });
  const waiting = timers.length;
  send({ type: "start", settings, turn: 8 });
  const anew = posted.at(-1);
  send({ type: "until", step: 2 });
  ring();
  return { end, waiting, anew, after: posted.at(-1).step, posts: posted.length };
}

// A loss that is not finite ends a run for good, even where the next step could be taken: here the penalty of weight 1e60 overflows.
function goneForGood() {
  const { send, ring, posted, settings } = session({ weight: 1e60 });
  send({ type: "until", step: 5 });
  ring();
  send({ type: "change", settings: { ...settings, weight: 1 } });
  send({ type: "until", step: 6 });
  ring();
  const { step, diverged } = posted.at(-1);
  return { step, diverged, posts: posted.length };
}

// Starting again and again does not use the memory up.
function startedOften() {
  const { send, posted, settings } = session({ width: 256 });
  for (let turn = 0; turn < 20; turn++) send({ type: "start", settings, turn });
  return posted.length;
}

const whole = { updates, moved, clipped, scaled, lazy, lazyOverRounds, adaptive, lookedAt, shownTwice, started, memory, again };
const seen = { ...whole, diverging, divergingCritic, divergingGenerator };
const asked = { ...seen, answered, sleeping, distances, stopped, goneForGood, startedOften };
const answers = Object.entries(asked).map(([name, answer]) => [name, answer()]);
console.log(JSON.stringify(Object.fromEntries(answers)));
