// The page around the viewer: theme, charts that are drawn when they come into sight, copy buttons.

function setTheme(name) {
  document.documentElement.dataset.theme = name;
  try {
    localStorage.setItem("theme", name);
  } catch {
    // a page inside another one may have no storage
  }
}

function toggleTheme() {
  const dark = getComputedStyle(document.documentElement).colorScheme === "dark";
  setTheme(dark ? "light" : "dark");
}

function storedTheme() {
  try {
    return localStorage.getItem("theme");
  } catch {
    return null;
  }
}

// SVG, whose text takes the page's colour: a chart needs no second version for the dark. "ast" reads
// a chart's expressions without eval, which the page's security policy forbids.
function drawChart(place) {
  const spec = JSON.parse(byId(place.dataset.chart).textContent);
  return window.vegaEmbed(place, spec, { renderer: "svg", ast: true, actions: false });
}

function drawCharts() {
  const watcher = new IntersectionObserver(
    (seen) => {
      for (const { isIntersecting, target } of seen) {
        if (!isIntersecting) continue;
        watcher.unobserve(target);
        drawChart(target).then(() => target.classList.add("drawn"));
      }
    },
    { rootMargin: "200px" },
  );
  for (const place of document.querySelectorAll("[data-chart]")) watcher.observe(place);
}

async function copy(button) {
  const text = byId(button.dataset.copy).textContent;
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "copied";
  } catch {
    const range = document.createRange();
    range.selectNodeContents(byId(button.dataset.copy));
    getSelection().removeAllRanges();
    getSelection().addRange(range);
    button.textContent = "selected";
  }
}
