// What the pages need beyond htmx. No inline script anywhere: the Content-Security-Policy forbids it.
"use strict";

// ---- notices ----

const NOTICE_MILLISECONDS = 8000;

// What an action came to; what went wrong stays until it is closed.
function notice(kind, words) {
  const place = document.getElementById("notices");
  if (!place || !words) return;
  const box = document.createElement("div");
  box.className = "notice " + (["ok", "warn", "bad"].includes(kind) ? kind : "");
  const text = document.createElement("span");
  text.textContent = words;
  const close = document.createElement("button");
  close.type = "button";
  close.setAttribute("aria-label", "Close this notice");
  close.textContent = "×";
  close.addEventListener("click", () => box.remove());
  box.append(text, close);
  place.append(box);
  while (place.children.length > 4) place.firstElementChild.remove();
  if (kind === "ok") setTimeout(() => box.remove(), NOTICE_MILLISECONDS);
}

document.addEventListener("notice", (event) => {
  // what came of connecting is an old story once something else was done
  const outcome = document.getElementById("outcome");
  if (outcome) outcome.remove();
  notice(event.detail.kind, event.detail.words);
});

// ---- what htmx leaves open ----

// The words of an answer that says no: a piece of a page, or JSON.
function wordsOf(xhr) {
  try {
    return JSON.parse(xhr.responseText).message;
  } catch { /* not JSON */ }
  const page = new DOMParser().parseFromString(xhr.responseText, "text/html");
  const found = page.querySelector(".notice");
  return found ? found.textContent.trim() : "That did not work (" + xhr.status + "). Try again.";
}

function isNotice(xhr) {
  return /^\s*<p class="notice/.test(xhr.responseText) || !/^\s*</.test(xhr.responseText);
}

// A form that comes back with what is wrong in it takes the place of the form that was sent; everything else is a notice.
document.addEventListener("htmx:beforeSwap", (event) => {
  if (event.detail.xhr.status === 422 && !isNotice(event.detail.xhr)) {
    event.detail.shouldSwap = true;
    event.detail.isError = false;
  }
});
document.addEventListener("htmx:responseError", (event) => {
  // a page that reloads by itself says nothing: the mark at the top tells that the connection is lost
  if (!isLiveReload(event.detail)) notice("bad", wordsOf(event.detail.xhr));
});
document.addEventListener("htmx:sendError", (event) => {
  if (!isLiveReload(event.detail)) notice("bad", "The console cannot be reached. Nothing was changed.");
});

function isLiveReload(detail) {
  const cause = detail.requestConfig && detail.requestConfig.triggeringEvent;
  return Boolean(cause && cause.type === "sync-changed");
}

// What somebody opened, ticked or stood on survives a part of the page being loaded again (by its id).
let kept = null;
document.addEventListener("htmx:beforeSwap", (event) => {
  const part = event.detail.target;
  if (!part || !part.querySelectorAll) return;
  const focused = document.activeElement;
  kept = {
    open: Array.from(part.querySelectorAll("details[open][id]"), (each) => each.id),
    ticked: Array.from(part.querySelectorAll("input[type=checkbox][data-keep][id]:checked"), (each) => each.id),
    focus: focused && part.contains(focused) ? focused.id : "",
    scrolled: Array.from(part.querySelectorAll(".scroll[id]"), (each) => [each.id, each.scrollLeft]),
  };
});
document.addEventListener("htmx:afterSettle", () => {
  refreshTimes();
  if (!kept) return;
  const { open, ticked, focus, scrolled } = kept;
  kept = null;
  for (const id of open) { const each = document.getElementById(id); if (each) each.open = true; }
  for (const id of ticked) { const each = document.getElementById(id); if (each) each.checked = true; }
  for (const [id, left] of scrolled) { const each = document.getElementById(id); if (each) each.scrollLeft = left; }
  // a part that says itself where to go on is followed
  if (focus && document.activeElement.id !== focus && !document.activeElement.autofocus) {
    const each = document.getElementById(focus);
    if (each) each.focus({ preventScroll: true });
  }
  countChosen();
});

