// Level lines of a square grid of values, by marching squares.

// Which sides of a cell a line joins, for each of the 16 ways its corners can lie above the level. Corners are
// numbered 1, 2, 4, 8 clockwise from the top left; sides are 0 top, 1 right, 2 bottom, 3 left.
const JOINED = [
  [], [[3, 0]], [[0, 1]], [[3, 1]], [[1, 2]], [[3, 0], [1, 2]], [[0, 2]], [[3, 2]],
  [[2, 3]], [[0, 2]], [[0, 1], [2, 3]], [[1, 2]], [[1, 3]], [[0, 1]], [[0, 3]], [],
];

// Segments [x1, y1, x2, y2], in steps of the grid from its top left corner.
export function contour(values, size, level) {
  const segments = [];
  for (let y = 0; y + 1 < size; y++) {
    for (let x = 0; x + 1 < size; x++) {
      const at = y * size + x;
      const corners = [values[at], values[at + 1], values[at + size + 1], values[at + size]];
      const kind = corners.reduce((sum, value, corner) => sum + (value > level ? 1 << corner : 0), 0);
      const between = (p, q) => (level - corners[p]) / (corners[q] - corners[p]);
      const crossing = [
        () => [x + between(0, 1), y],
        () => [x + 1, y + between(1, 2)],
        () => [x + between(3, 2), y + 1],
        () => [x, y + between(0, 3)],
      ];
      for (const [from, to] of JOINED[kind]) segments.push([...crossing[from](), ...crossing[to]()]);
    }
  }
  return segments;
}

// `count` levels that divide the range of the values evenly, ends left out.
export function levels(values, count) {
  const [low, high] = range(values);
  return Array.from({ length: count }, (_, i) => low + ((i + 1) / (count + 1)) * (high - low));
}

export function range(values) {
  let [low, high] = [Infinity, -Infinity];
  for (const value of values) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return [low, high];
}
