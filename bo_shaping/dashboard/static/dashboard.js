// What a page can do beyond being read: filter its tables while somebody types, and take in what changed.
"use strict";

// 1. Filters: every word that was typed must stand in the row, and its state must be the chosen one.
function filterRows(tableId) {
  const input = document.querySelector(`[data-filters="${tableId}"]`);
  const choice = document.querySelector(`[data-states="${tableId}"]`);
  const words = input ? input.value.toLowerCase().split(/\s+/).filter(Boolean) : [];
  const state = choice ? choice.value : "";
  let shown = 0;
  for (const row of document.querySelectorAll(`#${tableId} > tr`)) {
    const text = row.textContent.toLowerCase();
    const fits = words.every((word) => text.includes(word)) && (!state || row.dataset.state === state);
    row.hidden = !fits;
    shown += fits ? 1 : 0;
  }
  const nothing = document.getElementById("no-match");
  if (nothing) nothing.hidden = shown > 0;
}

for (const control of document.querySelectorAll("[data-filters], [data-states]")) {
  const table = control.dataset.filters || control.dataset.states;
  control.addEventListener("input", () => filterRows(table));
  if (control.form) control.form.addEventListener("submit", (event) => event.preventDefault());
  filterRows(table);
}

// 2. Order: the heading of a column is a button that sorts by it, and the other way round when pressed again.
function keyOf(row, column, isNumber) {
  const cell = row.cells[column];
  const time = cell.querySelector("time[data-at]");
  const text = time ? time.dataset.at : cell.textContent.trim();
  if (!isNumber) return text;
  // Percentages may stand behind a sign such as "> 99 %".
  const number = Number.parseFloat(text.replace(/^[<>~≈\s]+/, ""));
  return Number.isNaN(number) ? null : number;
}

function sortRows(tableId) {
  const body = document.getElementById(tableId);
  const head = body && body.parentElement.querySelector("th[aria-sort]");
  if (!head) return;
  const isNumber = head.dataset.sort === "number";
  const sign = head.getAttribute("aria-sort") === "ascending" ? 1 : -1;
  const keyed = Array.from(body.rows, (row) => [keyOf(row, head.cellIndex, isNumber), row]);
  keyed.sort(([a], [b]) => {
    // What has no number stands last, in either order.
    if (a === null || b === null) return (a === null) - (b === null);
    return sign * (isNumber ? a - b : a.localeCompare(b, undefined, { numeric: true }));
  });
  const focused = body.contains(document.activeElement) ? document.activeElement : null;
  body.append(...keyed.map(([, row]) => row));
  if (focused) focused.focus();
}

for (const head of document.querySelectorAll("th[data-sort]")) {
  const body = head.closest("table").tBodies[0];
  const button = document.createElement("button");
  button.type = "button";
  button.className = "sorts";
  button.textContent = head.textContent;
  head.replaceChildren(button);
  button.addEventListener("click", () => {
    // The largest number first, the first word first; then the other way round.
    const first = head.dataset.sort === "number" && head.cellIndex > 0 ? "descending" : "ascending";
    const other = first === "ascending" ? "descending" : "ascending";
    const next = head.getAttribute("aria-sort") === first ? other : first;
    for (const each of head.parentElement.cells) each.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", next);
    sortRows(body.id);
  });
}

// 3. Ages: "3 s ago" grows old by itself.
const UNITS = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
function refreshAges() {
  for (const time of document.querySelectorAll("time[data-at]")) {
    const seconds = Math.max(Date.now() / 1000 - Number(time.dataset.at), 0);
    const [length, unit] = UNITS.find(([each]) => seconds >= each) || UNITS[UNITS.length - 1];
    time.textContent = `${Math.floor(seconds / length)} ${unit} ago`;
  }
}
setInterval(refreshAges, 5000);

// 4. Changes: the server sends the parts of the page that are new, as escaped HTML that the policy lets run nothing.
function setPart(id, html) {
  const part = document.getElementById(id);
  if (part && part.innerHTML !== html) part.innerHTML = html;
}

function setRow(tableId, id, html) {
  const table = document.getElementById(tableId);
  if (!table) return;
  const holder = document.createElement("tbody");
  holder.innerHTML = html;
  const row = holder.firstElementChild;
  if (!row) return;
  const old = document.getElementById(id);
  if (old) {
    const ticked = old.querySelector("input:checked");
    const box = row.querySelector("input[type=checkbox]");
    if (ticked && box) box.checked = true;
    const focused = old.contains(document.activeElement);
    old.replaceWith(row);
    if (focused) (row.querySelector("a, input") || row).focus();
  } else {
    table.append(row);
  }
  row.classList.add("fresh");
}

function setPicture(name, version) {
  for (const part of document.querySelectorAll(`[data-picture="${name}"]`)) {
    const attribute = part.tagName === "SOURCE" ? "srcset" : "src";
    const address = part.getAttribute(attribute).split("?")[0];
    part.setAttribute(attribute, `${address}?v=${version}`);
  }
}

function takeIn(change) {
  for (const [id, html] of Object.entries(change.parts || {})) setPart(id, html);
  for (const [id, html] of Object.entries(change.rows || {})) setRow(change.table, id, html);
  for (const id of change.gone || []) document.getElementById(id)?.remove();
  for (const [name, version] of Object.entries(change.pictures || {})) setPicture(name, version);
  if (change.table) {
    filterRows(change.table);
    sortRows(change.table);
  }
}

const live = document.body.dataset.live;
if (live && "EventSource" in window) {
  const state = document.getElementById("link-state");
  const stream = new EventSource(live);
  stream.addEventListener("open", () => { state.textContent = "live"; state.className = "on"; });
  stream.addEventListener("error", () => { state.textContent = "not connected"; state.className = ""; });
  stream.addEventListener("change", (event) => takeIn(JSON.parse(event.data)));
  window.addEventListener("pagehide", () => stream.close());
  window.addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
}

// 5. A question to the reward model takes seconds: say so, and ask once.
const ask = document.querySelector("form[data-waits]");
if (ask) {
  ask.addEventListener("submit", () => {
    const button = ask.querySelector("button[type=submit]");
    button.textContent = ask.dataset.waits;
    setTimeout(() => { button.disabled = true; }, 0);
  });
}
