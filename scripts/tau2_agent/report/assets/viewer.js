// The viewer: what is selected, what is drawn, and how one gets from one episode to the next.

const state = { set: SETS[0], sort: "task", episode: null, other: null, message: null, tokens: false };
let view = { tasks: [], passed: new Set() };
let drawing = 0; // an older drawing that is still waiting for its chunk gives up

async function openRoute() {
  const route = readRoute(location.hash);
  const inViewer = route.section === undefined;
  document.body.classList.toggle("viewing", inViewer);
  for (const one of document.querySelectorAll("nav a")) {
    const here = inViewer ? one.hash === "#episodes" : one.hash === `#${route.section || "results"}`;
    if (here) one.setAttribute("aria-current", "page");
    else one.removeAttribute("aria-current");
  }
  if (!inViewer) {
    const section = byId(route.section || "results");
    if (section) section.scrollIntoView();
    return;
  }
  const changed = FILTER_KEYS.some((key) => filters[key] !== route.wanted[key]) || state.set !== route.set;
  Object.assign(filters, route.wanted);
  const { set, episode, other = null, message = null } = route;
  Object.assign(state, { set, episode, other, message });
  if (changed || !byId("filters").children.length) {
    byId("search").value = filters.text;
    drawSets();
    drawFilters(state.set, filtersChanged);
    if (filters.text) await readTexts(tasksOf(state.set));
  }
  drawList();
  await drawEpisode(route.missing);
}

// Follow a link at once: who presses a key twice is two episodes further.
function go(fragment) {
  history.pushState(null, "", fragment);
  openRoute();
}

const tasksOf = (set) =>
  new Set(EPISODES.filter((one) => COLUMNS[one.column].set === set).map((one) => one.task));

function drawSets() {
  const place = byId("sets");
  place.hidden = SETS.length < 2;
  place.replaceChildren(
    ...SETS.map((set) => el("option", { value: set, selected: set === state.set }, set)),
  );
  place.value = state.set;
}

async function filtersChanged() {
  if (filters.text) {
    byId("matrix").setAttribute("aria-busy", "true");
    await readTexts(tasksOf(state.set));
    byId("matrix").removeAttribute("aria-busy");
  }
  const where = state.episode ? link(state.episode, state.other) : `#episodes${query(state.set)}`;
  history.replaceState(null, "", where);
  drawFilters(state.set, filtersChanged);
  drawList();
}

function drawList() {
  view = shown(state.set, state.sort);
  const selected = new Set([state.episode, state.other].filter(Boolean).map((one) => one.key));
  drawMatrix(state.set, view, selected);
  const number = view.passed.size;
  const all = EPISODES.filter((one) => COLUMNS[one.column].set === state.set).length;
  const left = INDEX.left_out ? `; ${INDEX.left_out} more are not in this page` : "";
  byId("shown").textContent = `${number} of ${count(all, "episode")}${left}`;
  const current = document.querySelector("#matrix [aria-current]");
  if (current) current.scrollIntoView({ block: "nearest", inline: "nearest" });
}

async function drawEpisode(missing) {
  const mine = ++drawing;
  const place = byId("conversation");
  document.body.classList.toggle("reading", Boolean(state.episode));
  if (!state.episode) document.body.classList.remove("comparing");
  if (!state.episode) {
    const words = missing
      ? `There is no episode ${missing} in this report.`
      : "Choose an episode: each square is one.";
    place.replaceChildren(el("p", { class: "empty" }, words), drawKeys());
    return;
  }
  const { episode, other } = state;
  const talk = await conversationOf(episode);
  const tokens = state.tokens && !other ? await tokensOf(episode) : null;
  const body = other
    ? await drawComparison(episode, other)
    : [
        drawScenario(talk.scenario),
        drawChecks(talk.checks, (message) => jumpTo(message)),
        tokens && drawLegend(tokens),
        el("div", { class: "talk" }, drawConversation(episode, talk, tokens)),
      ];
  if (mine !== drawing) return;
  document.body.classList.toggle("comparing", Boolean(other));
  place.replaceChildren(...[drawHead(episode, other), drawTools(), ...body].filter(Boolean));
  place.scrollTop = 0;
  window.scrollTo(0, 0);
  if (state.message !== null) jumpTo(state.message);
  else if (other) byId("difference").scrollIntoView({ block: "center" });
  performance.mark("episode-drawn");
}

