// What the reader can set: names and words as in gpcore, first values, ranges; presets; and the form they take in a link.

export const CHOICES = {
  data: {
    "8_gaussians": "8 Gaussians",
    "25_gaussians": "25 Gaussians",
    swiss_roll: "Swiss roll",
    two_points: "two points",
    drawn: "draw your own",
  },
  loss: {
    wasserstein: "Wasserstein",
    non_saturating: "non-saturating",
    minimax: "saturating (minimax)",
    least_squares: "least squares",
  },
  constraint: {
    none: "none",
    clip: "weight clipping",
    gp: "gradient penalty",
    gp_one_sided: "gradient penalty, one-sided",
    gp_zero: "gradient penalty, zero-centred",
    r1: "R1: zero-centred, at real samples",
    r1_r2: "R1 + R2: at real and generated",
  },
  scaling: { clip_norm: "fixed threshold", autoclip: "AutoClip: adaptive, by percentile", zclip: "ZClip: adaptive, by z-score" },
  optimizer: { adam: "Adam", sgd: "SGD" },
  activation: { leaky_relu: "LeakyReLU", relu: "ReLU", tanh: "tanh" },
};

// What a constraint does, under its name.
export const FORMULAS = {
  none: "The critic may be as steep as it likes.",
  clip: "After each step every weight is cut to [−c, c].",
  gp: "λ E (‖∇ₓf‖ − 1)², between real and generated samples",
  gp_one_sided: "λ E max(‖∇ₓf‖ − 1, 0)², between real and generated samples",
  gp_zero: "λ E ‖∇ₓf‖², between real and generated samples",
  r1: "λ/2 E ‖∇ₓf‖², at real samples",
  r1_r2: "λ/2 E ‖∇ₓf‖², at real samples, and the same at generated ones",
};

// Sliders move along these; a threshold of 0 is none.
export const RANGES = {
  weight: [0.001, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100],
  every: [1, 2, 4, 8, 16],
  clip: [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1],
  threshold: [0, 0.001, 0.01, 0.03, 0.1, 0.3, 1, 3, 10],
  percentile: [1, 5, 10, 25, 50, 75, 90, 99],
  z: [1, 1.5, 2, 2.5, 3, 4],
  criticSteps: [1, 2, 3, 4, 5, 6, 8, 10],
  lrCritic: [0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1],
  lrGenerator: [0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1],
  batch: [16, 32, 64, 128, 256],
  seed: Array.from({ length: 20 }, (_, i) => i),
};

export const DEFAULTS = {
  data: "8_gaussians",
  points: [],
  loss: "wasserstein",
  constraint: "gp",
  weight: 1,
  every: 1,
  clip: 0.1,
  scaling: "clip_norm",
  threshold: 0,
  percentile: 10,
  z: 2.5,
  criticSteps: 5,
  lrCritic: 0.001,
  lrGenerator: 0.001,
  optimizer: "adam",
  activation: "leaky_relu",
  batch: 128,
  width: 64,
  seed: 0,
};

// What each says holds for thousands of steps: presets.mjs shows it, seed by seed.
export const PRESETS = [
  {
    name: "a healthy run",
    says: "Wasserstein loss with a gradient penalty. The slope settles around 1 between the two clouds, and the modes fill one after another.",
    settings: {},
  },
  {
    before: "Break it:",
    name: "vanishing gradient",
    says: "The saturating loss against a critic that learns fast. The critic is soon sure of everything, the generator's gradient falls by a factor of a million and more, and its samples stay where they are.",
    settings: { loss: "minimax", constraint: "none", lrCritic: 0.01, lrGenerator: 0.0001 },
  },
  {
    name: "mode collapse",
    says: "One critic step for each step of a generator ten times as fast, and weights clipped to 0.1, so that the critic never gets steep enough to tell modes apart. The generator runs after it with its samples close together, from one place to the next, and does not stop.",
    settings: { constraint: "clip", criticSteps: 1, lrGenerator: 0.01, batch: 64 },
  },
  {
    name: "clipping too tight",
    says: "Weights clipped to 0.01. The critic is almost flat, its slope is a few thousandths and less, and what is left of its shape is too simple to tell eight modes apart.",
    settings: { constraint: "clip", clip: 0.01 },
  },
  {
    name: "λ too small",
    says: "The penalty weighs next to nothing. Modes are covered, but within a thousand steps the slope climbs to about a hundred, and the critic's loss estimates no distance any more.",
    settings: { weight: 0.001 },
  },
  {
    name: "exploding step",
    says: "Plain gradient steps of 0.1 on a penalty of weight 10. Each step is larger than the one before; after a few the loss is no longer a number, and the run stops.",
    settings: { optimizer: "sgd", weight: 10, lrCritic: 0.1, lrGenerator: 0.1, criticSteps: 1 },
  },
  {
    before: "Fix it:",
    name: "scale the norms",
    says: "The exploding step with a threshold of 1 on the norm of the parameters' gradient. It goes on. It does not learn well: scaling keeps a run alive, it does not choose the step for you.",
    settings: { optimizer: "sgd", weight: 10, lrCritic: 0.1, lrGenerator: 0.1, criticSteps: 1, threshold: 1 },
  },
];

// Settings that can change while a run goes on; the others start it anew.
export const LIVE = [
  "data", "points", "loss", "constraint", "weight", "every", "clip", "scaling", "threshold", "percentile", "z",
  "criticSteps", "lrCritic", "lrGenerator",
];

export const PACES = [
  { pace: 0, words: "full speed" },
  { pace: 10, words: "10 steps per second" },
  { pace: 2, words: "2 steps per second" },
];

// What "draw your own" begins with.
export const HEART = Array.from({ length: 48 }, (_, i) => {
  const t = (2 * Math.PI * i) / 48;
  const y = 13 * Math.cos(t) - 5 * Math.cos(2 * t) - 2 * Math.cos(3 * t) - Math.cos(4 * t);
  return [1.6 * Math.sin(t) ** 3, y / 10];
});
