"use strict";
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  const body = table.tBodies[0];
  heads.forEach((head, column) => {
    const button = head.querySelector("button");
    button.disabled = false;
    button.addEventListener("click", () => sort(heads, body, head, column));
  });
}
function sort(heads, body, head, column) {
  const now = head.getAttribute("aria-sort");
  const first = head.dataset.first;
  const other = first === "ascending" ? "descending" : "ascending";
  const order = now === first ? other : first;
  for (const one of heads) one.setAttribute("aria-sort", one === head ? order : "none");
  const sign = order === "ascending" ? 1 : -1;
  const rows = [...body.rows].map((row) => [row, key(row.cells[column])]);
  rows.sort(([, a], [, b]) => compare(a, b, sign));
  body.append(...rows.map(([row]) => row));
}
function key(cell) {
  if (cell.dataset.value !== undefined) return Number(cell.dataset.value);
  return cell.matches(".none") ? null : cell.textContent.trim();
}
function compare(a, b, sign) {
  if (a === null || b === null) return (a === null) - (b === null);
  if (typeof a === "number" && typeof b === "number") return sign * (a - b);
  if (typeof a !== typeof b) return typeof a === "number" ? -1 : 1;
  return sign * a.localeCompare(b, "en", { numeric: true });
}