// ---- questions before what cannot be taken back ----

// Asks in a dialog of the page: data-confirm-title, data-confirm-yes and class "danger" of the element that asks shape it.
function ask(words, element) {
  const dialog = document.getElementById("confirm");
  const yes = dialog.querySelector("[data-yes]");
  document.getElementById("confirm-title").textContent = element.dataset.confirmTitle || "Are you sure?";
  document.getElementById("confirm-words").textContent = words;
  yes.textContent = element.dataset.confirmYes || "Go on";
  const isDanger = element.classList.contains("danger") || element.dataset.confirmKind === "danger";
  yes.className = isDanger ? "button danger" : "button primary";
  return new Promise((resolve) => {
    dialog.returnValue = "no";
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
    dialog.showModal();
  });
}

document.addEventListener("htmx:confirm", (event) => {
  if (!event.detail.question) return;
  event.preventDefault();
  ask(event.detail.question, event.detail.elt).then((yes) => { if (yes) event.detail.issueRequest(true); });
});
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!form.dataset.confirm || form.dataset.confirmed) return;
  event.preventDefault();
  ask(form.dataset.confirm, form).then((yes) => {
    if (!yes) return;
    form.dataset.confirmed = "true";
    form.requestSubmit(event.submitter || undefined);
    delete form.dataset.confirmed;
  });
}, true);

// ---- times, in the reader's own words and zone ----

const UNITS = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];

function ago(moment) {
  const seconds = (Date.now() - moment) / 1000;
  const distance = Math.abs(seconds);
  if (distance < 10) return "just now";
  const [length, unit] = UNITS.find(([each]) => distance >= each);
  const words = Math.floor(distance / length) + " " + unit;
  return seconds > 0 ? words + " ago" : "in " + words;
}

function refreshTimes() {
  for (const each of document.querySelectorAll("time[datetime]")) {
    const moment = Date.parse(each.dateTime);
    if (Number.isNaN(moment)) continue;
    const exact = new Date(moment).toLocaleString();
    if (each.title !== exact) each.title = exact;
    if (each.hasAttribute("data-ago")) {
      const words = ago(moment);
      if (each.textContent !== words) each.textContent = words;
    }
  }
}

// ---- live: one stream while the page is looked at ----

const LONGEST_PAUSE = 30000;
let stream = null;
let pause = 1000;
let again = 0;
let pending = 0;

function mark(state, words) {
  const place = document.querySelector("[data-live]");
  if (!place || place.dataset.state === state) return;
  place.dataset.state = state;
  place.textContent = words;
}

// At most one reload a second, however much happens, and fewer where a reload takes long.
let effort = 0;
function changed() {
  if (pending) return;
  pending = setTimeout(() => {
    pending = 0;
    document.body.dispatchEvent(new CustomEvent("sync-changed"));
  }, Math.max(400 + Math.random() * 600, Math.min(5 * effort, LONGEST_PAUSE)));
}
document.addEventListener("htmx:beforeRequest", (event) => { if (isLiveReload(event.detail)) event.detail.xhr.begun = performance.now(); });
document.addEventListener("htmx:afterRequest", (event) => { if (isLiveReload(event.detail) && event.detail.xhr.begun) effort = performance.now() - event.detail.xhr.begun; });

