"use strict";

// The table of all files: sorted by a click on a column's head, filtered by image and codec. Sorting
// is stable, and what a row lacks stands last in both directions.
function makeTable(data, open) {
  const $ = (id) => document.getElementById(id);
  const PRINTED_ROWS = 400;
  const table = $("rows"), body = table.tBodies[0], head = table.tHead.rows[0];
  const columns = [
    { label: "image", value: (row) => data.images[row[0]].name },
    { label: "codec", value: (row) => data.codecs[row[1]] },
    { label: "point", value: (row) => row[2] },
    { label: "setting", value: (row) => row[3] },
    { label: "bytes", value: (row) => row[4], digits: 0 },
    { label: "bpp", value: (row) => row[5], digits: 4 },
    ...data.metrics.map(({ label, digits, isHigherBetter }, index) => ({
      label: `${label} ${isHigherBetter ? "↑" : "↓"}`, value: (row) => row[6][index], digits,
    })),
  ];
  const words = new Intl.Collator("en", { numeric: true });
  let sorted = { column: null, isRising: true };

  function text(value, digits) {
    if (value === null || value === undefined) return "–";
    if (digits === undefined) return String(value);
    return value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
  }

  const lines = data.rows.map((row) => {
    const line = document.createElement("tr");
    columns.forEach(({ value, digits }, index) => {
      const cell = document.createElement("td"), shown = text(value(row), digits);
      if (index) cell.textContent = shown;
      else {
        const button = document.createElement("button");
        button.textContent = shown;
        button.title = "open in the viewer";
        cell.append(button);
      }
      line.append(cell);
    });
    line.classList.toggle("mine", row[1] === data.ours);
    line.addEventListener("click", () => {
      if (!String(getSelection())) open(row);
    });
    return { row, line };
  });

  function compare(column, isRising) {
    const value = columns[column].value;
    return (one, other) => {
      const a = value(one.row), b = value(other.row);
      if (a === null || b === null) return (a === null) - (b === null);
      const order = typeof a === "number" ? a - b : words.compare(a, b);
      return isRising ? order : -order;
    };
  }

  function sort(column) {
    sorted = { column, isRising: sorted.column === column ? !sorted.isRising : true };
    lines.sort(compare(column, sorted.isRising));
    [...head.cells].forEach((cell, index) => {
      const direction = sorted.isRising ? "ascending" : "descending";
      cell.setAttribute("aria-sort", index === column ? direction : "none");
    });
    body.append(...lines.map(({ line }) => line));
  }

  function filter() {
    const [image, codec] = [$("filter-image").value, $("filter-codec").value];
    let seen = 0;
    for (const { row, line } of lines) {
      line.hidden = (image !== "" && row[0] !== Number(image)) || (codec !== "" && row[1] !== Number(codec));
      seen += !line.hidden;
    }
    const all = lines.length.toLocaleString("en");
    $("count").value = seen === lines.length ? `${all} files` : `${seen.toLocaleString("en")} of ${all} files`;
    $("files").classList.toggle("many", seen > PRINTED_ROWS);
  }

  function fill(select, names, all) {
    select.replaceChildren(...["", ...names.keys()].map((value) => {
      const made = document.createElement("option");
      made.value = value;
      made.textContent = value === "" ? all : names[value];
      return made;
    }));
    select.addEventListener("change", filter);
  }

  columns.forEach(({ label }, index) => {
    const cell = document.createElement("th"), button = document.createElement("button");
    cell.scope = "col";
    cell.setAttribute("aria-sort", "none");
    button.textContent = label;
    button.addEventListener("click", () => sort(index));
    cell.append(button);
    head.append(cell);
  });
  body.append(...lines.map(({ line }) => line));
  fill($("filter-image"), data.images.map(({ name }) => name), "all images");
  fill($("filter-codec"), data.codecs, "all codecs");
  filter();

  // Marks the rows whose pictures the viewer shows.
  function mark(rows) {
    for (const { row, line } of lines) line.classList.toggle("shown", rows.includes(row));
  }
  return { mark };
}
