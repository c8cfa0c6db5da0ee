"use strict";
// The server renders the page. This script fetches it again, and puts it in the place of the old one, element by element, so that
// focus, selection, scroll position and open details stay. It also keeps the ages right.

const live = document.getElementById("live");
const every = 3000; // milliseconds between two fetches
let clockLead = Date.now() - Date.parse(document.body.dataset.now); // of this browser before the server, in milliseconds
let next = 0;

// distance is a number of seconds in one unit, or in two from an hour on.
function distance(seconds) {
  const s = Math.floor(Math.abs(seconds)), m = Math.floor(s / 60), h = Math.floor(m / 60);
  if (s < 60) return `${s} s`;
  if (m < 60) return `${m} min`;
  if (h < 24) return `${h} h` + (m % 60 ? ` ${m % 60} min` : "");
  return `${Math.floor(h / 24)} d` + (h % 24 ? ` ${h % 24} h` : "");
}

// moment is a time as seen from now. Both are in milliseconds.
function moment(time, now) {
  return time > now ? `in ${distance((time - now) / 1000)}` : `${distance((now - time) / 1000)} ago`;
}

function keepAges() {
  const now = Date.now() - clockLead;
  for (const time of document.querySelectorAll("time.age")) {
    const text = moment(Date.parse(time.dateTime), now);
    if (time.textContent !== text) time.textContent = text;
    if (time.title !== time.dateTime) time.title = time.dateTime;
  }
}

// replace makes an element like another one. It keeps the nodes that both have, and moves one only if the order has changed, because
// a node that moves loses focus and selection.
function replace(old, fresh) {
  for (const { name } of [...old.attributes]) {
    if (name !== "open" && name !== "title" && !fresh.hasAttribute(name)) old.removeAttribute(name);
  }
  for (const { name, value } of fresh.attributes) {
    if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  const wanted = new Set();
  for (const child of fresh.children) wanted.add(child.dataset.key);
  const keyed = new Map();
  for (const child of [...old.children]) {
    const key = child.dataset.key;
    if (!key) continue;
    if (wanted.has(key) && !keyed.has(key)) keyed.set(key, child);
    else child.remove();
  }
  let at = old.firstChild;
  for (const next of [...fresh.childNodes]) {
    const key = next.dataset?.key;
    const same = key ? keyed.get(key) : at && !at.dataset?.key && at.nodeName === next.nodeName ? at : null;
    if (!same) {
      old.insertBefore(next, at);
      continue;
    }
    keyed.delete(key);
    while (at && at !== same && !at.dataset?.key) {
      const gone = at;
      at = at.nextSibling;
      gone.remove();
    }
    if (same === at) at = at.nextSibling;
    else old.insertBefore(same, at);
    if (next.nodeType === Node.ELEMENT_NODE) replace(same, next);
    else if (same.data !== next.data) same.data = next.data;
  }
  while (at) {
    const gone = at;
    at = at.nextSibling;
    gone.remove();
  }
}

function show(page) {
  const focused = document.activeElement, home = focused?.closest("section");
  clockLead = Date.now() - Date.parse(page.body.dataset.now);
  document.title = page.title;
  for (const section of page.querySelectorAll("main > section")) replace(document.getElementById(section.id), section);
  keepAges();
  // An element that moved has lost the focus. One that is gone leaves it to its section.
  if (focused && document.activeElement !== focused) (focused.isConnected ? focused : home)?.focus({ preventScroll: true });
}

function say(text, on) {
  live.textContent = text;
  live.classList.toggle("on", on);
}

// A page that nobody sees fetches nothing.
async function follow() {
  clearTimeout(next);
  if (document.hidden) return;
  try {
    const answer = await fetch("status", { signal: AbortSignal.timeout(30000) });
    if (!answer.ok) throw new Error(answer.statusText);
    show(new DOMParser().parseFromString(await answer.text(), "text/html"));
    say("Live", true);
  } catch {
    say("Not live, trying again", false);
  }
  clearTimeout(next);
  next = setTimeout(follow, every);
}

document.addEventListener("visibilitychange", follow);
setInterval(keepAges, 1000);
keepAges();
follow();
