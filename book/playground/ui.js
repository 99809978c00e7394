// The living page as the reader meets it: buttons, presets, panel, one or two runs, the link.

import { createControls } from "./controls.js";
import { freshId, make } from "./elements.js";
import { clean, decode, encode } from "./link.js";
import { onDarkPaper, palette } from "./paint.js";
import { createRounds } from "./rounds.js";
import { createRunner } from "./runner.js";
import { HEART, LIVE, PACES, PRESETS } from "./settings.js";
import { STYLE } from "./style.js";
import { createView, PICTURES } from "./view.js";

const LETTERS = ["A", "B"];
const HELP = {
  once: "One step of the generator, after as many of the critic as are set.",
  restart: "From step 0, with the same seed.",
  compare: "A second run beside this one; both are always shown at the same step.",
  arrows: "Where the generator's loss sends its samples: minus its gradient at each of 150.",
  share: "The address of this page with these settings.",
};

// Turn `root` into a living page. `settings` is what it starts with; `linked` lets the page's address speak too. `small`
// is null or { controls, show }: one run with these controls and these pictures, and the link that stands in `root`.
export function mount(root, { settings = {}, linked = false, small = null, address }) {
  adoptStyle();
  const quiet = matchMedia("(prefers-reduced-motion: reduce)").matches;
  let playing = !quiet;
  let arrows = false;
  let runs = [];
  let turned = 0;
  let due = false;

  // --- what can be pressed

  const button = (words, onclick, more = {}) => make("button", { type: "button", onclick, ...more }, words);
  const play = button("", () => setPlaying(!playing), { class: "pg-main", "data-do": "play" });
  const once = button("One step", stepOnce, { "data-do": "step", title: HELP.once });
  const restart = button("Start again", restartAll, { "data-do": "restart", title: HELP.restart });
  const paceId = freshId();
  const paces = make("select", { id: paceId, onchange: () => rounds.pace(Number(paces.value)) });
  paces.append(...PACES.map(({ pace, words }) => make("option", { value: pace }, words)));
  const toggle = { "aria-pressed": "false" };
  const compare = button("Compare two", toggleCompare, { ...toggle, "data-do": "compare", title: HELP.compare });
  const arrow = button("Arrows", toggleArrows, { ...toggle, "data-do": "arrows", title: HELP.arrows });
  const share = button("Copy link", copyLink, { "data-do": "share", title: HELP.share });
  const speed = make("span", { class: "pg-speed" });
  const said = make("p", { class: "pg-said", role: "status" });
  const presets = PRESETS.map((preset) =>
    button(preset.name, () => usePreset(preset), {
      class: "pg-preset",
      "data-preset": preset.name,
      "aria-pressed": "false",
    }),
  );
  const withWord = (chip, i) => make("span", { class: "pg-together" }, PRESETS[i].before ?? "", chip);
  const controls = createControls(changeSetting, small?.controls);
  const turnsTitle = make("legend", {}, "These settings are those of");
  const turns = make("fieldset", { class: "pg-turns", hidden: true }, turnsTitle);
  const radios = LETTERS.map((letter, run) => {
    const id = freshId();
    const radio = make("input", { type: "radio", id, name: `${paceId}-run`, onchange: () => turnTo(run) });
    turns.append(radio, make("label", { for: id }, letter));
    return radio;
  });
  const views = make("div", { class: "pg-views" });
  const panel = make("details", { class: "pg-panel" }, make("summary", {}, "Settings"), turns, controls.element);
  // Open where it has a column of its own; elsewhere the pictures come first.
  panel.open = root.clientWidth >= 54 * parseFloat(getComputedStyle(document.documentElement).fontSize);

  const paceLabel = make("label", { for: paceId, class: "pg-hidden" }, "Speed");
  const ready = { class: "pg-presets", role: "group", "aria-label": "Ready-made settings" };
  const whole = root.querySelector(".pg-whole");
  if (small) {
    // What stood here without the script stays for the printer.
    root.prepend(make("div", { class: "pg-bar" }, play, once, restart), controls.element, views);
    root.classList.add("pg-small");
    root.classList.toggle("pg-squares", small.show.every((which) => ["game", "slope"].includes(which)));
  } else {
    root.replaceChildren(
      make("div", { class: "pg-bar" }, play, once, restart, paceLabel, paces, compare, arrow, share, speed),
      make("div", ready, ...presets.map(withWord)),
      said,
      make("div", { class: "pg-body" }, panel, views),
    );
  }
  root.classList.add("pg");

  // --- runs

  function createRun(wanted, index) {
    const run = { settings: wanted };
    run.view = createView(small ? "This run" : `Run ${LETTERS[index]}`, small?.show ?? PICTURES, (points) => {
      changeRun(run, { points });
      schedule();
    });
    run.view.use(wanted);
    run.runner = createRunner(address, (snapshot) => rounds.receive(run, snapshot));
    return run;
  }

  const rounds = createRounds(() => {
    root.dataset.step = Math.max(...runs.map((run) => run.view.latest().step));
    if (playing && runs.every((run) => run.diverged)) setPlaying(false);
    schedule();
  });

  function setRuns(wanted) {
    runs.forEach((run) => run.runner.stop());
    runs = wanted.map(createRun);
    views.replaceChildren(...runs.map((run) => run.view.element));
    root.classList.toggle("pg-two", runs.length === 2);
    compare.setAttribute("aria-pressed", String(runs.length === 2));
    turns.hidden = runs.length === 1;
    // The second run is the one to change.
    turnTo(runs.length - 1);
    rounds.start(runs);
    awake();
    remember();
  }

  // Links in the text may hold settings of their own.
  function follow() {
    const wanted = decode(location.hash);
    if (!wanted) return;
    setRuns(wanted);
    setPlaying(true);
    say("");
    root.scrollIntoView();
  }

  function toggleCompare() {
    const [first] = runs.map((run) => run.settings);
    setRuns(runs.length === 1 ? [first, first] : [first]);
  }

  function turnTo(run) {
    turned = run;
    radios[run].checked = true;
    controls.show(runs[run].settings);
  }

  function changeSetting(name, value) {
    const change = { [name]: value };
    if (value === "drawn" && !runs[turned].settings.points.length) change.points = HEART;
    changeRun(runs[turned], change);
    presets.forEach((preset) => preset.setAttribute("aria-pressed", "false"));
    controls.show(runs[turned].settings);
    say("");
  }

  function changeRun(run, change) {
    run.settings = { ...run.settings, ...change };
    run.view.use(run.settings);
    const live = Object.keys(change).every((name) => LIVE.includes(name));
    if (live) run.runner.send({ type: "change", settings: run.settings });
    // Whoever it is that begins anew, both do: they are compared at the same step.
    else rounds.start();
    schedule();
    remember();
  }

  function usePreset(preset) {
    const { points } = runs[turned].settings;
    runs[turned].settings = clean({ points, ...preset.settings });
    controls.show(runs[turned].settings);
    presets.forEach((other) => other.setAttribute("aria-pressed", String(other.dataset.preset === preset.name)));
    runs[turned].view.use(runs[turned].settings);
    rounds.start();
    setPlaying(true);
    say(preset.says);
    remember();
  }

  // --- buttons

  function setPlaying(on) {
    playing = on;
    play.textContent = on ? "Pause" : "Play";
    // What has left the numbers can only begin anew.
    if (on && runs.every((run) => run.diverged)) rounds.start();
    rounds.play(on);
  }

  function stepOnce() {
    setPlaying(false);
    rounds.once();
  }

  // What was paused stays paused, at step 0; what has left the numbers plays.
  function restartAll() {
    const ended = runs.some((run) => run.diverged);
    rounds.start();
    if (ended) setPlaying(true);
  }

  function toggleArrows() {
    arrows = !arrows;
    arrow.setAttribute("aria-pressed", String(arrows));
    schedule();
  }

  function say(words) {
    said.textContent = words;
  }

  // --- the link

  function link(page = location.href) {
    const words = encode(runs.map((run) => run.settings));
    return page.split("#")[0] + (words && `#${words}`);
  }

  function remember() {
    if (linked && runs.length) history.replaceState(history.state, "", link());
    if (small) whole.setAttribute("href", link(whole.getAttribute("href")));
  }

  async function copyLink() {
    try {
      await navigator.clipboard.writeText(link());
      say("The link to these settings is copied.");
    } catch {
      say(`The link to these settings: ${link()}`);
    }
  }

  // --- drawing

  let colours = null;
  function schedule() {
    if (due) return;
    due = true;
    requestAnimationFrame(() => {
      due = false;
      for (const run of runs) run.view.paint(colours, arrows);
      const rate = rounds.rate();
      speed.textContent = playing && rate ? `${rate < 10 ? rate.toFixed(1) : Math.round(rate)} steps per second` : "";
      speed.title = runs[0].view.latest()?.kernel ?? "";
    });
  }
  function repaint() {
    root.classList.toggle("pg-dark", onDarkPaper(root.parentElement));
    colours = palette(root);
    schedule();
  }
  // Wherever the host notes its theme.
  const theme = new MutationObserver(repaint);
  for (const element of [document.documentElement, document.body]) theme.observe(element, { attributes: true });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", repaint);
  new ResizeObserver(schedule).observe(views);

  // It begins when it is first seen, and sleeps while nobody can see it.
  let seen = false;
  function awake() {
    for (const { runner } of runs) {
      if (seen) runner.begin();
      runner.send({ type: "awake", awake: seen && !document.hidden });
    }
  }
  new IntersectionObserver((entries) => {
    // The newest: on a busy machine "out of sight" and "in sight" come together, and it would sleep for ever.
    seen = entries.at(-1).isIntersecting;
    awake();
  }).observe(root);
  document.addEventListener("visibilitychange", awake);

  if (linked) window.addEventListener("hashchange", follow);
  repaint();
  share.hidden = !linked;
  setRuns((linked && decode(location.hash)) || [clean(settings)]);
  setPlaying(playing);
}

let styled = false;
// A sheet made by the script: a page's policy on inline styles does not concern it.
function adoptStyle() {
  if (styled) return;
  styled = true;
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(STYLE);
  document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];
}
