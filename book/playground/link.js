// A setting as the end of an address, and back: only what differs from the first values is written.
//
//   #loss=minimax&constraint=none            one run
//   #loss=minimax&b.loss=non_saturating      two runs side by side; the second starts from the first values as well

import { CHOICES, DEFAULTS, HEART, RANGES } from "./settings.js";
import { REACH } from "./session.js";

// Four digits a point: each coordinate in hundredths of the window.
const digits = (x) => String(Math.min(99, Math.max(0, Math.round(((x / REACH + 1) / 2) * 99)))).padStart(2, "0");
const coordinate = (text) => REACH * ((2 * Number(text)) / 99 - 1);
const encodePoints = (points) => points.map(([x, y]) => digits(x) + digits(y)).join("");
const decodePoints = (text) =>
  (text.match(/\d{4}/g) ?? []).map((four) => [coordinate(four.slice(0, 2)), coordinate(four.slice(2))]);

const written = (name, value) => (name === "points" ? encodePoints(value) : String(value));

export function encode(runs) {
  const words = new URLSearchParams();
  runs.forEach((settings, run) => {
    const prefix = run ? "b." : "";
    for (const name of Object.keys(DEFAULTS)) {
      if (name === "points" && (settings.data !== "drawn" || settings.points === HEART)) continue;
      const text = written(name, settings[name]);
      if (text !== written(name, DEFAULTS[name])) words.set(prefix + name, text);
    }
    if (run && ![...words.keys()].some((name) => name.startsWith("b."))) words.set("b.seed", String(settings.seed));
  });
  return words.toString();
}

// Checked settings from names and values in any form; what is unknown or out of range keeps its first value.
export function clean(wanted) {
  const settings = { ...DEFAULTS };
  for (const [name, value] of Object.entries(wanted)) {
    if (name === "points") settings.points = typeof value === "string" ? decodePoints(value) : value;
    else if (CHOICES[name] && Object.hasOwn(CHOICES[name], value)) settings[name] = value;
    else if (RANGES[name] && Number.isFinite(Number(value))) settings[name] = nearest(RANGES[name], Number(value));
  }
  if (settings.data === "drawn" && !settings.points.length) settings.points = HEART;
  return settings;
}

const nearest = (values, wanted) =>
  values.reduce((best, value) => (Math.abs(value - wanted) < Math.abs(best - wanted) ? value : best));

// The runs that a link speaks of, or null where it speaks of none.
export function decode(hash) {
  const words = [...new URLSearchParams(hash.replace(/^#/, ""))];
  const known = (name) => Object.hasOwn(DEFAULTS, name.replace(/^b\./, ""));
  if (!words.some(([name]) => known(name))) return null;
  const first = words.filter(([name]) => !name.startsWith("b."));
  const second = words.filter(([name]) => name.startsWith("b.")).map(([name, value]) => [name.slice(2), value]);
  return [first, second].filter((part, run) => !run || part.length).map((part) => clean(Object.fromEntries(part)));
}
