// Pictures on canvases. A palette holds the page's own colours, so that one picture reads in light and in dark.

import { contour, levels, range } from "./contours.js";
import { GRID, REACH } from "./session.js";

export const COLOURS = ["paper", "ink", "real", "generated", "critic", "gradient", "neutral"];

export function palette(root) {
  const style = getComputedStyle(root);
  return Object.fromEntries(COLOURS.map((name) => [name, style.getPropertyValue(`--pg-${name}`).trim()]));
}

// Is the paper around `element` dark? Every host names its themes in its own way, but all set the colour of their ink,
// and a canvas reads it in whatever form it is written.
export function onDarkPaper(element) {
  const pen = heat.getContext("2d", { willReadFrequently: true });
  pen.clearRect(0, 0, 1, 1);
  pen.fillStyle = getComputedStyle(element).color;
  pen.fillRect(0, 0, 1, 1);
  const [red, green, blue] = pen.getImageData(0, 0, 1, 1).data;
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue > 127;
}

// The canvas in the screen's own pixels; sizes below are those of the page. Null while it is not laid out.
export function openCanvas(canvas) {
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  if (!width || !height) return null;
  const scale = Math.min(window.devicePixelRatio || 1, 2);
  if (canvas.width !== Math.round(width * scale)) canvas.width = Math.round(width * scale);
  if (canvas.height !== Math.round(height * scale)) canvas.height = Math.round(height * scale);
  const pen = canvas.getContext("2d");
  pen.setTransform(scale, 0, 0, scale, 0, 0);
  pen.clearRect(0, 0, width, height);
  return { pen, width, height };
}

const heat = typeof document === "undefined" ? null : document.createElement("canvas");

// One colour, the more opaque the larger the share (0 to 1) that `shareOf` gives a value.
function paintHeat({ pen, width }, values, colour, shareOf) {
  heat.width = heat.height = GRID;
  const small = heat.getContext("2d", { willReadFrequently: true });
  small.fillStyle = colour;
  small.fillRect(0, 0, GRID, GRID);
  const image = small.getImageData(0, 0, GRID, GRID);
  for (let i = 0; i < values.length; i++) image.data[4 * i + 3] = 255 * Math.min(Math.max(shareOf(values[i]), 0), 1);
  small.putImageData(image, 0, 0);
  // A value stands at a point of the grid: the middle of a pixel.
  const cell = width / (GRID - 1);
  pen.imageSmoothingEnabled = true;
  pen.imageSmoothingQuality = "high";
  pen.drawImage(heat, -cell / 2, -cell / 2, width + cell, width + cell);
}

function paintLine({ pen, width }, values, level, colour, thickness) {
  const cell = width / (GRID - 1);
  pen.beginPath();
  for (const [x1, y1, x2, y2] of contour(values, GRID, level)) {
    pen.moveTo(x1 * cell, y1 * cell);
    pen.lineTo(x2 * cell, y2 * cell);
  }
  pen.lineWidth = thickness;
  pen.lineCap = "round";
  pen.strokeStyle = colour;
  pen.stroke();
}

// Where a point of the plane stands on a canvas.
export const onCanvas = (width, x, y) => [((x / REACH + 1) / 2) * width, ((1 - y / REACH) / 2) * width];
export const fromCanvas = (width, left, top) => [REACH * ((2 * left) / width - 1), REACH * (1 - (2 * top) / width)];

// Real samples are rings and generated ones filled dots: colour is not the only carrier.
function paintSamples({ pen, width }, samples, colour, filled) {
  pen.fillStyle = pen.strokeStyle = colour;
  pen.lineWidth = 1;
  const radius = Math.max(1.4, width / 210);
  for (let i = 0; i < samples.length; i += 2) {
    const [x, y] = onCanvas(width, samples[i], samples[i + 1]);
    pen.beginPath();
    pen.arc(x, y, filled ? radius : radius * 1.5, 0, 7);
    if (filled) pen.fill();
    else pen.stroke();
  }
}

export function paintGame(canvas, { values, real, generated, arrows }, colours, withArrows) {
  const sheet = openCanvas(canvas);
  if (!sheet) return;
  const [low, high] = range(values);
  paintHeat(sheet, values, colours.critic, (value) => (0.5 * (value - low)) / (high - low || 1));
  sheet.pen.globalAlpha = 0.55;
  for (const level of levels(values, 9)) paintLine(sheet, values, level, colours.critic, 1);
  sheet.pen.globalAlpha = 0.75;
  paintSamples(sheet, real, colours.real, false);
  sheet.pen.globalAlpha = 1;
  if (withArrows) paintArrows(sheet, generated, arrows, colours);
  // With arrows, those samples alone that have one.
  const shown = withArrows ? generated.subarray(0, arrows.length) : generated;
  sheet.pen.globalAlpha = withArrows ? 1 : 0.85;
  paintSamples(sheet, shown, colours.generated, true);
  sheet.pen.globalAlpha = 1;
}

// Norms are shown from 0.0001 to 100, by their logarithm.
const decades = (norm) => Math.log10(Math.min(Math.max(norm, 1e-4), 100));

// An arrow from each sample, longer for a larger norm, by decades too: what is below 0.0001 has none.
function paintArrows({ pen, width }, samples, arrows, colours) {
  pen.lineCap = "round";
  for (const [colour, thickness] of [[colours.paper, 3], [colours.ink, 1.2]]) {
    pen.strokeStyle = colour;
    pen.lineWidth = thickness;
    pen.beginPath();
    for (let i = 0; i < arrows.length; i += 2) {
      const norm = Math.hypot(arrows[i], arrows[i + 1]);
      const length = ((decades(norm) + 4) / 6) * 0.11 * width;
      if (!(length > 1)) continue;
      const [x, y] = onCanvas(width, samples[i], samples[i + 1]);
      const [right, down] = [arrows[i] / norm, -arrows[i + 1] / norm];
      const [endX, endY] = [x + length * right, y + length * down];
      pen.moveTo(x, y);
      pen.lineTo(endX, endY);
      for (const side of [-1, 1]) {
        pen.moveTo(endX, endY);
        pen.lineTo(endX - 4 * right + side * 3 * down, endY - 4 * down - side * 3 * right);
      }
    }
    pen.stroke();
  }
}

