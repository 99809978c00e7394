// Print the still image that stands in the place of the living page where JavaScript does not run:
//
//   node book/playground/poster.mjs > book/figures/live.svg
//
// It is the page's own picture of its first settings, after STEPS steps.

import { contour, levels } from "./contours.js";
import { game } from "./engine.js";
import { bestKernel } from "./kernel.js";
import { GRID, look, REACH } from "./session.js";
import { DEFAULTS } from "./settings.js";

const STEPS = 1000;
const SIZE = 400;

const play = game(DEFAULTS, bestKernel());
for (let i = 0; i < STEPS; i++) play.step();
const { values, real, generated, modes } = look(play, DEFAULTS);

const cell = SIZE / (GRID - 1);
const at = (x) => String(Math.round(10 * x) / 10);
const lines = levels(values, 9)
  .flatMap((level) => contour(values, GRID, level))
  .map(([x1, y1, x2, y2]) => `M${at(x1 * cell)} ${at(y1 * cell)}L${at(x2 * cell)} ${at(y2 * cell)}`);
const dots = (samples) =>
  Array.from({ length: samples.length / 2 }, (_, i) => {
    const [x, y] = [samples[2 * i], samples[2 * i + 1]];
    return `M${at(((x / REACH + 1) / 2) * SIZE)} ${at(((1 - y / REACH) / 2) * SIZE)}h0`;
  }).join("");

const says =
  `Samples of a generator after ${STEPS} steps (dots) lie on a ring through eight real Gaussians (large dots); ` +
  `${modes.covered} of ${modes.of} modes are covered. Level lines of the critic's value surround each Gaussian.`;
console.log(
  `<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="${says}" viewBox="0 0 ${SIZE} ${SIZE}" ` +
    `style="width:100%;max-width:420px;height:auto;fill:none;stroke-linecap:round">\n` +
    `<path style="stroke:var(--gp-critic, #00785a);stroke-width:.8;opacity:.6" d="${lines.join("")}"/>\n` +
    `<path style="stroke:var(--gp-real, #0072b2);stroke-width:11" d="${dots(real.slice(0, 400))}"/>\n` +
    `<path style="stroke:var(--gp-generated, #c05400);stroke-width:3.4;opacity:.85" d="${dots(generated)}"/>\n</svg>`,
);
