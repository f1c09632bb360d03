"use strict";
// A click on a column sorts by it, a second one the other way round; cases without a number stay at the end.
const body = document.querySelector("tbody");
let last = null;
let upwards = true;
for (const button of document.querySelectorAll("thead button")) {
  button.onclick = () => {
    const column = button.dataset.column;
    upwards = column === last ? !upwards : column === "case";
    last = column;
    const valueOf = (row) => column === "case" ? JSON.parse(row.dataset.row).case : row.cells[Number(column) + 2].dataset.value;
    const rows = [...body.rows].sort((one, other) => {
      const [a, b] = [valueOf(one), valueOf(other)];
      if (a === "" || b === "") return (a === "") - (b === "");
      const order = column === "case" ? a.localeCompare(b, undefined, { numeric: true }) : Number(a) - Number(b);
      return upwards ? order : -order;
    });
    body.append(...rows);
    for (const other of document.querySelectorAll("thead th")) other.removeAttribute("aria-sort");
    button.parentElement.setAttribute("aria-sort", upwards ? "ascending" : "descending");
  };
}
