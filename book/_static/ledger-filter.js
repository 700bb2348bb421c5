/* The ledger's filters. Without this script the form stays hidden and the page shows everything.
   The state stands in the address, as in #paper=baitan2025&ours=yes&text=blur, so that a view can be linked. */
(() => {
  "use strict";
  const form = document.getElementById("ledger-filter");
  if (!form) return;
  const status = form.querySelector("output");
  const FIELDS = ["paper", "data", "ours", "text"];
  const plain = (...parts) => parts.map(part => (part ? part.textContent : "")).join(" ").normalize("NFKC").toLowerCase();

  /* What can be shown: experiments, and the rows of their tables; an experiment without a number has none. */
  const experiments = [...document.querySelectorAll("script.ledger-facts")].map(script => {
    const { paper, tables } = JSON.parse(script.textContent);
    const section = script.closest("section");
    const about = section.parentElement.closest("section");
    const said = plain(section.querySelector("h3"), section.querySelector("p"), about && about.querySelector("h2"));
    const blocks = [...section.querySelectorAll(".lab-block")].map((element, place) => {
      const table = element.querySelector("table");
      const rows = [...table.tBodies[0].rows].map((row, line) =>
        ({ element: row, text: plain(table.tHead, row), ...tables[place][line] }));
      return { element, rows };
    });
    const link = section.querySelector("[id^='ledger-']");
    const listed = link && document.querySelector(`td a[href="#${link.id}"]`);
    return { paper, section, about, said, blocks, listed: listed && listed.closest("tr") };
  });
  const allRows = experiments.flatMap(one => one.blocks.flatMap(block => block.rows));
  const known = new Set(allRows.flatMap(row => [row.published, ...row.ours]));
  for (const option of [...form.elements.data.options]) if (option.value && !known.has(option.value)) option.remove();

  const state = () => Object.fromEntries(FIELDS.map(name => [name, form.elements[name].value.trim()]));

  function matches(row, { data, ours }) {
    const measured = data ? row.ours.includes(data) : row.ours.length > 0;
    if (data && row.published !== data && !measured) return false;
    return !ours || measured === (ours === "yes");
  }

  function show() {
    const asked = state();
    const words = asked.text.normalize("NFKC").toLowerCase().split(/\s+/).filter(Boolean);
    let rows = 0;
    for (const one of experiments) {
      const ofPaper = !asked.paper || one.paper === asked.paper;
      /* A word chooses among the rows where some of them have it; else it has to stand in what is said of them all. */
      const choosing = words.filter(word => one.blocks.some(block => block.rows.some(row => row.text.includes(word))));
      const said = words.every(word => choosing.includes(word) || one.said.includes(word));
      const says = row => said && choosing.every(word => row.text.includes(word));
      for (const block of one.blocks) {
        for (const row of block.rows) {
          row.element.hidden = !(ofPaper && matches(row, asked) && says(row));
          rows += !row.element.hidden;
        }
        block.element.hidden = block.rows.every(row => row.element.hidden);
      }
      const alone = !one.blocks.length && ofPaper && !asked.data && !asked.ours && said;
      one.section.hidden = !alone && one.blocks.every(block => block.element.hidden);
      if (one.listed) one.listed.hidden = one.section.hidden;
    }
    for (const about of new Set(experiments.map(one => one.about).filter(Boolean)))
      about.hidden = experiments.every(one => one.about !== about || one.section.hidden);
    const left = experiments.filter(one => !one.section.hidden).length;
    const nothing = left ? "" : "Nothing matches: ";
    status.textContent =
      `${nothing}${rows} of ${allRows.length} rows shown, in ${left} of ${experiments.length} experiments`;
  }

  function write() {
    const set = Object.entries(state()).filter(([, value]) => value);
    const page = location.href.split("#")[0];
    history.replaceState(null, "", set.length ? `${page}#${new URLSearchParams(set)}` : page);
  }

  function fill(given) {
    for (const name of FIELDS) {
      const field = form.elements[name];
      field.value = given.get(name) || "";
      if (field.selectedIndex < 0) field.selectedIndex = 0;
    }
    show();
  }

  /* A fragment is a view of ours, or a place on the page, which must not stay hidden. */
  function read() {
    const given = new URLSearchParams(location.hash.slice(1));
    if (!location.hash || FIELDS.some(name => given.has(name))) return fill(given);
    const place = document.querySelector(":target");
    if (!place || !place.closest("[hidden]")) return;
    fill(new URLSearchParams());
    place.scrollIntoView();
  }

  for (const event of ["input", "change"]) form.addEventListener(event, () => { show(); write(); });
  form.addEventListener("reset", event => {
    event.preventDefault();
    fill(new URLSearchParams());
    write();
  });
  form.addEventListener("submit", event => event.preventDefault());
  window.addEventListener("hashchange", read);
  fill(new URLSearchParams(location.hash.slice(1)));
  form.hidden = false;
})();
