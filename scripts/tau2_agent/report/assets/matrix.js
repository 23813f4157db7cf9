// The task x model matrix: a cell is a task's episodes with one model, a square each.

const SORTS = {
  task: () => 0,
  "most changed": (a, b, set) => changes(b, set) - changes(a, set),
  hardest: (a, b, set) => solvedShare(a, set) - solvedShare(b, set),
  "most faults": (a, b) => TASKS[b].faults.length - TASKS[a].faults.length,
};

const changes = (task, set) => columnsOf(set).filter((column) => change(column, task)).length;

function solvedShare(task, set) {
  const rates = columnsOf(set).map((column) => rate(column, task)).filter((one) => one !== null);
  return rates.reduce((sum, one) => sum + one, 0) / Math.max(rates.length, 1);
}

// The tasks that are shown, in order, and the episodes among them that pass the filters.
function shown(set, sort) {
  const columns = new Set(columnsOf(set));
  const passed = EPISODES.filter((episode) => columns.has(episode.column) && passes(episode));
  const tasks = [...new Set(passed.map((episode) => episode.task))].sort((a, b) => a - b);
  tasks.sort((a, b) => SORTS[sort](a, b, set));
  return { tasks, passed: new Set(passed.map((episode) => episode.key)) };
}

function drawMatrix(set, view, selected) {
  const columns = columnsOf(set);
  const head = el(
    "tr",
    {},
    el("th", { scope: "col" }, count(view.tasks.length, "task")),
    columns.map((column) =>
      el(
        "th",
        { scope: "col", class: "model", title: COLUMNS[column].label },
        el("span", {}, COLUMNS[column].label),
        total(column, view),
      ),
    ),
  );
  const rows = view.tasks.map((task) =>
    el(
      "tr",
      { "data-task": task },
      el("th", { scope: "row", title: TASKS[task].id }, taskName(task)),
      columns.map((column) => el("td", {}, cell(column, task, view, selected))),
    ),
  );
  const cells = view.tasks.flatMap((task) => columns.map((column) => cellOf(column, task).length));
  byId("matrix").classList.toggle("small", cells.some((trials) => trials > 2));
  byId("matrix").replaceChildren(el("thead", {}, head), el("tbody", {}, rows));
  byId("nothing").hidden = view.tasks.length > 0;
}

// Solved of the episodes shown, and how many of the tasks shown were gained and lost.
function total(column, view) {
  const counted = EPISODES.filter(
    (episode) => episode.column === column && view.passed.has(episode.key) && !episode.excluded,
  );
  if (!counted.length) return el("small", {}, "–");
  const solved = counted.reduce((sum, episode) => sum + episode.solved, 0);
  const marks = view.tasks.map((task) => change(column, task));
  const number = (mark, sign) => {
    const found = marks.filter((one) => one === mark).length;
    const about = { class: `count ${mark}`, title: `${mark} over the model before` };
    return found ? el("span", about, `${sign}${found}`) : null;
  };
  return [
    el("small", { title: "solved, of the episodes shown" }, `${solved}/${counted.length}`),
    el("small", { class: "counts" }, number("gained", "▲"), number("lost", "▼")),
  ];
}

const ISSUES = { mms_issue: "MMS", mobile_data_issue: "Data", service_issue: "Service" };

function taskName(task) {
  const { issue, faults, persona, kind } = TASKS[task];
  const about = [
    persona === "None" ? "" : `${persona} persona`,
    kind === "transfer" ? "to be transferred" : "",
  ];
  return [
    el("span", { class: "issue" }, ISSUES[issue] || plain(issue)),
    el("span", { class: "faults" }, faults.map(plain).join(" · ")),
    el("small", {}, about.filter(Boolean).join(", ")),
  ];
}

function cell(column, task, view, selected) {
  const mark = change(column, task);
  const squares = cellOf(column, task).map((episode) => square(episode, view, selected));
  const about = { class: `mark ${mark}`, title: `${mark} over the model before` };
  const arrow = mark ? el("span", about, mark === "gained" ? "▲" : "▼") : null;
  return el("span", { class: "cell" }, squares, arrow);
}

function square(episode, view, selected) {
  const state = stateOf(episode);
  const node = el(
    "a",
    {
      href: link(episode),
      class: `square ${state}${view.passed.has(episode.key) ? "" : " faint"}`,
      "data-key": episode.key,
      "aria-label": `${COLUMNS[episode.column].label}, trial ${episode.trial}: ${outcome(episode)}`,
      title: `${COLUMNS[episode.column].label}: ${outcome(episode)}`,
      "aria-current": selected.has(episode.key) ? "true" : null,
    },
    state === "solved" ? "✓" : state === "excluded" ? "–" : "",
  );
  // How much of a failed task was done, as height.
  if (state === "failed") node.style.setProperty("--part", `${Math.round(100 * episode.partial)}%`);
  return node;
}

// The model, and the trial if it is not the first.
function modelName(episode) {
  const { label } = COLUMNS[episode.column];
  return episode.trial ? `${label} #${episode.trial}` : label;
}

const stateOf = (episode) => (episode.excluded ? "excluded" : episode.solved ? "solved" : "failed");

function outcome(episode) {
  if (episode.excluded) return `does not count (${plain(episode.end)})`;
  if (episode.solved) return "solved";
  return `failed, partial ${episode.partial.toFixed(2)} (${plain(episode.end)})`;
}
