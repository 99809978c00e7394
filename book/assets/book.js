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
  // The page of results: rows that lack one of the words are hidden, and so are chapters without a row left.
  for (const box of document.querySelectorAll(".gp-filter")) {
    const input = box.querySelector("input"), told = box.querySelector("output"), all = told.textContent;
    const filter = () => {
      const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      for (const chapter of document.querySelectorAll(".gp-results")) {
        const rows = [...chapter.querySelectorAll("tbody tr")];
        for (const row of rows) {
          const text = `${chapter.querySelector("h2").textContent} ${row.textContent}`.toLowerCase();
          row.hidden = !words.every((word) => text.includes(word));
        }
        const left = rows.filter((row) => !row.hidden).length;
        chapter.hidden = !left;
        shown += left;
      }
      told.textContent = words.length ? `${shown} of ${all}` : all;
    };
    input.addEventListener("input", filter);
    box.hidden = false;
    filter(); // a browser that comes back to the page has kept the words
  }

  // Who comes from the search is shown its words in the section that was found; formulas and code keep their text.
  function markWords() {
    const wanted = JSON.parse(sessionStorage.getItem("gp-search") || "[]");
    sessionStorage.removeItem("gp-search");
    const place = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!wanted.length || !place) return;
    const words = new RegExp(`\\b(?:${wanted.join("|").replace(/s/g, "[sz]")})\\w{0,6}`, "giu");
    const where = place.matches("dt") ? [place, place.nextElementSibling] : [place];
    for (const part of where) {
      const walk = document.createTreeWalker(part, NodeFilter.SHOW_TEXT), texts = [];
      while (walk.nextNode()) texts.push(walk.currentNode);
      for (const text of texts) {
        if (text.parentElement.closest("section, dt, dd") !== part && part.matches("section")) continue;
        if (text.parentElement.closest(".math, pre, svg, button, script, style, mark, summary")) continue;
        for (let rest = text, match; (match = new RegExp(words).exec(rest.data)); ) {
          const mark = document.createElement("mark");
          mark.className = "gp-found";
          const found = rest.splitText(match.index);
          rest = found.splitText(match[0].length);
          found.replaceWith(mark);
          mark.append(found);
        }
      }
    }
  }
  markWords();

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