function follow() {
  const address = document.body.dataset.events;
  if (!address || stream || document.hidden) return;
  clearTimeout(again);
  stream = new EventSource(address);
  let missed = false;
  stream.addEventListener("ready", () => {
    if (pause > 1000 || missed) changed();
    pause = 1000;
    missed = false;
    mark("live", "Live");
  });
  stream.addEventListener("changed", changed);
  stream.addEventListener("closed", (event) => {
    leave();
    if (event.data === "expired" || event.data === "no_membership") {
      mark("lost", event.data === "expired" ? "Signed out" : "Not live");
      if (event.data === "expired") notice("warn", "Your sign-in has ended: load the page again to sign in.");
      return;
    }
    // too many pages are open, or the console is started anew
    mark("lost", event.data === "stopping" ? "Reconnecting" : "Not live");
    again = setTimeout(follow, event.data === "stopping" ? 1000 + Math.random() * 2000 : LONGEST_PAUSE);
  });
  stream.addEventListener("error", () => {
    missed = true;
    mark("lost", "Reconnecting");
    // a refusal ends the stream for good, so we come back ourselves, less and less often
    leave();
    again = setTimeout(follow, pause * (0.5 + Math.random()));
    pause = Math.min(pause * 2, LONGEST_PAUSE);
  });
}

function leave() {
  if (stream) stream.close();
  stream = null;
}

// A browser has few connections to one host: a page that nobody looks at gives its own back.
document.addEventListener("visibilitychange", () => {
  if (document.hidden) {
    leave();
    clearTimeout(again);
  } else if (document.body.dataset.events) {
    changed();
    follow();
  }
});
window.addEventListener("pagehide", leave);
window.addEventListener("pageshow", (event) => { if (event.persisted) follow(); });

// ---- small things of pages ----

// How many rows are chosen, and the one box that chooses all.
function countChosen() {
  for (const group of document.querySelectorAll("[data-chooses]")) {
    const boxes = Array.from(document.querySelectorAll(group.dataset.chooses));
    const chosen = boxes.filter((box) => box.checked).length;
    const words = group.querySelector("[data-chosen]");
    if (words) words.textContent = chosen ? chosen + " chosen" : "None chosen";
    for (const button of group.querySelectorAll("[data-needs-choice]")) button.disabled = chosen === 0;
    const all = document.querySelector("[data-chooses-all]");
    if (all) {
      all.checked = chosen > 0 && chosen === boxes.length;
      all.indeterminate = chosen > 0 && chosen < boxes.length;
    }
  }
}

document.addEventListener("change", (event) => {
  const box = event.target;
  if (box.matches("[data-chooses-all]")) {
    for (const each of document.querySelectorAll(box.dataset.choosesAll)) each.checked = box.checked;
  }
  if (box.matches("select[data-submits]")) box.form.requestSubmit();
  countChosen();
});

// "/" goes to the search field, as people know it.
document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest("input, textarea, select, [contenteditable]")) return;
  const field = document.querySelector("input[type=search]");
  if (field) {
    event.preventDefault();
    field.focus();
    field.select();
  }
});

// The outcome is told once: loading the page again, or keeping its address, does not tell it anew.
function forgetOutcome() {
  if (document.getElementById("outcome")) window.history.replaceState(null, "", window.location.pathname);
}

// The sign-in link carries its token behind the #: it becomes the form's, and a click confirms it.
function offerSignIn(form) {
  const token = window.location.hash.slice(1);
  if (!token) return;
  window.history.replaceState(null, "", window.location.pathname + window.location.search);
  form.querySelector("#token").value = token;
  let who = "the holder of this token";
  try {
    const text = atob(token.split(".")[1].replace(/-/g, "+").replace(/_/g, "/"));
    const claims = JSON.parse(decodeURIComponent(Array.from(text, (c) => "%" + c.charCodeAt(0).toString(16).padStart(2, "0")).join("")));
    who = claims.email || claims.sub || who;
  } catch { /* the server will say what is wrong with it */ }
  form.querySelector("[data-who]").textContent = who;
  form.querySelector("[data-found]").hidden = false;
  form.querySelector("[data-by-hand]").hidden = true;
}

document.addEventListener("DOMContentLoaded", () => {
  const form = document.querySelector("form[data-sign-in]");
  if (form) offerSignIn(form);
  forgetOutcome();
  refreshTimes();
  countChosen();
  setInterval(refreshTimes, 15000);
  follow();
});
