// The page's look. Inside the book it takes the book's colours; elsewhere it has its own, for light and for dark.

export const STYLE = `
.pg {
  --pg-paper: var(--pst-color-background, #fff);
  --pg-ink: var(--pst-color-text-base, #1b1f25);
  --pg-muted: var(--pst-color-text-muted, #4d5560);
  --pg-real: var(--gp-real, #0072b2);
  --pg-generated: var(--gp-generated, #c05400);
  --pg-critic: var(--gp-critic, #00785a);
  --pg-gradient: var(--gp-gradient, #a8487f);
  --pg-neutral: var(--gp-neutral, #6b737d);
  --pg-line: var(--gp-line, #c9ced6);
  --pg-tint: var(--gp-tint, rgb(0 114 178 / 7%));
  background: var(--pg-paper);
  color: var(--pg-ink);
  container-type: inline-size;
  font-size: 0.92rem;
  line-height: 1.4;
  margin: 1.2rem 0;
}
.pg-dark {
  --pg-paper: var(--pst-color-background, #14181e);
  --pg-ink: var(--pst-color-text-base, #e4e7eb);
  --pg-muted: var(--pst-color-text-muted, #a9b1bb);
  --pg-real: var(--gp-real, #56b4e9);
  --pg-generated: var(--gp-generated, #f0883e);
  --pg-critic: var(--gp-critic, #2fbf95);
  --pg-gradient: var(--gp-gradient, #e29bc2);
  --pg-neutral: var(--gp-neutral, #9aa3ad);
  --pg-line: var(--gp-line, #48505b);
  --pg-tint: var(--gp-tint, rgb(86 180 233 / 9%));
}
.pg *, .pg *::before { box-sizing: border-box; }
.pg [hidden] { display: none !important; }
.pg p { line-height: 1.4; margin: 0; max-width: none; }
.pg-hidden { clip-path: inset(50%); height: 1px; overflow: hidden; position: absolute; white-space: nowrap; width: 1px; }

.pg button, .pg select {
  background: var(--pg-paper); border: 1px solid var(--pg-neutral); border-radius: 6px; color: var(--pg-ink);
  font: inherit; min-height: 2.2rem; padding: 0.2rem 0.75rem;
}
.pg button { cursor: pointer; }
.pg select { padding: 0.2rem 0.4rem; }
.pg button:hover { background: var(--pg-tint); }
.pg button[aria-pressed="true"] { background: var(--pg-ink); border-color: var(--pg-ink); color: var(--pg-paper); }
.pg :is(button, select, input, summary, canvas):focus-visible { outline: 3px solid var(--pg-real); outline-offset: 2px; }
.pg button.pg-main { background: var(--pg-real); border-color: var(--pg-real); color: var(--pg-paper); font-weight: 600; min-width: 5.2rem; }
.pg button.pg-main:hover { filter: brightness(1.1); }

/* What starts and stops two runs stays in sight while their pictures scroll by. */
.pg:not(.pg-small) > .pg-bar { background: var(--pg-paper); padding: 0.3rem 0; position: sticky; top: var(--pg-top, 0); z-index: 2; }
.pg-bar, .pg-presets { align-items: center; display: flex; flex-wrap: wrap; gap: 0.45rem; }
.pg .pg-bar > :is(button, select) { padding-inline: 0.6rem; }
.pg-bar > select { width: 9.4rem; }
.pg-presets { gap: 0.35rem; margin-top: 0.3rem; }
.pg .pg-preset { border-radius: 99px; font-size: 0.84em; min-height: 1.8rem; padding: 0 0.5rem; }
.pg-together { align-items: center; display: inline-flex; gap: 0.35rem; }
.pg-speed { color: var(--pg-muted); font-variant-numeric: tabular-nums; margin-left: auto; }
.pg p.pg-said { border-left: 4px solid var(--pg-real); margin: 0.7rem 0 0; overflow-wrap: anywhere; padding: 0.1rem 0 0.1rem 0.7rem; }
.pg p.pg-said:empty { display: none; }

.pg-body { display: grid; gap: 0.9rem 1.4rem; grid-template-columns: minmax(0, 1fr); margin-top: 0.9rem; }
.pg-views { display: grid; gap: 1.4rem; grid-template-columns: minmax(0, 1fr); }
.pg-pictures { display: grid; gap: 1rem 1.2rem; grid-template-columns: minmax(0, 1fr); }
.pg p.pg-status { font-variant-numeric: tabular-nums; font-weight: 600; margin-bottom: 0.5rem; min-height: 1.4em; }
.pg-name { background: var(--pg-ink); border-radius: 4px; color: var(--pg-paper); display: none; margin-right: 0.6rem; padding: 0 0.5rem; }
.pg-two .pg-name { display: inline-block; }
.pg p.pg-diverged { color: var(--pg-generated); }
.pg figure.pg-picture { margin: 0; min-width: 0; padding: 0; text-align: left; width: auto; }
.pg figure.pg-picture figcaption {
  color: var(--pg-ink); font-size: 0.95em; font-weight: 600; margin: 0 0 0.35rem; max-width: none; padding: 0; text-align: left;
}
.pg canvas { display: block; width: 100%; }
.pg-square { aspect-ratio: 1; border: 1px solid var(--pg-line); border-radius: 6px; }
.pg-wide { height: 11rem; }
.pg-pad { cursor: crosshair; touch-action: none; }
.pg p.pg-drawing { color: var(--pg-muted); margin-top: 0.4rem; }

.pg p.pg-keys { color: var(--pg-muted); display: flex; flex-wrap: wrap; font-size: 0.9em; gap: 0.1rem 1rem; margin-top: 0.3rem; }
.pg-key { align-items: center; display: inline-flex; gap: 0.4rem; }
.pg-key::before { background: var(--pg-neutral); content: ""; height: 3px; width: 1.1rem; }
.pg-key-critic::before { background: var(--pg-critic); }
.pg-key-generated::before { background: var(--pg-generated); }
.pg-key-gradient::before { background: var(--pg-gradient); }
.pg-key-one::before { background: var(--pg-ink); }
.pg-key-after::before { background: repeating-linear-gradient(90deg, var(--pg-neutral) 0 5px, transparent 5px 9px); }
.pg-game .pg-key-generated::before { border-radius: 50%; height: 8px; width: 8px; }
.pg-key-real::before { background: none; border: 2px solid var(--pg-real); border-radius: 50%; height: 10px; width: 10px; }
.pg-key-arrow::before { background: var(--pg-ink); clip-path: polygon(0 35%, 60% 35%, 60% 0, 100% 50%, 60% 100%, 60% 65%, 0 65%); height: 9px; }
.pg-key-value::before {
  background: linear-gradient(90deg, transparent, var(--pg-critic)); border: 1px solid var(--pg-line); height: 10px; width: 2.6rem;
}
/* Opacities of the map in quarters of a bar, from its strong end to the 1. */
.pg-scale { align-items: center; display: inline-flex; font-variant-numeric: tabular-nums; gap: 0.3rem; max-width: 100%; }
.pg-scale i {
  background: linear-gradient(var(--towards), color-mix(in srgb, var(--strong) 85%, transparent),
    color-mix(in srgb, var(--strong) 74%, transparent), color-mix(in srgb, var(--strong) 60%, transparent),
    color-mix(in srgb, var(--strong) 42%, transparent), transparent);
  border: 1px solid var(--pg-line); height: 10px; min-width: 0; width: 3.2rem;
}
.pg-below { --strong: var(--pg-neutral); --towards: 90deg; }
.pg-above { --strong: var(--pg-gradient); --towards: 270deg; }
.pg-scale i.pg-above { width: 1.6rem; }

.pg-panel > summary { cursor: pointer; font-weight: 600; padding: 0.3rem 0; }
.pg fieldset { border: 0; border-top: 1px solid var(--pg-line); margin: 0; min-width: 0; padding: 0.5rem 0 0.7rem; }
.pg legend { color: var(--pg-muted); float: none; font-size: 0.88em; font-weight: 600; margin: 0; padding: 0 0.5rem 0 0; width: auto; }
.pg-row { margin-top: 0.35rem; }
.pg-row label { display: flex; gap: 0.5rem; justify-content: space-between; margin: 0; }
.pg-row output { color: var(--pg-ink); display: inline; font-variant-numeric: tabular-nums; font-weight: 600; padding: 0; }
.pg-row select, .pg-row input { width: 100%; }
.pg-row input { accent-color: var(--pg-real); display: block; height: 1.5rem; margin: 0; }
.pg p.pg-formula { color: var(--pg-muted); font-size: 0.92em; margin-top: 0.3rem; }
.pg p.pg-help { color: var(--pg-muted); font-size: 0.92em; }
.pg-turns label { font-weight: 600; margin: 0 1.2rem 0 0.35rem; }
.pg-turns input { accent-color: var(--pg-real); }

/* The small form, between the paragraphs of a chapter: what changes while it runs must not move the text below it. */
.pg-small { border: 1px solid var(--pg-line); border-radius: 8px; padding: 0.8rem 0.9rem; }
.pg-small .pg-controls { display: grid; gap: 0.2rem 1.6rem; grid-template-columns: repeat(auto-fit, minmax(min(15rem, 100%), 1fr)); margin: 0.6rem 0; }
.pg-squares .pg-pictures { gap: 0.6rem; grid-template-columns: repeat(2, minmax(0, 1fr)); }
.pg-small :is(.pg-game, .pg-slope) .pg-keys { align-content: flex-start; min-height: 2.9em; }
.pg-small :is(.pg-still, .pg-help) { display: none; }
.pg-small p.pg-open { margin-top: 0.7rem; }
/* A control that says nothing under these settings keeps its place. */
.pg-small .pg-row[hidden] { display: block !important; visibility: hidden; }

@container (min-width: 34rem) {
  .pg-small .pg-wide { aspect-ratio: 1; height: auto; }
  .pg-pictures { grid-template-columns: repeat(2, minmax(0, 1fr)); }
  .pg-two .pg-views { grid-template-columns: repeat(2, minmax(0, 1fr)); }
  .pg-two .pg-pictures { grid-template-columns: minmax(0, 1fr); }
  .pg-controls { display: grid; gap: 0 1.6rem; grid-template-columns: repeat(2, minmax(0, 1fr)); }
}
@container (min-width: 54rem) {
  .pg-body { grid-template-columns: minmax(0, 1.65fr) minmax(0, 1fr); }
  .pg-panel { grid-column: 2; }
  .pg-views { grid-column: 1; grid-row: 1; }
  .pg-wide { height: 8rem; }
  .pg-panel .pg-controls { font-size: 0.95em; gap: 0 1.1rem; grid-template-rows: auto auto 1fr; }
  .pg-panel select { min-height: 1.9rem; }
  .pg-panel fieldset:last-child { grid-column: 2; grid-row: 1 / span 3; }
  /* A strip below all controls: the formula, or what the control does that is pointed at or has the focus. */
  .pg-panel .pg-controls { padding-bottom: 3.4em; position: relative; }
  .pg-panel :is(p.pg-formula, p.pg-help) { background: var(--pg-paper); bottom: 0; left: 0; min-height: 2.9em; position: absolute; right: 0; }
  .pg-panel p.pg-help { display: none; z-index: 1; }
  .pg-panel .pg-row:is(:hover, :focus-within) .pg-help { display: block; }
  .pg-panel .pg-row:hover .pg-help { z-index: 2; }
}
@container (max-width: 34rem) {
  .pg-small .pg-bar button { min-width: 0; padding: 0.2rem 0.6rem; }
  .pg-squares .pg-keys { font-size: 0.82em; }
  .pg-squares :is(.pg-game, .pg-slope) .pg-keys { min-height: 5.9em; }
  .pg-small:not(.pg-squares) .pg-square { margin: 0 auto; width: 13rem; }
  .pg-small .pg-wide { height: 9rem; }
}
@media print {
  .pg-bar, .pg-presets, .pg-panel, .pg-small .pg-controls { display: none !important; }
  .pg-small .pg-still { display: block; }
  .pg-small:not([data-step]) .pg-views { display: none; }
}
`;
