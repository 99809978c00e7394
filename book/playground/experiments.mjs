// What the experiments of the living page show, seed by seed:  node book/playground/experiments.mjs [SEEDS [STEPS [NUMBER]]]
// They are the links in book/live.md, each with two runs; its sentences were written from this output. Prints JSON.

import { readFileSync } from "node:fs";
import { decode } from "./link.js";
import { watch } from "./watch.mjs";

const [seeds = 10, steps = 2000, only] = process.argv.slice(2);
const text = readFileSync(new URL("../live.md", import.meta.url), "utf8");
const links = [...text.matchAll(/<a href="(#[^"]+)">/g)].map(([, link]) => link.replaceAll("&amp;", "&"));
links.forEach((link, i) => {
  if (only && i + 1 !== Number(only)) return;
  decode(link).forEach((settings, run) => {
    for (let seed = 0; seed < seeds; seed++) {
      const seen = watch({ ...settings, seed }, [[Number(steps), {}]]);
      console.log(JSON.stringify({ experiment: i + 1, run: "AB"[run], seed, seen }));
    }
  });
});
