// Shows the newest state every two seconds, and leaves open, closed, scrolled and focused what the reader left so.
"use strict";

const FOCUSABLE = "summary, .wide";
const title = (details) => details.querySelector("summary").firstChild.textContent;

async function refresh() {
  if (document.hidden) return;
  const answer = await fetch("/");
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  const sections = fresh.querySelectorAll("section");
  document.querySelectorAll("section").forEach((section, index) => {
    const wasOpen = new Map([...section.querySelectorAll("details")].map((each) => [title(each), each.open]));
    sections[index]?.querySelectorAll("details").forEach((each) => {
      each.open = wasOpen.get(title(each)) ?? each.open;
    });
  });
  const tops = [...document.querySelectorAll(".wide")].map((box) => box.scrollTop);
  const focused = [...document.querySelectorAll(FOCUSABLE)].indexOf(document.activeElement);
  document.querySelector("main").replaceWith(fresh.querySelector("main"));
  document.querySelectorAll(FOCUSABLE)[focused]?.focus({ preventScroll: true });
  document.querySelectorAll(".wide").forEach((box, index) => { box.scrollTop = tops[index] ?? 0; });
}

// A sandbox that was stopped or restarted is asked again next time.
setInterval(() => refresh().catch((error) => console.info("not reachable:", error.message)), 2000);
