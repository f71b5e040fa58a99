// Which rows are chosen: kept when the list is shown anew, counted on the button, and all of a page at once.
const form = document.querySelector("[data-select]");
if (form) {
  const chosen = new Set();
  const button = form.querySelector("[data-chosen]");
  const all = form.querySelector("[data-all]");
  const boxes = () => [...form.querySelectorAll('input[name="id"]')];
  const tell = () => {
    if (button) button.textContent = button.dataset.chosen + (chosen.size ? ` (${chosen.size})` : "");
    if (all) all.checked = boxes().length > 0 && boxes().every((box) => box.checked);
  };
  all?.closest("label").removeAttribute("hidden");
  form.addEventListener("change", (event) => {
    if (event.target === all) for (const box of boxes()) box.checked = all.checked;
    for (const box of boxes()) chosen[box.checked ? "add" : "delete"](box.value);
    tell();
  });
  form.addEventListener("shown", () => {
    for (const box of boxes()) box.checked = chosen.has(box.value);
    for (const value of chosen) if (!boxes().some((box) => box.value === value)) chosen.delete(value);
    tell();
  });
}
