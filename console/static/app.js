// What the pages need beyond htmx. No inline script anywhere: the Content-Security-Policy forbids it.
"use strict";

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
});
