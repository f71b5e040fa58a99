// What stands behind a step comes when the step is opened. Without script a link leads to the same.

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
