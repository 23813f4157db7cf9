// Begins when the page is read.

const theme = storedTheme();
if (theme === "dark" || theme === "light") document.documentElement.dataset.theme = theme;
byId("theme").addEventListener("click", toggleTheme);
for (const button of document.querySelectorAll("[data-copy]")) {
  button.addEventListener("click", () => copy(button));
}

let typed = 0;
byId("search").addEventListener("input", (event) => {
  clearTimeout(typed);
  typed = setTimeout(() => {
    filters.text = event.target.value.trim();
    filtersChanged();
  }, 150);
});
byId("sets").addEventListener("change", (event) => {
  location.hash = `#episodes?${new URLSearchParams({ [SET_KEY]: event.target.value })}`;
});
byId("sort").append(...Object.keys(SORTS).map((name) => el("option", { value: name }, `by ${name}`)));
byId("sort").addEventListener("change", (event) => {
  state.sort = event.target.value;
  drawList();
});
window.addEventListener("hashchange", openRoute);
document.addEventListener("keydown", onKey);

openRoute().then(() => {
  drawCharts();
  // Opened: what was asked for is on the screen.
  requestAnimationFrame(() =>
    setTimeout(() => {
      performance.mark("opened");
      document.documentElement.dataset.opened = Math.round(performance.now());
    }),
  );
});
