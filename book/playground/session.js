// A run that answers to messages: the same in a worker and, where there is none, on the page itself.
//
// In:  { type: "start", settings, turn }, { type: "change", settings }, { type: "until", step }: go on to that step,
//      { type: "awake", awake }.
// Out: one snapshot after a start and one whenever such a step is reached, with the turn of the start that they follow
//      and the milliseconds that its steps took.

import { modesCovered } from "./data.js";
import { wasserstein } from "./distance.js";
import { game } from "./engine.js";
import { bestKernel } from "./kernel.js";

// The stretch of the plane that is looked at, [-REACH, REACH] both ways, and the grid laid over it.
export const REACH = 2.2;
export const GRID = 41;
const SHOWN = 600;
const ARROWS = 150;
// The distance is that of the first PAIRS samples, and is measured anew after so many steps.
const PAIRS = 200;
const EVERY = 50;

const points = new Float32Array(2 * GRID * GRID);
for (let row = 0; row < GRID; row++) {
  for (let column = 0; column < GRID; column++) {
    const at = 2 * (row * GRID + column);
    points[at] = REACH * ((2 * column) / (GRID - 1) - 1);
    points[at + 1] = REACH * (1 - (2 * row) / (GRID - 1));
  }
}

// What the page draws: samples, where the loss sends the first of them, the critic's value and the norm of its input
// gradient on the grid.
export function look(play, settings) {
  const generated = play.generated(SHOWN);
  const modes = modesCovered(settings.data, generated);
  return { generated, real: play.real(SHOWN, settings), arrows: play.pulls(ARROWS, settings), modes, ...play.look(points, GRID * GRID) };
}

// W1 between generated and real samples, or null where they are no numbers.
export function distance({ generated, real }) {
  return generated.every(Number.isFinite) ? wasserstein(generated.subarray(0, 2 * PAIRS), real.subarray(0, 2 * PAIRS)) : null;
}

// It works for `slice` milliseconds at a time.
export function createSession(post, slice) {
  const kernel = bestKernel();
  let settings = null;
  let turn = 0;
  let play = null;
  let step = 0;
  let until = 0;
  let rows = [];
  let worked = 0;
  let diverged = false;
  let awake = true;
  let timer = null;
  let measured = { step: 0, distance: null };

  function once() {
    const { critic, generator, ...result } = play.step(settings);
    diverged = result.diverged;
    if (diverged) return;
    step++;
    rows.push([
      step, critic.loss, critic.penalty, generator.loss,
      critic.norm.before, critic.norm.after, generator.norm.before, generator.norm.after,
    ]);
  }

  function answer() {
    const seen = look(play, settings);
    if (!step || step - measured.step >= EVERY) measured = { step, distance: distance(seen) };
    post({ turn, step, worked, kernel: kernel.name, diverged, rows, distance: measured.distance, ...seen });
    [rows, worked] = [[], 0];
  }

  function work() {
    timer = null;
    if (!awake) return;
    const begun = performance.now();
    do once();
    while (!diverged && step < until && performance.now() < begun + slice);
    worked += performance.now() - begun;
    if (diverged || step >= until) answer();
    plan();
  }

  function plan() {
    if (timer === null && awake && !diverged && step < until) timer = setTimeout(work, 0);
  }

  const answers = {
    start(message) {
      ({ settings, turn } = message);
      kernel.reset();
      play = game(settings, kernel);
      [step, until, rows, worked, diverged] = [0, 0, [], 0, false];
      clearTimeout(timer);
      timer = null;
      answer();
    },
    change(message) {
      settings = message.settings;
    },
    until(message) {
      until = message.step;
    },
    awake(message) {
      awake = message.awake;
    },
  };

  return (message) => {
    answers[message.type](message);
    plan();
  };
}