// How opaque a slope's colour is, by how many of the decades between it and 1 there are: the other way round in the key,
// whose stops are in style.js.
const opacity = (part) => 0.85 * Math.sqrt(part);

// One colour below 1 and another above, the stronger the further away; the line is where the norm is 1.
export function paintNorms(canvas, { norms, generated }, colours) {
  const sheet = openCanvas(canvas);
  if (!sheet) return;
  paintHeat(sheet, norms, colours.neutral, (norm) => opacity(Math.max(-decades(norm), 0) / 4));
  paintHeat(sheet, norms, colours.gradient, (norm) => opacity(Math.max(decades(norm), 0) / 2));
  paintLine(sheet, norms, 1, colours.paper, 4.5);
  paintLine(sheet, norms, 1, colours.ink, 2);
  sheet.pen.globalAlpha = 0.35;
  paintSamples(sheet, generated, colours.generated, true);
  sheet.pen.globalAlpha = 1;
}

// The reader's own points, and where the keyboard's pencil stands.
export function paintPencil(canvas, at, colours) {
  const pen = canvas.getContext("2d");
  const [x, y] = onCanvas(canvas.clientWidth, ...at);
  pen.strokeStyle = colours.ink;
  pen.lineWidth = 2;
  pen.beginPath();
  for (const [dx, dy] of [[9, 0], [0, 9]]) {
    pen.moveTo(x - dx, y - dy);
    pen.lineTo(x + dx, y + dy);
  }
  pen.stroke();
}

const LEFT = 44;
const BOTTOM = 20;
const TOP = 6;

const short = (number) => {
  if (number === 0) return "0";
  const size = Math.abs(number);
  const plain = size < 1000 && size >= 0.01;
  const words = plain ? String(Number(number.toPrecision(2))) : number.toExponential(0).replace("e+", "e");
  return words.replaceAll("-", "−");
};

// Curves over steps. `lines`: [{ values, colour, dash, faint }]; `log` draws decades.
export function paintCurves(canvas, steps, lines, { log, mark }, colours) {
  const sheet = openCanvas(canvas);
  if (!sheet) return;
  const { pen, width, height } = sheet;
  const scaled = (value) => (log ? Math.log10(Math.max(value, 1e-12)) : value);
  const all = lines.flatMap((line) => line.values).map(scaled).filter(Number.isFinite);
  let [low, high] = all.length ? range(all) : [0, 1];
  if (!log) [low, high] = [Math.min(low, 0), Math.max(high, 0)];
  if (mark) [low, high] = [Math.min(low, scaled(mark)), Math.max(high, scaled(mark))];
  if (log) [low, high] = [Math.floor(low), Math.max(Math.ceil(high), Math.floor(low) + 1)];
  const margin = log ? 0 : 0.05 * (high - low || 1);
  [low, high] = [low - margin, high + margin];

  const last = Math.max(steps.at(-1) ?? 1, 2);
  const x = (step) => LEFT + (step / last) * (width - LEFT - 4);
  const y = (value) => TOP + ((high - scaled(value)) / (high - low)) * (height - TOP - BOTTOM);

  pen.font = "11px system-ui, sans-serif";
  pen.fillStyle = colours.ink;
  pen.strokeStyle = colours.neutral;
  pen.lineWidth = 1;
  const spacing = log ? Math.max(1, Math.ceil((high - low) / 4)) : niceStep((high - low) / 4);
  pen.textAlign = "right";
  pen.textBaseline = "middle";
  for (let tick = Math.ceil(low / spacing) * spacing; tick <= high + 1e-9; tick += spacing) {
    const value = log ? 10 ** tick : Math.abs(tick) < spacing / 1e6 ? 0 : tick;
    pen.globalAlpha = value === 0 || tick === low ? 0.8 : 0.25;
    pen.beginPath();
    pen.moveTo(LEFT, y(value));
    pen.lineTo(width - 4, y(value));
    pen.stroke();
    pen.globalAlpha = 0.85;
    pen.fillText(short(value), LEFT - 5, y(value));
  }
  pen.textBaseline = "alphabetic";
  pen.fillText(`step ${steps.at(-1) ?? 0}`, width - 4, height - 5);
  pen.textAlign = "left";
  pen.fillText("0", LEFT, height - 5);
  pen.globalAlpha = 1;

  if (mark) {
    pen.strokeStyle = colours.ink;
    pen.setLineDash([2, 4]);
    pen.beginPath();
    pen.moveTo(LEFT, y(mark));
    pen.lineTo(width - 4, y(mark));
    pen.stroke();
  }
  for (const { values, colour, dash, faint } of lines) {
    pen.globalAlpha = faint ? 0.5 : 1;
    pen.strokeStyle = colour;
    pen.lineWidth = 1.7;
    pen.setLineDash(dash);
    pen.beginPath();
    values.forEach((value, i) => pen.lineTo(x(steps[i]), y(value)));
    pen.stroke();
  }
  pen.globalAlpha = 1;
  pen.setLineDash([]);
}

// 1, 2 or 5 times a power of ten, at least `step`.
function niceStep(step) {
  const power = 10 ** Math.floor(Math.log10(step));
  return power * [1, 2, 5, 10].find((factor) => factor * power >= step);
}
