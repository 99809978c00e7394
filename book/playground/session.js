// A run that answers to messages: the same in a worker and, where there is none, on the page itself.
//
// In:  { type: "start", settings, turn }, { type: "change", settings }, { type: "play" }, { type: "pause" },
//      { type: "once" }, { type: "pace", pace } (steps a second; 0 is as fast as it goes), { type: "awake", awake }.
// Out: snapshots, with the turn of the start that they follow, at most one every PERIOD milliseconds while it runs.

import { modesFound } from "./data.js";
import { game } from "./engine.js";
import { bestKernel } from "./kernel.js";

// The stretch of the plane that is looked at, [-REACH, REACH] both ways, and the grid laid over it.
export const REACH = 2.2;
export const GRID = 41;
const SHOWN = 600;

const points = new Float32Array(2 * GRID * GRID);
for (let row = 0; row < GRID; row++) {
  for (let column = 0; column < GRID; column++) {
    const at = 2 * (row * GRID + column);
    points[at] = REACH * ((2 * column) / (GRID - 1) - 1);
    points[at + 1] = REACH * (1 - (2 * row) / (GRID - 1));
  }
}

// What the page draws: samples, the critic's value and the norm of its input gradient on the grid.
export function look(play, settings) {
  const generated = play.generated(SHOWN);
  const { values, norms } = play.look(points, GRID * GRID);
  return { generated, real: play.real(SHOWN, settings), values, norms, modes: modesFound(settings.data, generated) };
}

export function createSession(post, { slice, period }) {
  const kernel = bestKernel();
  let settings = null;
  let turn = 0;
  let play = null;
  let step = 0;
  let rows = [];
  let state = { playing: false, awake: true, diverged: false };
  let pace = 0;
  let timer = null;
  let posted = 0;
  let clock = { since: 0, steps: 0, rate: 0 };

  function once() {
    const { critic, generator, diverged } = play.step(settings);
    state.diverged = diverged;
    if (diverged) {
      state.playing = false;
      return;
    }
    step++;
    clock.steps++;
    rows.push([
      step, critic.loss, critic.penalty, generator.loss,
      critic.norm.before, critic.norm.after, generator.norm.before, generator.norm.after,
    ]);
  }

  function snapshot() {
    const now = performance.now();
    if (now - clock.since > 500) clock = { since: now, steps: 0, rate: (1000 * clock.steps) / (now - clock.since) };
    posted = now;
    const { playing, diverged } = state;
    post({ turn, step, rate: clock.rate, kernel: kernel.name, playing, diverged, rows, ...look(play, settings) });
    rows = [];
  }

  function work() {
    timer = null;
    if (!state.playing || !state.awake) return;
    const end = performance.now() + slice;
    do once();
    while (!pace && state.playing && performance.now() < end);
    if (pace || !state.playing || performance.now() - posted > period) snapshot();
    plan();
  }

  function plan() {
    if (timer === null && state.playing && state.awake) timer = setTimeout(work, pace ? 1000 / pace : 0);
  }

  const answers = {
    start(message) {
      ({ settings, turn } = message);
      kernel.reset();
      play = game(settings, kernel);
      [step, rows] = [0, []];
      state.diverged = false;
      clock = { since: performance.now(), steps: 0, rate: 0 };
      snapshot();
    },
    change(message) {
      settings = message.settings;
    },
    play() {
      state.playing = !state.diverged;
      clock = { since: performance.now(), steps: 0, rate: clock.rate };
    },
    pause() {
      state.playing = false;
      snapshot();
    },
    once() {
      state.playing = false;
      if (!state.diverged) once();
      snapshot();
    },
    pace(message) {
      pace = message.pace;
      clearTimeout(timer);
      timer = null;
    },
    awake(message) {
      state.awake = message.awake;
    },
  };

  return (message) => {
    answers[message.type](message);
    plan();
  };
}
