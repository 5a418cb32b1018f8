// The page's behaviour: formulas, filter, links that open what they lead to, language, print.
"use strict";

const byId = (id) => document.getElementById(id);
const claims = [...document.querySelectorAll("details.claim")];

// Formulas are typeset when they are first needed: TeX stays where that fails, and is reported.
function typeset(within) {
  for (const place of within.querySelectorAll(".formula:not([data-done])")) {
    place.dataset.done = "";
    try {
      const options = { displayMode: true, throwOnError: true, annotate: false };
      temml.render(place.dataset.tex, place, options);
    } catch (error) {
      place.innerHTML = "";
      place.append(Object.assign(document.createElement("code"), { textContent: place.dataset.tex }));
      console.error(`${place.closest("details").id}: ${error.message}`);
    }
  }
}

for (const claim of claims) {
  claim.addEventListener("toggle", () => claim.open && typeset(claim));
}

// The rest while nobody waits, so that a search in the page, a print and a reader find them.
const waiting = [...claims];
function typesetLater(deadline) {
  while (waiting.length && deadline.timeRemaining() > 4) typeset(waiting.shift());
  if (waiting.length) requestIdleCallback(typesetLater);
  else document.documentElement.dataset.typeset = "all";
}
if (window.requestIdleCallback) requestIdleCallback(typesetLater);

// A packed drawing becomes an image, which keeps its ids to itself and can run no script.
async function unpack(image) {
  const bytes = Uint8Array.from(atob(image.dataset.packed), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  image.src = `data:image/svg+xml,${encodeURIComponent(await new Response(stream).text())}`;
}
document.querySelectorAll("img[data-packed]").forEach(unpack);

const words = new Map();
function wordsOf(claim) {
  if (!words.has(claim)) words.set(claim, claim.textContent.toLowerCase());
  return words.get(claim);
}
// Before a formula loses its TeX, so that \gamma can be searched for.
claims.forEach(wordsOf);

function matches(claim, wanted) {
  return (
    (!wanted.section || claim.parentElement.dataset.section === wanted.section) &&
    (!wanted.verdict || claim.dataset.verdict === wanted.verdict) &&
    (!wanted.route || claim.dataset.routes.split(" ").includes(wanted.route)) &&
    (!wanted.proof || claim.dataset.proof === wanted.proof) &&
    wanted.search.every((word) => wordsOf(claim).includes(word))
  );
}

const choices = ["section", "verdict", "route", "proof"];
function filter() {
  const wanted = Object.fromEntries(choices.map((name) => [name, byId(name).value]));
  wanted.search = byId("search").value.toLowerCase().split(/\s+/).filter(Boolean);
  let shown = 0;
  for (const claim of claims) {
    claim.hidden = !matches(claim, wanted);
    shown += !claim.hidden;
  }
  for (const group of document.querySelectorAll("section.group")) {
    group.hidden = !group.querySelector("details.claim:not([hidden])");
  }
  byId("count").textContent = `${shown} / ${claims.length}`;
}
function showAll() {
  byId("filter").reset();
  filter();
}
byId("filter").addEventListener("input", filter);
byId("filter").addEventListener("submit", (event) => event.preventDefault());
byId("show-all").addEventListener("click", showAll);
byId("open-all").addEventListener("click", () => {
  for (const claim of claims) claim.open ||= !claim.hidden;
});
byId("close-all").addEventListener("click", () => {
  for (const claim of claims) claim.open = false;
});
filter();

function follow() {
  const target = byId(decodeURIComponent(location.hash.slice(1)));
  if (!target) return;
  if (target.matches("details.claim")) {
    if (target.hidden) showAll();
    target.open = true;
    target.querySelector("summary").focus({ preventScroll: true });
  }
  target.scrollIntoView();
}
addEventListener("hashchange", follow);
// A second click on the same link changes no address.
document.addEventListener("click", (event) => {
  const link = event.target.closest('a[href^="#"]');
  if (link && link.getAttribute("href") === location.hash) follow();
});

function speak(language) {
  const root = document.documentElement;
  root.dataset.language = language;
  root.lang = language === "zh" ? "zh-Hans" : "en";
  for (const button of document.querySelectorAll("button[data-language]")) {
    button.setAttribute("aria-pressed", String(button.dataset.language === language));
  }
  for (const option of document.querySelectorAll("option[data-en]")) {
    option.textContent = option.dataset[language];
  }
  document.dispatchEvent(new Event("language"));
}
for (const button of document.querySelectorAll("button[data-language]")) {
  button.addEventListener("click", () => speak(button.dataset.language));
}

// On paper nothing can be opened, so all that the filter shows is open.
let opened = [];
addEventListener("beforeprint", () => {
  typeset(document);
  opened = [...document.querySelectorAll("details:not([open])")];
  for (const details of opened) details.open = true;
});
addEventListener("afterprint", () => {
  for (const details of opened) details.open = false;
  opened = [];
});
