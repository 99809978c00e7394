// The panel of settings: every control is a native one with a label of its own.

import { PENALTIES } from "./engine.js";
import { freshId, make } from "./elements.js";
import { CHOICES, FORMULAS, RANGES } from "./settings.js";

// In groups; `when` hides a control that says nothing under the other settings.
const GROUPS = [
  ["The game", [
    { name: "data", label: "Real samples" },
    { name: "loss", label: "Loss" },
  ]],
  ["The critic's slope", [
    { name: "constraint", label: "Constraint" },
    { name: "weight", label: "Weight λ", when: (s) => s.constraint in PENALTIES },
    { name: "clip", label: "Clipping bound c", when: (s) => s.constraint === "clip" },
  ]],
  ["The parameters' gradients", [
    { name: "threshold", label: "Norm scaling: threshold", words: (value) => (value ? String(value) : "off") },
  ]],
  ["The steps", [
    { name: "criticSteps", label: "Critic steps a round" },
    { name: "lrCritic", label: "Critic's learning rate" },
    { name: "lrGenerator", label: "Generator's learning rate" },
    { name: "optimizer", label: "Optimiser" },
    { name: "activation", label: "Activation" },
    { name: "batch", label: "Batch" },
    { name: "seed", label: "Seed" },
  ]],
];

const known = GROUPS.flatMap(([, controls]) => controls);
export const CONTROLS = known.map((control) => control.name);

function choice(control, id, onChange) {
  const options = Object.entries(CHOICES[control.name]).map(([value, words]) => make("option", { value }, words));
  const changed = () => onChange(control.name, input.value);
  const input = make("select", { id, "data-name": control.name, onchange: changed }, ...options);
  return {
    row: make("div", { class: "pg-row" }, make("label", { for: id }, control.label), input),
    show: (value) => (input.value = value),
  };
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
  const label = make("label", { for: id }, control.label, " ", output);
  return { row: make("div", { class: "pg-row" }, label, input), show };
}

// All of them in their groups, or those that `names` lists, in that order and without groups.
export function createControls(onChange, names) {
  const shown = [];
  const formula = make("p", { class: "pg-formula" });
  const rowOf = (control) => {
    const { row, show } = (CHOICES[control.name] ? choice : slider)(control, freshId(), onChange);
    shown.push({ control, row, show });
    if (control.name === "constraint") row.append(formula);
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
