// What the living page's presets show, seed by seed:  node book/playground/presets.mjs [SEEDS [STEPS [NAME]]]
// Each preset's sentence in settings.js was written from its output. Prints JSON.

import { DEFAULTS, PRESETS } from "./settings.js";
import { watch } from "./watch.mjs";

const [seeds = 10, steps = 5000, only] = process.argv.slice(2);
for (const { name, settings } of PRESETS) {
  if (only && name !== only) continue;
  for (let seed = 0; seed < seeds; seed++) {
    console.log(JSON.stringify({ name, seed, seen: watch({ ...DEFAULTS, ...settings, seed }, [[Number(steps), {}]]) }));
  }
}
