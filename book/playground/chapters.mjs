// What the small pages in the chapters show, seed by seed:  node book/playground/chapters.mjs [SEEDS [CHAPTER [STEPS]]]
// The sentences beside those pages were written from its output for ten seeds (eight in chapter 5). STEPS cuts each run
// short. Prints JSON.

import { DEFAULTS } from "./settings.js";
import { watch } from "./watch.mjs";

// Settings of the page as the chapter opens it; then runs, each a row of phases [steps, what is changed before them].
const CHAPTERS = {
  "01": [
    { constraint: "none", loss: "non_saturating", criticSteps: 1, lrCritic: 0.0003, batch: 64 },
    { "1 step": [[2000, {}]], "3 steps": [[2000, { criticSteps: 3 }]], "8 steps": [[2000, { criticSteps: 8 }]] },
  ],
  "03": [
    { constraint: "none", loss: "non_saturating", criticSteps: 3, lrCritic: 0.03, batch: 64 },
    {
      none: [[600, {}]],
      cure: [[200, {}], [600, { constraint: "r1" }]],
      "one critic step": [[200, {}], [600, { criticSteps: 1 }]],
      prevention: [[600, { constraint: "r1" }]],
    },
  ],
  "05": [
    { constraint: "clip", batch: 64 },
    Object.fromEntries([0.01, 0.1, 0.3, 1].map((clip) => [`c = ${clip}`, [[1500, { clip }]]])),
  ],
  "06": [
    { constraint: "gp", weight: 10, criticSteps: 3, batch: 64 },
    { switched: [[2000, {}], [400, { constraint: "gp_one_sided" }], [400, { constraint: "gp" }]] },
  ],
  "08": [
    { constraint: "r1_r2", weight: 10, criticSteps: 1, batch: 64 },
    {
      ...Object.fromEntries([1, 4, 16].map((every) => [`every ${every}`, [[800, { every }]]])),
      none: [[800, { constraint: "none" }]],
    },
  ],
  "12": [
    {
      ...{ optimizer: "sgd", lrCritic: 0.1, lrGenerator: 0.1, threshold: 1, constraint: "gp_one_sided", weight: 30 },
      ...{ criticSteps: 3, batch: 64 },
    },
    { "threshold off": [[400, {}], [400, { threshold: 0 }]], "smaller rate": [[400, { threshold: 0, lrCritic: 0.01 }]] },
  ],
};
const SCALINGS = { off: { threshold: 0 }, "threshold 1": {}, AutoClip: { scaling: "autoclip" }, ZClip: { scaling: "zclip" } };
const [opened12] = CHAPTERS["12"];
CHAPTERS["13"] = [
  { ...opened12, scaling: "autoclip" },
  Object.fromEntries(
    [0.01, 0.1].flatMap((lrCritic) =>
      Object.entries(SCALINGS).map(([name, change]) => [
        `${name}, ${lrCritic}`,
        [[400, { scaling: "clip_norm", ...change, lrCritic }]],
      ]),
    ),
  ),
];
const [seeds = 10, only, most = Infinity] = process.argv.slice(2);

function cut(phases) {
  let left = Number(most);
  return phases.map(([steps, change]) => {
    const taken = Math.min(steps, left);
    left -= taken;
    return [taken, change];
  });
}

for (const [chapter, [opened, runs]] of Object.entries(CHAPTERS)) {
  if (only && chapter !== only) continue;
  for (const [name, phases] of Object.entries(runs)) {
    for (let seed = 0; seed < seeds; seed++) {
      const seen = watch({ ...DEFAULTS, ...opened, seed }, cut(phases));
      console.log(JSON.stringify({ chapter, opened, name, seed, seen }));
    }
  }
}