// The row of models and buttons above a conversation.
function drawTools() {
  const { episode, other } = state;
  const cells = columnsOf(state.set)
    .map((column) => cellOf(column, episode.task))
    .filter((cell) => cell.length);
  const played = cells.flat();
  const open = (one) => one === episode || one === other;
  const button = (id, text, title, does, on) =>
    el("button", { id, title, "aria-pressed": on === undefined ? null : String(on), onclick: does }, text);
  const rivals = played.filter((one) => one !== episode);
  const choose = el(
    "select",
    { id: "compare", "aria-label": "compare with", class: other ? "on" : null },
    el("option", { value: "" }, other ? "one at a time" : "compare with …"),
    rivals.map((one) => el("option", { value: one.key, selected: one === other }, modelName(one))),
  );
  choose.addEventListener("change", () => {
    go(link(episode, choose.value === "" ? null : EPISODES[Number(choose.value)]));
  });
  return el(
    "div",
    { class: "tools" },
    el("a", { class: "back", href: `#episodes${query(state.set)}` }, "← all"),
    el("span", { class: "models" }, cells.map((cell) => drawModel(cell, open))),
    el(
      "span",
      { class: "buttons" },
      rivals.length ? choose : null,
      episode.tokens && !other
        ? button("tokens", "tokens", "the token layer (t)", toggleTokens, state.tokens)
        : null,
      button("previous", "‹", "previous episode (k)", () => step(-1)),
      button("next", "›", "next episode (j)", () => step(1)),
      button("next-failure", "next failure", "next failure (n)", () => step(1, true)),
    ),
  );
}

// A model's link, and with several trials a dot for each. open: whether an episode is drawn.
function drawModel(cell, open) {
  const dot = (one) => ({ class: `dot ${stateOf(one)}`, "aria-hidden": "true" });
  const here = cell.find(open);
  const first = here || cell.find((one) => one.trial === state.episode.trial) || cell[0];
  const trials = cell.map((one) =>
    el(
      "a",
      {
        href: link(one),
        class: `trial${open(one) ? " open" : ""}`,
        title: `trial ${one.trial}: ${outcome(one)}`,
      },
      el("span", dot(one)),
    ),
  );
  return el(
    "span",
    { class: "model", "aria-current": here ? "true" : null },
    el(
      "a",
      { href: link(first) },
      cell.length === 1 ? el("span", dot(first)) : null,
      COLUMNS[first.column].label,
    ),
    cell.length > 1 ? trials : null,
  );
}

function toggleTokens() {
  state.tokens = !state.tokens;
  drawEpisode();
}

// Show a message: of the whole conversation, or of one side of two.
function jumpTo(message, side) {
  const place = side === undefined ? byId("conversation") : byId("sides").children[side];
  const wanted = `[data-message="${message}"]`;
  const node = place.querySelector(wanted) || byId("conversation").querySelector(wanted);
  if (!node) return;
  for (let up = node; up; up = up.parentElement) if (up.tagName === "DETAILS") up.open = true;
  node.scrollIntoView({ block: "center" });
  node.classList.remove("flash");
  void node.offsetWidth; // begins the animation anew
  node.classList.add("flash");
}

// The next episode of the same model (any model if none is open), in the order of the matrix.
function step(by, failuresOnly) {
  const column = state.episode ? state.episode.column : columnsOf(state.set).at(-1);
  const list = view.tasks
    .flatMap((task) => cellOf(column, task))
    .filter((one) => view.passed.has(one.key))
    .filter((one) => !failuresOnly || stateOf(one) === "failed" || one === state.episode);
  if (!list.length) return;
  const at = state.episode ? list.indexOf(state.episode) : by > 0 ? -1 : 0;
  const next = list[(at + by + list.length) % list.length];
  if (!next || next === state.episode) return;
  const { other } = state;
  const rivals = other ? cellOf(other.column, next.task) : [];
  go(link(next, rivals.find((one) => one.trial === other.trial)));
}

// Another model on the same task.
function switchModel(by) {
  if (!state.episode) return;
  const columns = columnsOf(state.set).filter((column) => cellOf(column, state.episode.task).length);
  const at = columns.indexOf(state.episode.column);
  const cell = cellOf(columns[(at + by + columns.length) % columns.length], state.episode.task);
  go(link(cell.find((one) => one.trial === state.episode.trial) || cell[0]));
}

// Beside the model before it, or another one if there is none; again: one at a time.
function toggleComparison() {
  if (!state.episode) return;
  if (state.other) {
    go(link(state.episode));
    return;
  }
  const columns = columnsOf(state.set).filter((column) => cellOf(column, state.episode.task).length);
  const at = columns.indexOf(state.episode.column);
  const { before } = COLUMNS[state.episode.column];
  const rival = columns.includes(before) ? before : columns[at - 1] ?? columns[at + 1];
  if (rival === undefined) return;
  const cell = cellOf(rival, state.episode.task);
  const other = cell.find((one) => one.trial === state.episode.trial) || cell[0];
  go(rival < state.episode.column ? link(other, state.episode) : link(state.episode, other));
}
