// Only what HTML cannot do: the CSRF header, polls that rest while the page is hidden, notices, the theme,
// clocks and relative times. Every page works without this file.
"use strict";
(() => {
  const root = document.documentElement;
  const $ = (selector, from = document) => from.querySelector(selector);
  const $$ = (selector, from = document) => [...from.querySelectorAll(selector)];
  const keep = (name, value) => {
    document.cookie = `${name}=${encodeURIComponent(value)};path=/;max-age=31536000;samesite=lax${location.protocol === "https:" ? ";secure" : ""}`;
  };
  root.classList.add("js");

  // Server and viewer: the zone of this browser, so that the next page is written in it.
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (zone) keep("carillon_zone", zone);

  // ---- htmx: token, polls that rest while nobody looks, connection
  document.addEventListener("htmx:configRequest", (event) => {
    if (event.detail.verb !== "get") event.detail.headers["X-CSRFToken"] = $("meta[name=csrf-token]").content;
  });
  document.addEventListener("htmx:beforeRequest", (event) => {
    if (document.hidden && event.detail.elt.matches("[data-poll]")) event.preventDefault();
  });
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) document.dispatchEvent(new Event("wake"));
  });
  const signal = (text) => {
    const line = $("#signal");
    if (line.textContent !== text) line.textContent = text;
    line.hidden = !text;
  };
  document.addEventListener("htmx:sendError", () => signal("Connection lost, retrying. What you see may be old."));
  document.addEventListener("htmx:responseError", (event) => {
    if (event.detail.xhr.status >= 500) signal("The server has a problem, retrying. What you see may be old.");
  });
  document.addEventListener("htmx:afterRequest", (event) => {
    if (event.detail.successful) signal("");
  });

  // ---- a sentence from the server about what was just done (HX-Trigger: notice)
  document.addEventListener("notice", (event) => {
    const box = document.createElement("div");
    const text = document.createElement("p");
    box.className = `notice notice--${event.detail.kind}`;
    text.textContent = event.detail.text;
    box.append(text);
    $("#notices").replaceChildren(box);
  });

  // ---- theme: the form works by itself; here it takes effect at once and the page stays
  document.addEventListener("click", (event) => {
    const button = event.target.closest(".themes button");
    if (!button) return;
    event.preventDefault();
    keep("carillon_theme", button.value);
    root.dataset.theme = button.value;
    $$(".themes button").forEach((other) => other.setAttribute("aria-pressed", String(other === button)));
  });

  // ---- clocks: the server's time, whatever this computer's clock says
  const ahead = Date.parse(root.dataset.now) - Date.now();
  const format = (name) => new Intl.DateTimeFormat("en-GB", { timeZone: name, hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });
  const clocks = $$("time[data-clock]").map((element) => ({ element, format: format(element.dataset.clock) }));

  // Two units at most and always rounded down, exactly as the server writes it.
  const units = [["d", 86400], ["h", 3600], ["min", 60]];
  const span = (seconds) => {
    if (seconds < 60) return `${seconds} s`;
    const at = units.findIndex(([, size]) => seconds >= size);
    const [unit, size] = units[at];
    const whole = Math.floor(seconds / size);
    const next = units[at + 1];
    const rest = next ? Math.floor((seconds % size) / next[1]) : 0;
    return rest && whole < 10 ? `${whole} ${unit} ${rest} ${next[0]}` : `${whole} ${unit}`;
  };
  const relative = (at, now) => {
    const seconds = Math.floor(Math.abs(at - now) / 1000);
    if (seconds < 1) return "now";
    return at > now ? `in ${span(seconds)}` : `${span(seconds)} ago`;
  };
  const set = (element, text) => { if (element.textContent !== text) element.textContent = text; };
  const tick = () => {
    const now = Date.now() + ahead;
    clocks.forEach((clock) => set(clock.element, clock.format.format(now)));
    $$("time[data-elapsed]").forEach((element) => set(element, span(Math.max(0, Math.floor((now - Date.parse(element.dateTime)) / 1000)))));
    $$("time[data-relative]").forEach((element) => set(element, relative(Date.parse(element.dateTime), now)));
    setTimeout(tick, 1000 - (now % 1000) + 5);
  };
  tick();

  // ---- log: stay at the end while it grows, until the reader scrolls up
  const follow = () => {
    const box = $("[data-follow]");
    if (box && box.dataset.follow === "on") box.scrollTop = box.scrollHeight;
  };
  document.addEventListener("scroll", (event) => {
    const box = event.target;
    if (box.matches?.("[data-follow]")) box.dataset.follow = box.scrollHeight - box.scrollTop - box.clientHeight < 40 ? "on" : "off";
  }, true);
  // A log of a hundred thousand lines would make the page slow: only the newest stay, the rest can be paged to.
  const trim = () => {
    const box = $("[data-follow=on]");
    while (box && box.querySelectorAll("tr").length > 4000 && $$("tbody", box).length > 2) $("tbody", box).remove();
  };
  document.addEventListener("htmx:afterSwap", () => { trim(); follow(); });
  follow();
})();
