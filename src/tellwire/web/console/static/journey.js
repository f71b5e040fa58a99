// A journey beyond what it is without script: times of day, and what stands behind a step once the step is opened.

/** Show times of day in the reader's zone, with the day where it is not that of the first one. */
function clocks() {
  const all = [...document.querySelectorAll("time[data-clock]")];
  const day = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });
  let last = "";
  for (const each of all) {
    const at = new Date(each.dateTime);
    const fine = at.getMilliseconds() ? { fractionalSecondDigits: 3 } : {};
    const form = { hour: "2-digit", minute: "2-digit", second: "2-digit", ...fine };
    const today = day.format(at);
    each.textContent = (today === last ? "" : today + ", ") + new Intl.DateTimeFormat(undefined, form).format(at);
    last = today;
  }
}

/** Show what was sent or received; without script a link leads to the same. */
async function load(details) {
  const place = details.querySelector(".raw");
  if (!place || place.dataset.loaded) return;
  place.dataset.loaded = "yes";
  const answer = await fetch(details.dataset.raw);
  if (!answer.ok) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const raw = page.querySelector("#raw > :not(h2)");
  if (raw) place.replaceChildren(document.adoptNode(raw));
}

document.addEventListener("toggle", (event) => {
  if (event.target.open && event.target.dataset.raw) load(event.target);
}, true);
document.addEventListener("shown", clocks);
clocks();
