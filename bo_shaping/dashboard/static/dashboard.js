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

// 2. Ages: "3 s ago" grows old by itself.
const UNITS = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
function refreshAges() {
  for (const time of document.querySelectorAll("time[data-at]")) {
    const seconds = Math.max(Date.now() / 1000 - Number(time.dataset.at), 0);
    const [length, unit] = UNITS.find(([each]) => seconds >= each) || UNITS[UNITS.length - 1];
    time.textContent = `${Math.floor(seconds / length)} ${unit} ago`;
  }
}
setInterval(refreshAges, 5000);

// 3. Changes: the server sends the parts of the page that are new, as escaped HTML that the policy lets run nothing.
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
  if (change.table) filterRows(change.table);
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

// 4. A question to the reward model takes seconds: say so, and ask once.
const ask = document.querySelector("form[data-waits]");
if (ask) {
  ask.addEventListener("submit", () => {
    const button = ask.querySelector("button[type=submit]");
    button.textContent = ask.dataset.waits;
    setTimeout(() => { button.disabled = true; }, 0);
  });
}
