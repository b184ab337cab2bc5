"use strict";
// The grid of images: its columns (one a noise) are put in another order, and its numbers follow the chosen row.
(function () {
  const grid = document.getElementById("grid");
  if (!grid) return;
  const data = JSON.parse(document.getElementById("grid-data").textContent);
  const order = document.getElementById("order");
  const reference = document.getElementById("reference");
  const status = document.getElementById("grid-status");
  const blocks = Array.from(grid.querySelectorAll("table"), (table) => Array.from(table.rows));
  const width = data.width;

  // columns[k] holds the cells of noise k, one for each table row of a block: its number, then its pictures.
  const columns = data.noises.map((_, k) => blocks[Math.floor(k / width)].map((row) => row.cells[1 + (k % width)]));

  function similarity(k, row) {
    const chosen = Number(reference.value);
    const values = data.pairs[Math.min(chosen, row) + "," + Math.max(chosen, row)];
    return values === undefined ? null : values[k];
  }

  // A baseline's row counts in no order but its own.
  function meanSimilarity(k) {
    let sum = 0;
    for (let row = 0; row < data.sortable; row++) sum += similarity(k, row) || 0;
    return sum;
  }

  function arrange() {
    const sequence = columns.map((_, k) => k);
    if (order.value === "index") {
      sequence.sort((a, b) => data.noises[a] - data.noises[b]);
    } else {
      const sign = order.value === "most" ? -1 : 1;
      sequence.sort((a, b) => sign * (meanSimilarity(a) - meanSimilarity(b)) || data.noises[a] - data.noises[b]);
    }
    blocks.forEach((rows, b) => {
      const part = sequence.slice(b * width, (b + 1) * width);
      rows.forEach((row, r) => row.append(...part.map((k) => columns[k][r])));
    });
  }

  function announce() {
    status.textContent = "Sorted: " + order.selectedOptions[0].textContent + ".";
  }

  function relabel() {
    columns.forEach((cells, k) => cells.slice(1).forEach((cell, row) => {
      const value = similarity(k, row);
      const label = cell.querySelector(".value");
      label.textContent = value === null ? "" : value.toFixed(3);
      label.classList.toggle("none", value === null);
      label.classList.toggle("above", value !== null && value > data.threshold);
    }));
    grid.querySelectorAll("tbody").forEach((body) => Array.from(body.rows).forEach((tableRow, row) => {
      tableRow.cells[0].querySelector(".is-reference").hidden = row !== Number(reference.value);
    }));
  }

  order.addEventListener("change", () => { arrange(); announce(); });
  reference.addEventListener("change", () => { relabel(); arrange(); announce(); });
  relabel();
  arrange();
  document.getElementById("grid-controls").hidden = false;
})();
