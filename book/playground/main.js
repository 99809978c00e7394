// Where the script begins, on a page and in a worker alike.

import { answerAsWorker } from "./runner.js";
import { mount } from "./ui.js";

// A worker reads the same script: from where it stands, or written out where it stands inside a page.
function ownAddress() {
  const source = document.currentScript?.src ?? "";
  let written = null;
  return () => {
    if (source.startsWith("http")) return source;
    written ??= URL.createObjectURL(new Blob([`(${livingPage})()`], { type: "text/javascript" }));
    return written;
  };
}

function mountAll() {
  const address = ownAddress();
  for (const root of document.querySelectorAll("[data-living-page]:not(.pg)")) {
    const settings = JSON.parse(root.dataset.livingPage || "{}");
    const small = root.dataset.small ? JSON.parse(root.dataset.small) : null;
    mount(root, { settings, linked: root.hasAttribute("data-linked"), small, address });
  }
}

if (typeof document === "undefined") answerAsWorker(globalThis);
else mountAll();
