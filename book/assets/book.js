// What every page needs beside the theme's own scripts: buttons that work under a strict policy, and a way for the
// keyboard.
(function () {
  "use strict";

  // The theme takes the focus from these once they are pressed; who presses keys would have to look for them again.
  for (const button of document.querySelectorAll(".theme-switch-button, .search-button, .primary-toggle, .secondary-toggle")) {
    button.blur = function () {};
  }

  // In the theme's pages these are attributes that hold code, which the policy of this book does not run.
  const actions = { print: () => window.print(), fullscreen: () => window.toggleFullScreen() };
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-press]");
    if (button) actions[button.dataset.press]();
  });

  // What scrolls must be reached by keyboard, and nothing else: MathJax makes every formula a stop, a hundred on a page.
  // The theme sees to code; whether a formula or a box scrolls depends on the screen and on what is unfolded.
  function reach() {
    for (const box of document.querySelectorAll("mjx-container, .gp-predict, .gp-fooled, .gp-exercise, .gp-verdict, .gp-run")) {
      if (box.clientWidth && box.scrollWidth > box.clientWidth + 1) box.tabIndex = 0;
      else if (box.tabIndex === 0) box.tabIndex = -1;
    }
  }
  // The page of results: rows without the word that is looked for are hidden, and headings of tables that are empty.
  for (const box of document.querySelectorAll(".gp-filter")) {
    box.addEventListener("input", () => {
      const wanted = box.value.trim().toLowerCase();
      for (const table of box.closest(".gp-results").querySelectorAll(".gp-table")) {
        for (const row of table.querySelectorAll("tbody tr")) row.hidden = !row.textContent.toLowerCase().includes(wanted);
        table.hidden = !table.querySelector("tbody tr:not([hidden])");
        table.previousElementSibling.hidden = table.hidden;
      }
    });
  }

  let waiting;
  function soon() {
    clearTimeout(waiting);
    waiting = setTimeout(reach, 100);
  }
  addEventListener("resize", soon);
  document.addEventListener("toggle", soon, true);
  document.fonts.addEventListener("loadingdone", soon);
  addEventListener("load", () => {
    soon();
    if (window.MathJax && MathJax.startup) MathJax.startup.promise.then(soon);
  });
})();
