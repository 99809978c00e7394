// What the map of slopes paints, on a canvas that writes it down:  node book/playground/test_slopes.mjs
// Prints JSON, which tests/unit/book/test_playground_slopes.py judges: by column of the grid the norm that stands there
// and how opaque each of the two colours is, and where the line is, in columns.

import { GRID } from "./session.js";

const filled = [];
const line = [];

// A pen that can be asked for anything.
function pen() {
  const known = {
    getImageData: (x, y, width, height) => ({ data: new Uint8ClampedArray(4 * width * height) }),
    putImageData: ({ data }) => filled.push({ colour: known.fillStyle, opaque: [...data].filter((_, i) => i % 4 === 3) }),
    moveTo: (x) => line.push(x),
  };
  return new Proxy(known, { get: (target, name) => target[name] ?? (() => {}) });
}

function canvas() {
  const drawn = pen();
  return { clientWidth: GRID - 1, clientHeight: GRID - 1, getContext: () => drawn };
}

globalThis.window = {};
globalThis.document = { createElement: canvas };
const { paintNorms } = await import("./paint.js");

// A norm for each column, from a hundredth of what the scale shows to a hundred times as much.
const column = Array.from({ length: GRID }, (_, x) => 10 ** (-6 + (10 * x) / (GRID - 1)));
const norms = Float64Array.from({ length: GRID * GRID }, (_, i) => column[i % GRID]);
paintNorms(canvas(), { norms, generated: new Float32Array() }, { neutral: "below", gradient: "above" });
const opaque = Object.fromEntries(filled.map(({ colour, opaque }) => [colour, opaque.slice(0, GRID)]));
console.log(JSON.stringify({ norms: column, ...opaque, line: [...new Set(line)] }));
