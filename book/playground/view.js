// The pictures of one run: the game, the norm of the critic's input gradient, losses, norms of parameter gradients.

import { CENTERS } from "./data.js";
import { PENALTIES } from "./engine.js";
import { range } from "./contours.js";
import { make } from "./elements.js";
import { HEART } from "./settings.js";
import { scales } from "./thresholds.js";
import { fromCanvas, paintCurves, paintGame, paintNorms, paintPencil } from "./paint.js";

const MOST_ROWS = 800;
const DASHED = [5, 4];

const brief = (number) => Number(number.toPrecision(2)).toString().replace("-", "−");

function key(...entries) {
  const items = entries.map(([kind, words]) => make("span", { class: `pg-key pg-key-${kind}`, "data-key": words }, words));
  return make("p", { class: "pg-keys" }, ...items);
}

// The slope's colours on their scale, and the range on this picture.
function slopeKey() {
  const scale = make("span", { class: "pg-scale" });
  scale.append("0.0001", make("i", { class: "pg-below" }), "1", make("i", { class: "pg-above" }), "100");
  const [line] = key(["one", "where it is 1"]).children;
  return make("p", { class: "pg-keys" }, scale, line, make("span", { class: "pg-key-slope" }));
}

function picture(title, canvas, ...below) {
  return make("figure", { class: "pg-picture" }, make("figcaption", {}, title), canvas, ...below);
}

// The pictures by name, in the order in which the whole page shows them.
export const PICTURES = ["game", "slope", "losses", "gradients"];

