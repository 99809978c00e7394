// What a run shows, read off every hundred steps: modes covered, the distance, the critic's slopes, the loss and the
// gradient's norm of the generator. `phases` are [[steps, what is changed before them], ...].

import { game } from "./engine.js";
import { simdKernel } from "./kernel.js";
import { distance, look } from "./session.js";

const EVERY = 100;
const three = (number) => Number(number.toPrecision(3));

export function watch(settings, phases) {
  const play = game(settings, simdKernel());
  const seen = [];
  let step = 0;
  for (const [steps, change] of phases) {
    settings = { ...settings, ...change };
    for (let i = 1; i <= steps; i++) {
      const measured = play.step(settings);
      step++;
      if (measured.diverged) return [...seen, { step, diverged: true }];
      if (i % EVERY) continue;
      const now = look(play, settings);
      const norms = [...now.norms].sort((a, b) => a - b);
      seen.push({
        step,
        modes: now.modes.covered,
        distance: three(distance(now)),
        middle: three(norms[norms.length >> 1]),
        steepest: three(norms.at(-1)),
        criticLoss: three(measured.critic.loss),
        generatorLoss: three(measured.generator.loss),
        generatorNorm: three(measured.generator.norm.before),
      });
    }
  }
  return seen;
}
