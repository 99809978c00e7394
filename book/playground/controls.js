// The panel of settings: every control is a native one with a label of its own.

import { PENALTIES } from "./engine.js";
import { freshId, make } from "./elements.js";
import { CHOICES, FORMULAS, RANGES } from "./settings.js";

// In groups; `when` hides a control that says nothing under the other settings.
const GROUPS = [
  ["The game", [
    { name: "data", label: "Real samples", help: "What the generator learns to imitate." },
    { name: "loss", label: "Loss", help: "What both networks minimise, by the critic's scores." },
  ]],
  ["The critic's slope", [
    { name: "constraint", label: "Constraint", help: "What keeps the critic's slope in bounds." },
    {
      name: "weight",
      label: "Weight λ",
      help: "How much the penalty counts beside the loss.",
      when: (s) => s.constraint in PENALTIES,
    },
    {
      name: "every",
      label: "Penalty at",
      help: "Lazy: at the other steps of the critic there is no penalty, and at these it is so many times as heavy.",
      words: (value) => ({ 1: "every step", 2: "every 2nd" })[value] ?? `every ${value}th`,
      when: (s) => s.constraint in PENALTIES,
    },
    {
      name: "clip",
      label: "Clipping bound c",
      help: "After each step no weight of the critic is larger.",
      when: (s) => s.constraint === "clip",
    },
  ]],
  ["Parameter gradients", [
    {
      name: "scaling",
      label: "Norm scaling",
      help: "To a threshold that is fixed, or that follows all norms so far (AutoClip) or their running mean (ZClip).",
    },
    {
      name: "threshold",
      label: "Norm threshold",
      help: "A gradient whose norm is larger is scaled down to it, in both networks.",
      words: (value) => (value ? String(value) : "off"),
      when: (s) => s.scaling === "clip_norm",
    },
    {
      name: "percentile",
      label: "Percentile",
      help: "Of all norms so far. At 10, the norm that a tenth of them lies below, nine of ten gradients are scaled down.",
      when: (s) => s.scaling === "autoclip",
    },
    {
      name: "z",
      label: "z-score",
      help: "Standard deviations that a norm may lie above its running mean. The first 25 steps only set the mean.",
      when: (s) => s.scaling === "zclip",
    },
  ]],
  ["The steps", [
    {
      name: "criticSteps",
      label: "Critic steps per generator step",
      help: "How often the critic is updated before the generator is updated once.",
    },
    { name: "lrCritic", label: "Critic's learning rate", help: "How far the critic goes in one step." },
    { name: "lrGenerator", label: "Generator's learning rate", help: "How far the generator goes in one step." },
    { name: "optimizer", label: "Optimiser", help: "SGD steps along the gradient; Adam divides it by its usual size." },
    { name: "activation", label: "Activation", help: "Of the hidden layers of both networks." },
    { name: "batch", label: "Batch", help: "Real and generated samples per step." },
    { name: "seed", label: "Seed", help: "Of the first weights and of every sample drawn after them." },
  ]],
];

const known = GROUPS.flatMap(([, controls]) => controls);
export const CONTROLS = known.map((control) => control.name);

function choice(control, id, onChange) {
  const options = Object.entries(CHOICES[control.name]).map(([value, words]) => make("option", { value }, words));
  const changed = () => onChange(control.name, input.value);
  const input = make("select", { id, "data-name": control.name, onchange: changed }, ...options);
  return { label: make("label", { for: id }, control.label), input, show: (value) => (input.value = value) };
}

function slider(control, id, onChange) {
  const values = RANGES[control.name];
  const words = control.words ?? String;
  const output = make("output", { for: id, "aria-live": "off" });
  const input = make("input", {
    id,
    type: "range",
    min: 0,
    max: values.length - 1,
    step: 1,
    "data-name": control.name,
    oninput() {
      show(values[input.value]);
      onChange(control.name, values[input.value]);
    },
  });
  function show(value) {
    input.value = values.indexOf(value);
    output.textContent = words(value);
    input.setAttribute("aria-valuetext", words(value));
  }
  return { label: make("label", { for: id }, control.label, " ", output), input, show };
}

// All of them in their groups, or those that `names` lists, in that order and without groups.
export function createControls(onChange, names) {
  const shown = [];
  const formula = make("p", { class: "pg-formula" });
  const rowOf = (control) => {
    const [id, helpId] = [freshId(), freshId()];
    const { label, input, show } = (CHOICES[control.name] ? choice : slider)(control, id, onChange);
    const row = make("div", { class: "pg-row" }, label, input);
    // The small form has no room for it.
    if (names) label.title = control.help;
    shown.push({ control, row, show });
    if (control.name === "constraint") row.append(formula);
    row.append(make("p", { class: "pg-help", id: helpId }, control.help));
    input.setAttribute("aria-describedby", helpId);
    return row;
  };
  const content = names
    ? names.map((name) => rowOf(known.find((control) => control.name === name)))
    : GROUPS.map(([title, controls]) => make("fieldset", {}, make("legend", {}, title), ...controls.map(rowOf)));
  return {
    element: make("div", { class: "pg-controls" }, ...content),
    show(settings) {
      formula.textContent = FORMULAS[settings.constraint];
      for (const { control, row, show } of shown) {
        show(settings[control.name]);
        row.hidden = control.when ? !control.when(settings) : false;
      }
    },
  };
}
