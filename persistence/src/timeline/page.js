"use strict";
const links = [...document.querySelectorAll("#events a")];
const states = [...document.querySelectorAll("#states section")];
const page = 10;
let here = -1;

function show(n) {
  if (!links.length) return;
  n = Math.max(0, Math.min(links.length - 1, n));
  if (n === here) return;
  if (here >= 0) {
    links[here].removeAttribute("aria-current");
    states[here].hidden = true;
  }
  here = n;
  links[n].setAttribute("aria-current", "true");
  links[n].scrollIntoView({ block: "nearest" });
  states[n].hidden = false;
  try {
    history.replaceState(null, "", "#" + states[n].id);
  } catch (e) {
    // A page that is shown without an address of its own has nothing to remember.
  }
}

function named() {
  return states.findIndex((state) => "#" + state.id === location.hash);
}

document.documentElement.classList.add("lively");
states.forEach((state) => (state.hidden = true));
links.forEach((link, n) =>
  link.addEventListener("click", (event) => {
    event.preventDefault();
    show(n);
  }),
);
addEventListener("hashchange", () => named() >= 0 && show(named()));
addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey) return;
  const to = {
    ArrowDown: here + 1, j: here + 1, ArrowRight: here + 1,
    ArrowUp: here - 1, k: here - 1, ArrowLeft: here - 1,
    PageDown: here + page, PageUp: here - page,
    Home: 0, End: links.length - 1,
  }[event.key];
  if (to === undefined) return;
  event.preventDefault();
  show(to);
});
const start = links.findIndex((link) => link.hasAttribute("data-start"));
show(named() >= 0 ? named() : start >= 0 ? start : links.length - 1);
