// What the console does beyond links and forms, which work without it. Each function is one thing; none fetches code.

/** Show a theme that was chosen before, and keep a new choice in this browser. */
function themes() {
  const root = document.documentElement;
  const kept = localStorage.getItem("theme") ?? "auto";
  root.dataset.theme = kept;
  for (const choice of document.querySelectorAll("[data-theme-choice]")) {
    choice.checked = choice.value === kept;
    choice.addEventListener("change", () => {
      localStorage.setItem("theme", choice.value);
      root.dataset.theme = choice.value;
    });
  }
}

/** Show times in the reader's zone, without the date if it is today's; the exact one stands in the title. */
function times(within) {
  const brief = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
  const clock = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });
  const today = new Date().toDateString();
  for (const each of within.querySelectorAll("time[datetime]:not([data-shown])")) {
    const at = new Date(each.dateTime);
    if (!Number.isNaN(at.getTime())) {
      each.textContent = (at.toDateString() === today ? clock : brief).format(at);
    }
    each.dataset.shown = "";
  }
}

/** Copy what an element names when it is clicked. */
function copying() {
  document.addEventListener("click", async (event) => {
    const from = event.target.closest("[data-copy]");
    if (!from) return;
    await navigator.clipboard?.writeText(from.dataset.copy);
    from.classList.add("copied");
    from.addEventListener("animationend", () => from.classList.remove("copied"), { once: true });
  });
}

/** `/` finds, `j` and `k` go through rows (`data-row`), Enter opens, `r` replays, `?` helps. */
function keys() {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select")) return;
    const rows = [...document.querySelectorAll("[data-row]")];
    const at = rows.indexOf(document.activeElement?.closest("[data-row]"));
    const go = (index) => rows[Math.max(0, Math.min(rows.length - 1, index))]?.querySelector("a, button, summary, input:not([type=hidden])")?.focus();
    const does = {
      "/": () => document.querySelector('[data-key="/"]')?.focus(),
      j: () => go(at + 1),
      k: () => go(at < 0 ? 0 : at - 1),
      r: () => (rows[at] ?? document).querySelector('[data-key="r"]')?.focus(),
      "?": () => document.getElementById("help").showModal(),
    }[event.key];
    if (!does) return;
    event.preventDefault();
    does();
  });
}

/** Replace the parts of the page that have changed, without disturbing who types or reads in them. */
function live() {
  if (!document.querySelector("[data-live]")) return;
  let source = null;
  const listen = () => {
    const of = encodeURIComponent(location.pathname + location.search);
    source = new EventSource(new URL(`../live?of=${of}`, import.meta.url)); // beside `static`, also below a sub-path
    source.addEventListener("part", (event) => {
      const part = JSON.parse(event.data);
      const place = document.querySelector(`[data-live="${part.name}"]`);
      if (!place || place.matches(":focus-within") || place.innerHTML === part.html) return;
      const opened = [...place.querySelectorAll("details[open][id]")].map((each) => each.id);
      place.innerHTML = part.html;
      for (const id of opened) document.getElementById(id)?.setAttribute("open", "");
      enhance(place);
      place.dispatchEvent(new CustomEvent("shown", { bubbles: true }));
    });
  };
  const stop = () => { source?.close(); source = null; };
  document.addEventListener("visibilitychange", () => (document.hidden ? stop() : source ?? listen()));
  window.addEventListener("pagehide", stop);
  if (!document.hidden) listen();
}

/** Ask before what is dangerous; the question stands in the form, and says what will happen. */
function questions() {
  document.addEventListener("submit", (event) => {
    const question = event.submitter?.dataset.ask ?? event.target.dataset.ask;
    if (question && !window.confirm(question)) event.preventDefault();
  });
}

function enhance(within) {
  times(within);
}

themes();
enhance(document);
copying();
keys();
questions();
live();
document.querySelector("[data-submit-at-once]")?.requestSubmit();
