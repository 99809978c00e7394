// Elements of a page in one line each.

export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null) element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

// A notebook may hold this script several times, each with a count of its own.
const thisCopy = Math.random().toString(36).slice(2, 8);
let made = 0;
export const freshId = () => `pg-${thisCopy}-${++made}`;
