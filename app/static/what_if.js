// The number follows its slider, and the answer follows without a new page. Without this file the button does it.
"use strict";
const form = document.getElementById("moves");

function shown(slider) {
  const { before, scale, digits, after } = slider.dataset;
  const number = Number(slider.value) * Number(scale);
  const places = { minimumFractionDigits: Number(digits), maximumFractionDigits: Number(digits) };
  return before + number.toLocaleString("en", places) + after;
}

function address() {
  // What was not moved stays out, so that the address says what was.
  const asked = new URLSearchParams();
  for (const field of form.elements) {
    if (field.name && field.value && field.value !== field.dataset.own) asked.set(field.name, field.value);
  }
  return `${location.pathname}?${asked}`;
}

let waiting = 0;
let newest = 0;

async function ask() {
  const number = ++newest;
  const there = address();
  try {
    const page = new DOMParser().parseFromString(await (await fetch(there)).text(), "text/html");
    const answer = page.getElementById("answer");
    if (number !== newest) return;
    if (!answer) throw new Error("no answer");
    // What the answer says, in full and above the sliders, and what each slider says beside itself.
    for (const here of document.querySelectorAll("#answer, #says, #moves .small[id]")) {
      here.replaceChildren(...page.getElementById(here.id).childNodes);
    }
    history.replaceState(null, "", `${there}#what-if`);
  } catch {
    // The whole page says what is wrong.
    location.assign(`${there}#what-if`);
  }
}

function soon() {
  clearTimeout(waiting);
  waiting = setTimeout(ask, 150);
}

if (form) {
  form.addEventListener("input", (event) => {
    const slider = event.target;
    if (slider.type === "range") {
      document.getElementById(`${slider.id}-is`).textContent = shown(slider);
      slider.setAttribute("aria-valuetext", shown(slider));
    }
    soon();
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    ask();
  });
}
