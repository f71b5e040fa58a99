// What the inbox does beyond links and forms: times as clocks show them, what was typed stays, the newest message in view.

const root = document.documentElement;
root.dataset.script = "";

/** Show times in the reader's zone, with the day unless it is today. */
function clocks(within) {
  const today = new Date().toDateString();
  const hour = new Intl.DateTimeFormat(undefined, { timeStyle: "short" });
  const day = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
  for (const each of within.querySelectorAll("time[data-clock]")) {
    const at = new Date(each.dateTime);
    if (!Number.isNaN(at.getTime())) each.textContent = (at.toDateString() === today ? hour : day).format(at);
  }
}

/** Keep what is typed until it is sent, whatever link is followed meanwhile; Enter sends the message. */
function drafts() {
  for (const form of document.querySelectorAll("form[data-draft]")) {
    const field = form.querySelector("textarea");
    const key = `draft ${form.dataset.draft}`;
    field.value ||= sessionStorage.getItem(key) ?? "";
    field.addEventListener("input", () => sessionStorage.setItem(key, field.value));
    form.addEventListener("submit", () => sessionStorage.removeItem(key));
    if (field.name !== "text") continue;
    field.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      form.requestSubmit();
    });
  }
}

/** Show in the preview of a template what is typed into its fields. */
function previews() {
  for (const field of document.querySelectorAll("[data-fills]")) {
    const places = document.querySelectorAll(`[data-filled="${CSS.escape(field.dataset.fills)}"]`);
    const before = [...places].map((each) => each.textContent);
    const show = () => places.forEach((each, index) => { each.textContent = field.value || before[index]; });
    field.addEventListener("input", show);
    show();
  }
}

/** Keep the newest message in view, unless somebody reads further up. */
function newest() {
  const chat = document.querySelector('[data-live="chat"]');
  if (!chat || new URLSearchParams(location.search).has("cursor")) return;
  const write = document.getElementById("write");
  const end = () => window.scrollBy(0, chat.getBoundingClientRect().bottom - write.getBoundingClientRect().top);
  let near = true;
  window.addEventListener("scroll", () => {
    near = chat.getBoundingClientRect().bottom < window.innerHeight + 200;
  }, { passive: true });
  chat.addEventListener("shown", () => near && end());
  if (!location.hash) end();
}

clocks(document);
document.addEventListener("shown", (event) => clocks(event.target));
drafts();
previews();
newest();
