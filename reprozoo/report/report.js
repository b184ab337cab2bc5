"use strict";
// Figures of the chosen measure; and grids of images: columns (one a noise) are put in another order, and numbers
// follow the chosen measure and row.
(function () {
  document.querySelectorAll(".distributions").forEach((section) => {
    const choice = section.querySelector(".figure-measure");
    if (!choice || choice.options.length < 2) return;
    function show() {
      section.querySelectorAll(".figures").forEach((figures) => {
        figures.hidden = figures.dataset.measure !== choice.value;
      });
    }
    choice.addEventListener("change", show);
    section.querySelector(".controls").hidden = false;
    show();
  });

  document.querySelectorAll(".gallery").forEach((section) => {
    const data = JSON.parse(section.querySelector(".grid-data").textContent);
    const grid = section.querySelector(".grid");
    const order = section.querySelector(".order");
    const chosen = section.querySelector(".measure");
    const reference = section.querySelector(".reference");
    const status = section.querySelector(".grid-status");
    const blocks = Array.from(grid.querySelectorAll("table"), (table) => Array.from(table.rows));
    const width = data.width;
    const fixed = Object.keys(data.partners).length > 0;

    // columns[k] holds the cells of noise k, one for each table row of a block: its number, then its pictures.
    const columns = data.noises.map((_, k) => blocks[Math.floor(k / width)].map((row) => row.cells[1 + (k % width)]));

    function measure() {
      return data.measures[Number(chosen.value)];
    }

    function valueOf(k, row) {
      const other = fixed ? data.partners[row] : Number(reference.value);
      if (other === undefined || (other === row && !fixed)) return null;
      const values = measure().pairs[Math.min(other, row) + "," + Math.max(other, row)];
      return values === undefined ? null : values[k];
    }

    // A baseline's row counts in no order but its own.
    function closeness(k) {
      let sum = 0;
      for (let row = 0; row < data.sortable; row++) sum += valueOf(k, row) || 0;
      return measure().higher ? sum : -sum;
    }

    function arrange() {
      const sequence = columns.map((_, k) => k);
      if (order.value === "index") {
        sequence.sort((a, b) => data.noises[a] - data.noises[b]);
      } else {
        const sign = order.value === "most" ? -1 : 1;
        const by = sequence.map(closeness);
        sequence.sort((a, b) => sign * (by[a] - by[b]) || data.noises[a] - data.noises[b]);
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
      const { decimals, higher, threshold } = measure();
      columns.forEach((cells, k) => cells.slice(1).forEach((cell, row) => {
        const value = fixed && data.partners[row] > row ? null : valueOf(k, row);
        const label = cell.querySelector(".value");
        label.textContent = value === null ? "" : value.toFixed(decimals);
        label.classList.toggle("none", value === null);
        label.classList.toggle("bare", threshold === null);
        const close = value !== null && threshold !== null && (higher ? value > threshold : value < threshold);
        label.classList.toggle("close", close);
      }));
      if (fixed) return;
      grid.querySelectorAll("tbody").forEach((body) => Array.from(body.rows).forEach((tableRow, row) => {
        tableRow.cells[0].querySelector(".is-reference").hidden = row !== Number(reference.value) || data.sortable < 2;
      }));
    }

    order.addEventListener("change", () => { arrange(); announce(); });
    [chosen, reference].forEach((control) => control.addEventListener("change", () => {
      relabel();
      arrange();
      announce();
    }));
    relabel();
    arrange();
    section.querySelector(".controls").hidden = false;
  });
})();
