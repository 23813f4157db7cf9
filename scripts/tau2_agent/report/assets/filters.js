// Which episodes are shown. A filter is a function of an episode; a task is shown when one of its
// episodes passes all of them.

const SET_KEY = "set";
const FILTER_KEYS = ["issue", "faults", "fault", "persona", "kind", "outcome", "end", "counter", "text"];
const filters = Object.fromEntries(FILTER_KEYS.map((key) => [key, ""]));

const OUTCOMES = {
  solved: (episode) => episode.solved === 1,
  failed: (episode) => episode.solved === 0 && !episode.excluded,
  excluded: (episode) => episode.excluded,
  gained: (episode) => change(episode.column, episode.task) === "gained",
  lost: (episode) => change(episode.column, episode.task) === "lost",
  "partly solved": (episode) => !episode.excluded && !episode.solved && episode.partial > 0,
};

const TESTS = {
  issue: (value, episode, task) => task.issue === value,
  faults: (value, episode, task) => String(task.faults.length) === value,
  fault: (value, episode, task) => task.faults.includes(value),
  persona: (value, episode, task) => task.persona === value,
  kind: (value, episode, task) => task.kind === value,
  outcome: (value, episode) => (OUTCOMES[value] || (() => true))(episode),
  end: (value, episode) => episode.end === value,
  counter: (value, episode) => (episode.counters[value] || 0) > 0,
  text: (value, episode) => (texts.get(episode.key) || "").includes(value.toLowerCase()),
};

function passes(episode) {
  const task = TASKS[episode.task];
  return FILTER_KEYS.every((key) => !filters[key] || TESTS[key](filters[key], episode, task));
}

// The choices that a set of episodes offers, with the number of episodes of each.
function choices(set) {
  const wanted = new Set(columnsOf(set));
  const found = Object.fromEntries(FILTER_KEYS.map((key) => [key, new Map()]));
  const add = (key, value) => found[key].set(value, (found[key].get(value) || 0) + 1);
  for (const episode of EPISODES) {
    if (!wanted.has(episode.column)) continue;
    const task = TASKS[episode.task];
    add("issue", task.issue);
    add("faults", String(task.faults.length));
    add("persona", task.persona);
    add("kind", task.kind);
    add("end", episode.end);
    for (const fault of task.faults) add("fault", fault);
    for (const [name, number] of Object.entries(episode.counters)) if (number) add("counter", name);
    for (const [name, test] of Object.entries(OUTCOMES)) if (test(episode)) add("outcome", name);
  }
  return found;
}

const FILTER_LABELS = {
  issue: "issue",
  faults: "faults",
  fault: "fault",
  persona: "persona",
  kind: "task",
  outcome: "outcome",
  end: "end",
  counter: "counter",
};

function labelOf(key, value) {
  if (key === "counter") return INDEX.counters[value] || plain(value);
  if (key === "faults") return count(Number(value), "fault");
  return plain(value);
}

// Draw the row of selects for a set; `changed` is called after each choice.
function drawFilters(set, changed) {
  const place = byId("filters");
  const found = choices(set);
  place.replaceChildren();
  for (const [key, label] of Object.entries(FILTER_LABELS)) {
    const values = [...found[key].keys()].sort((a, b) => (key === "faults" ? a - b : a.localeCompare(b)));
    if (filters[key] && !found[key].has(filters[key])) filters[key] = "";
    if (values.length < 2 && !(key === "counter" && values.length)) continue;
    const select = el(
      "select",
      { "data-filter": key, "aria-label": `filter by ${label}`, class: filters[key] ? "on" : null },
      el("option", { value: "" }, `any ${label}`),
      values.map((value) => {
        const option = el("option", { value }, `${labelOf(key, value)} (${found[key].get(value)})`);
        option.selected = filters[key] === value;
        return option;
      }),
    );
    select.addEventListener("change", () => {
      filters[key] = select.value;
      select.classList.toggle("on", Boolean(select.value));
      changed();
    });
    place.append(select);
  }
  if (FILTER_KEYS.some((key) => filters[key])) {
    const clear = { class: "quiet", id: "clear", onclick: () => clearFilters(set, changed) };
    place.append(el("button", clear, "clear"));
  }
}

function clearFilters(set, changed) {
  for (const key of FILTER_KEYS) filters[key] = "";
  byId("search").value = "";
  drawFilters(set, changed);
  changed();
}
