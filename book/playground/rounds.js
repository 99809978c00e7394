// Runs go in rounds: each is told the step to go on to, and none is told the next one before all have answered. Two runs
// that are compared are therefore always seen at the same step.

// Milliseconds of steps in a round, about; more where a machine is busy, so that most of its time goes into steps.
const ROUND = { least: 90, most: 500 };

// `runs` are [{ settings, view, runner }]; onRound() is called when all have answered and their views are up to date.
export function createRounds(onRound) {
  let runs = [];
  let turn = 0;
  let target = 0;
  let stride = 1;
  let waiting = false;
  let playing = false;
  let owed = 0;
  let pace = 0;
  let timer = null;
  let sent = 0;
  let clock = null;

  // All of them, from the first step.
  function start(wanted = runs) {
    runs = wanted;
    turn++;
    [target, stride, owed, waiting] = [0, 1, 0, true];
    clock = { since: performance.now(), steps: 0, rate: 0 };
    clearTimeout(timer);
    // First all of this: on the page itself a run answers at once.
    for (const run of runs) [run.answer, run.diverged] = [null, false];
    for (const run of runs) run.runner.send({ type: "start", settings: run.settings, turn });
  }

  function receive(run, snapshot) {
    // On its way while the run began anew.
    if (snapshot.turn !== turn) return;
    [run.answer, run.diverged] = [snapshot, snapshot.diverged];
    if (runs.some((other) => !other.answer && !other.diverged)) return;
    waiting = false;
    if (target) measure(Math.max(...runs.map((other) => other.answer?.worked ?? 0)));
    for (const other of runs) {
      if (other.answer) other.view.record(other.answer);
      other.answer = null;
    }
    onRound();
    next();
  }

  function measure(worked) {
    const now = performance.now();
    clock.steps += stride;
    const time = now - clock.since;
    if (time > 500) clock = { since: now, steps: 0, rate: (1000 * clock.steps) / time };
    const wanted = Math.min(Math.max(ROUND.least, 2 * (now - sent - worked)), ROUND.most);
    stride = Math.max(1, Math.min(Math.round((stride * wanted) / worked), 2 * stride));
  }

  function next() {
    clearTimeout(timer);
    if (playing && pace) timer = setTimeout(go, 1000 / pace);
    else go();
  }

  function go() {
    if (waiting || runs.every((run) => run.diverged) || !(playing || owed)) return;
    if (!playing || pace) stride = playing ? 1 : owed;
    owed = 0;
    target += stride;
    waiting = true;
    sent = performance.now();
    for (const run of runs) if (!run.diverged) run.runner.send({ type: "until", step: target });
  }

  return {
    start,
    receive,
    play(on) {
      if (on && clock && !playing) clock = { ...clock, since: performance.now(), steps: 0 };
      playing = on;
      next();
    },
    once() {
      playing = false;
      owed++;
      next();
    },
    pace(wanted) {
      pace = wanted;
      next();
    },
    // Steps per second, or 0 while it is not known.
    rate: () => clock?.rate ?? 0,
  };
}