// `shown` lists the pictures; `onDraw(points)` is called while the reader draws samples.
export function createView(name, shown, onDraw) {
  const canvas = (shape) => make("canvas", { class: `pg-${shape}`, role: "img", "aria-label": `${name}: nothing drawn yet` });
  const [playing, norms, losses, gradients] = [canvas("square"), canvas("square"), canvas("wide"), canvas("wide")];
  const status = make("span");
  const clear = make("button", { type: "button", onclick: () => draw([]) }, "Clear the drawing");
  const drawing = make(
    "p",
    { class: "pg-drawing", hidden: true },
    "Draw on the picture. By keyboard: arrow keys move the cross, space puts a point. ",
    clear,
  );
  // Those that are not shown are not laid out either, and what has no size is not painted.
  const pictures = {
    game: picture(
      "Samples on the critic’s value f",
      playing,
      key(["real", "real"], ["generated", "generated"], ["arrow", "its pull"], ["value", "f"]),
      drawing,
    ),
    slope: picture("The critic’s slope ‖∇ₓf‖", norms, slopeKey()),
    losses: picture("Losses", losses, key(["critic", "critic"], ["generated", "generator"], ["gradient", "penalty"])),
    gradients: picture(
      "Norms of parameter gradients",
      gradients,
      key(["critic", "critic"], ["generated", "generator"], ["after", "scaled"]),
    ),
  };
  for (const [which, figure] of Object.entries(pictures)) figure.classList.add(`pg-${which}`);
  const element = make(
    "section",
    { class: "pg-view", "aria-label": name },
    make("p", { class: "pg-status" }, make("span", { class: "pg-name" }, name), status),
    make("div", { class: "pg-pictures" }, ...shown.map((which) => pictures[which])),
  );

  let rows = [];
  let latest = null;
  let settings = null;
  let points = [];
  let pencil = [0, 0];
  let stride = 1;

  function record(snapshot) {
    if (!snapshot.step) [rows, stride] = [[], 1];
    for (const row of snapshot.rows) if (row[0] % stride === 0 || row[0] === 1) rows.push(row);
    // Every second row is enough for a picture of a long run.
    while (rows.length > MOST_ROWS) {
      stride *= 2;
      rows = rows.filter(([step]) => step % stride === 0 || step === 1);
    }
    // A run that has left the numbers has nothing to show: its last pictures stay.
    const whole = [snapshot.values, snapshot.norms].every((field) => field.every(Number.isFinite));
    const { values, norms, generated, arrows, modes } = whole || !latest ? snapshot : latest;
    latest = { ...snapshot, values, norms, generated, arrows, modes, whole };
  }

  function sentence() {
    const { step, modes, distance, diverged, whole } = latest;
    const parts = [`step ${step}`];
    if (whole && modes && CENTERS[settings.data]) parts.push(`${modes.covered} of ${modes.of} modes covered`);
    if (whole && distance !== null) parts.push(`distance W₁ ${distance.toFixed(2)}`);
    if (diverged) parts.push("stopped: the loss or its gradient is no longer a number");
    if (!whole) parts.push("the upper pictures are from before");
    return parts.join(" · ");
  }

  function paint(colours, withArrows) {
    if (!latest) return;
    const words = (values) => `from ${range(values).map(brief).join(" to ")}`;
    pictures.game.querySelector(".pg-key-value").textContent = `f ${words(latest.values)}`;
    pictures.slope.querySelector(".pg-key-slope").textContent = `here ${words(latest.norms)}`;
    pictures.game.querySelector(".pg-key-arrow").hidden = !withArrows;
    status.textContent = sentence();
    status.parentElement.classList.toggle("pg-diverged", latest.diverged);
    paintGame(playing, latest, colours, withArrows);
    if (!drawing.hidden) paintPencil(playing, pencil, colours);
    paintNorms(norms, latest, colours);
    const column = (at) => rows.map((row) => row[at]);
    const steps = column(0);
    const line = (at, colour, more = {}) => ({ values: column(at), colour: colours[colour], dash: [], ...more });
    const penalised = settings.constraint in PENALTIES;
    pictures.losses.querySelector('[data-key="penalty"]').hidden = !penalised;
    pictures.gradients.querySelector(".pg-key-after").hidden = !scales(settings);
    paintCurves(
      losses,
      steps,
      [line(1, "critic"), line(3, "generated"), ...(penalised ? [line(2, "gradient")] : [])],
      { log: false },
      colours,
    );
    // Where there is a dashed line to be seen, the other one steps back.
    const faint = scales(settings);
    const scaled = faint ? [line(5, "critic", { dash: DASHED }), line(7, "generated", { dash: DASHED })] : [];
    paintCurves(
      gradients,
      steps,
      [line(4, "critic", { faint }), line(6, "generated", { faint }), ...scaled],
      { log: true, mark: settings.scaling === "clip_norm" && settings.threshold },
      colours,
    );
    describe(playing, `${name}: real and generated samples over the critic's value, ${sentence()}`);
    describe(norms, `${name}: map of the norm of the critic's input gradient, ${words(latest.norms)}, ${sentence()}`);
    const last = rows.at(-1);
    const numbers = last ? last.slice(1).map(brief) : [];
    describe(losses, `${name}: losses over ${latest.step} steps. Critic ${numbers[0]}, generator ${numbers[2]}.`);
    describe(gradients, `${name}: gradient norms over ${latest.step} steps. Critic ${numbers[3]}, generator ${numbers[5]}.`);
  }

  // The example makes room for the first point of the reader's own.
  const before = () => (points === HEART ? [] : points);

  const describe = (target, words) => target.setAttribute("aria-label", words);

  function draw(more) {
    points = more;
    onDraw(points);
  }

  function pointerAt(event) {
    const box = playing.getBoundingClientRect();
    return fromCanvas(box.width, event.clientX - box.left, event.clientY - box.top);
  }

  const near = (p, q) => Math.hypot(p[0] - q[0], p[1] - q[1]) < 0.06;

  playing.addEventListener("pointerdown", (event) => {
    if (drawing.hidden) return;
    playing.setPointerCapture(event.pointerId);
    draw([...before(), pointerAt(event)]);
  });
  playing.addEventListener("pointermove", (event) => {
    if (drawing.hidden || !event.buttons) return;
    const at = pointerAt(event);
    if (!points.some((point) => near(point, at))) draw([...points, at]);
  });
  playing.addEventListener("keydown", (event) => {
    const moves = { ArrowLeft: [-0.1, 0], ArrowRight: [0.1, 0], ArrowUp: [0, 0.1], ArrowDown: [0, -0.1] };
    const move = moves[event.key];
    if (drawing.hidden || !(move || event.key === " ")) return;
    event.preventDefault();
    if (move) pencil = [pencil[0] + move[0], pencil[1] + move[1]];
    draw(move ? points : [...before(), pencil]);
  });

  return {
    element,
    record,
    paint,
    use(next) {
      settings = next;
      points = next.points;
      drawing.hidden = next.data !== "drawn";
      playing.classList.toggle("pg-pad", !drawing.hidden);
      playing.tabIndex = drawing.hidden ? -1 : 0;
      playing.setAttribute("role", drawing.hidden ? "img" : "application");
    },
    latest: () => latest,
  };
}
