// Sorting and filtering. Without it all is there to read, in the order in which it is most useful.
"use strict";
(() => {
  const collator = new Intl.Collator(undefined, { numeric: true });
  const keyOf = (row, column) => {
    const cell = row.cells[column];
    return cell.dataset.key === undefined ? cell.textContent.trim() : cell.dataset.key;
  };
  for (const table of document.querySelectorAll("table")) {
    const heads = [...table.tHead.rows[0].cells];
    const body = table.tBodies[0];
    heads.forEach((head, column) => {
      if (!head.dataset.sort) return;
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = head.textContent;
      head.replaceChildren(button);
      button.addEventListener("click", () => {
        const turn = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
        for (const other of heads) other.removeAttribute("aria-sort");
        head.setAttribute("aria-sort", turn === 1 ? "ascending" : "descending");
        const rows = [...body.rows].map((row) => [keyOf(row, column), row]);
        // What has nothing there comes last, whichever way it is sorted.
        rows.sort(([a], [b]) => (a === "") - (b === "") || turn * collator.compare(a, b));
        body.append(...rows.map(([, row]) => row));
      });
    });
  }
  const main = document.querySelector("main");
  const all = [...main.querySelectorAll("tbody tr, .pressing > li")];
  if (all.length < 2) return;
  const bar = document.createElement("div");
  bar.className = "filter";
  bar.setAttribute("role", "search");
  const label = document.createElement("label");
  label.textContent = "Show only what holds ";
  const input = document.createElement("input");
  input.type = "search";
  const told = document.createElement("output");
  label.append(input);
  bar.append(label, told);
  main.before(bar);
  input.addEventListener("input", () => {
    const wanted = input.value.trim().toLowerCase();
    for (const one of all) one.hidden = !one.textContent.toLowerCase().includes(wanted);
    const rows = [...document.querySelectorAll("table.all tbody tr")];
    const left = rows.filter((row) => !row.hidden).length;
    told.textContent = wanted ? left + " of " + rows.length : "";
  });
})();
