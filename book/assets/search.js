// The search: ranks the sections of the book (sections.js) for the words that somebody typed, and shows the best.
(function () {
  "use strict";

  // Words that questions are made of and that say nothing about their subject.
  const EMPTY = new Set(
    ("a about all am an and are as at be by can do does for from gets has have how i if in is it its me mine my not of " +
      "on or our out should so than that the their there they this to use used using versus vs was what when where " +
      "which why will with you your").split(" "),
  );
  // Of two sections that fit alike, an answer is wanted before a signature or a list of exercises.
  const KINDS = [
    [/^book\/questions/, 1.35],
    [/^book\/(api|results|contributing|bibliography|benchmark)/, 0.6],
    [/#(exercises|where-next|verdict|long-run|full-run|predict)$/, 0.6],
  ];

  // Both spellings of "normalise" are one word, and so are its forms.
  function stem(word) {
    let folded = word.toLowerCase().normalize("NFKD").replace(/[\u0300-\u036f]/g, "").replace(/z/g, "s");
    folded = folded.replace(/^_+|_+$/g, "");
    if (folded.length > 4) folded = folded.replace(/(ations?|ing|ed|es|s|e)$/, "");
    return folded;
  }
  const split = (text) => text.match(/[\p{L}\p{N}_]+/gu) || [];

  function index(sections) {
    const documents = sections.map(([address, title, page, text]) => {
      const counts = new Map();
      const words = split(text).map(stem);
      for (const word of words) counts.set(word, (counts.get(word) || 0) + 1);
      const kind = KINDS.reduce((factor, [pattern, by]) => (pattern.test(address) ? factor * by : factor), 1);
      return {
        address, title, page, text, counts, kind, length: words.length,
        titleWords: new Set(split(title).map(stem)), pageWords: new Set(split(page).map(stem)),
      };
    });
    const average = documents.reduce((sum, one) => sum + one.length, 0) / Math.max(1, documents.length);
    return { documents, average, vocabulary: new Set(documents.flatMap((one) => [...one.counts.keys(), ...one.titleWords])) };
  }

  // The words of a query, each with the words of the book that stand for it: itself and its numbered versions, or where
  // the book does not have it those that hold it.
  function understand(query, vocabulary) {
    const typed = [...new Set(split(query).map((word) => word.toLowerCase()))];
    const meant = typed.filter((word) => !EMPTY.has(word));
    return (meant.length ? meant : typed).map(stem).map((word) => {
      const version = (other) => other.startsWith(word) && /^\d+$/.test(other.slice(word.length));
      if (vocabulary.has(word) && word.length > 3) return [word, ...[...vocabulary].filter(version)];
      if (vocabulary.has(word) || word.length < 3) return [word];
      const holding = [...vocabulary].filter((other) => other.includes(word));
      return holding.length ? holding : [word];
    });
  }

  function find(query, { documents, average, vocabulary }) {
    const terms = understand(query, vocabulary);
    const has = (one, term) => term.some((word) => one.counts.has(word) || one.titleWords.has(word));
    const rarity = terms.map((term) => Math.log(1 + documents.length / (1 + documents.filter((one) => has(one, term)).length)));
    const scored = documents.map((one) => {
      let score = 0, met = 0;
      terms.forEach((term, i) => {
        const count = term.reduce((sum, word) => sum + (one.counts.get(word) || 0), 0);
        const saturated = (2.2 * count) / (count + 1.2 * (0.4 + (0.6 * one.length) / average));
        const titled = term.some((word) => one.titleWords.has(word)) ? 3 : 0;
        const paged = term.some((word) => one.pageWords.has(word)) ? 0.7 : 0;
        if (count || titled) met += 1;
        score += rarity[i] * (saturated + (titled && titled / Math.sqrt(1 + 0.15 * one.titleWords.size)) + (count && paged));
      });
      return { ...one, score: score * one.kind * (met / Math.max(1, terms.length)) ** 2 };
    });
    const best = Math.max(0, ...scored.map((one) => one.score));
    const kept = scored.filter((one) => one.score > 0.2 * best).sort((a, b) => b.score - a.score);
    return { terms: terms.flat(), results: kept.slice(0, 15) };
  }

  // A piece of a section's text in which the most of the words stand close together, the words marked.
  function excerpt(text, terms) {
    const wanted = new Set(terms);
    const places = [...text.matchAll(/[\p{L}\p{N}_]+/gu)].filter((match) => wanted.has(stem(match[0])));
    let start = 0, most = 0;
    for (const place of places) {
      const near = new Set(places.filter((p) => p.index >= place.index && p.index < place.index + 200).map((p) => stem(p[0])));
      if (near.size > most) [start, most] = [Math.max(0, place.index - 60), near.size];
    }
    if (start) start = text.indexOf(" ", start) + 1;
    const end = start + 240 < text.length ? text.lastIndexOf(" ", start + 240) : text.length;
    const line = document.createElement("p");
    line.className = "context";
    let at = start;
    line.append(start ? "… " : "");
    for (const place of places.filter((p) => p.index >= start && p.index + p[0].length <= end)) {
      const mark = document.createElement("mark");
      mark.textContent = place[0];
      line.append(text.slice(at, place.index), mark);
      at = place.index + place[0].length;
    }
    line.append(text.slice(at, end) + (end < text.length ? " …" : ""));
    return line;
  }

  function show(query, into) {
    const { terms, results } = find(query, known());
    const title = document.createElement("h2");
    title.textContent = results.length ? "Sections" : "Nothing found";
    const list = document.createElement("ul");
    list.className = "search";
    for (const one of results) {
      const item = document.createElement("li"), link = document.createElement("a");
      link.href = one.address;
      link.textContent = one.title === one.page ? one.title : `${one.page} › ${one.title}`;
      // The page that opens marks them in the section.
      link.addEventListener("click", () => sessionStorage.setItem("gp-search", JSON.stringify(terms)));
      item.append(link, excerpt(one.text, terms));
      list.append(item);
    }
    const told = document.createElement("p");
    told.className = "search-summary";
    told.textContent = results.length
      ? `${results.length === 1 ? "One section" : `The ${results.length} sections`} that fit best.`
      : "No section has these words. The glossary and the page of questions list the words that the book uses.";
    into.replaceChildren(title, told, list);
  }

  let indexed;
  const known = () => (indexed = indexed || index(window.gpSections));
  const query = new URLSearchParams(location.search).get("q");
  for (const box of document.querySelectorAll('input[name="q"]')) box.value = query || "";
  if (query) show(query, document.getElementById("search-results"));
  window.gpSearch = (text) => find(text, known()).results.map(({ address, score }) => [address, score]);
})();
