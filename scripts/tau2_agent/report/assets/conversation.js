// One episode as a chat: who said what, both sides' tool calls with their results, what changed on
// the phone and in the account, and the checks with the message that met them.

const LONG_RESULT = 260; // characters; a longer result of a tool is folded

function drawHead(episode, other) {
  const task = TASKS[episode.task];
  return el(
    "header",
    { class: "task-head" },
    el(
      "h2",
      {},
      el("span", { class: "issue" }, ISSUES[task.issue] || plain(task.issue)),
      task.faults.map(plain).join(" · "),
    ),
    el(
      "p",
      { class: "muted" },
      [
        task.persona === "None" ? "no persona" : `${task.persona} persona`,
        task.kind === "transfer" ? "solved by transferring to a human" : "to be fixed",
        count(task.faults.length, "fault"),
      ].join(", "),
    ),
    other ? null : drawFacts(episode),
  );
}

function drawFacts(episode) {
  const state = stateOf(episode);
  const facts = [
    `ended: ${plain(episode.end)}`,
    episode.excluded ? null : `partial ${episode.partial.toFixed(2)}`,
    count(episode.steps, "step"),
    count(episode.turns, "agent turn"),
    clock(episode.seconds),
  ];
  const counters = Object.entries(episode.counters).filter(([, number]) => number);
  return el(
    "p",
    { class: "facts" },
    el("span", { class: `badge ${state}` }, episode.excluded ? "not counted" : state),
    facts.filter(Boolean).map((fact) => el("span", {}, fact)),
    counters.map(([name, number]) =>
      el("span", { class: "counter" }, `${INDEX.counters[name] || plain(name)}: ${number}`),
    ),
  );
}

// message index -> the checks that it met
function metBy(checks) {
  const found = new Map();
  for (const check of checks) {
    if (check.message === null || check.message === undefined) continue;
    if (!found.has(check.message)) found.set(check.message, []);
    found.get(check.message).push(check);
  }
  return found;
}

function checkName(check) {
  const given = argumentsText(check.arguments || {});
  return given ? `${plain(check.name)} (${given})` : plain(check.name);
}

// met, missed, or (an action that tau2 accepts although nobody carried it out) only matched
function checkState(check) {
  if (check.kind !== "action" || typeof check.verified !== "boolean") {
    return check.met ? "met" : "missed";
  }
  if (check.verified) return "met";
  return check.met ? "matched" : "missed";
}

const TICKS = { met: "✓", missed: "✗", matched: "≈" };
const CHECK_WORDS = {
  met: "met",
  missed: "missed",
  matched: "matched by tau2, not carried out",
};

function drawChecks(checks, jump, open = true) {
  if (!checks.length) return null;
  const met = checks.filter((check) => checkState(check) === "met").length;
  const line = (check) => {
    const state = checkState(check);
    const how =
      check.message !== null && check.message !== undefined
        ? el("button", { class: "jump", onclick: () => jump(check.message) }, `message ${check.message}`)
        : check.held_at_start
          ? el("span", { class: "muted" }, state === "met" ? "held from the start" : "held at the start")
          : null;
    return el(
      "li",
      { class: `check ${state}` },
      el("span", { class: "tick", title: CHECK_WORDS[state] }, TICKS[state]),
      el(
        "span",
        { class: "what" },
        el("span", { class: "name" }, checkName(check)),
        el("span", { class: "muted" }, who(check), check.required ? "" : ", partial score only"),
        how,
      ),
    );
  };
  return el(
    "details",
    { class: "checks", open },
    el("summary", {}, `Checks: ${met} of ${checks.length} met`),
    el("ul", {}, checks.map(line)),
  );
}

function who(check) {
  const ofUser = check.side === "user";
  if (check.kind === "assertion") return ofUser ? "state of the phone" : "state of the account";
  if (check.kind === "communicate") return "to be said";
  return ofUser ? "action of the user" : "action of the agent";
}

function drawMessage(message, met, context) {
  const side = message.role;
  const name = side === "assistant" ? "Agent" : side === "user" ? "User" : plain(side);
  const node = el("article", { class: `message ${side}`, "data-message": message.i });
  const here = { href: context.linkTo(message.i), class: "number", title: "link to this message" };
  const head = el(
    "div",
    { class: "who" },
    el("b", {}, name),
    el("a", here, `${message.i}`),
    el("span", { class: "time" }, clock(message.time)),
  );
  node.append(head);
  if (context.tokens && side === "assistant" && context.turnAt(message.i)) {
    node.append(drawTokens(context.tokens, context.turnAt(message.i)));
  } else if (message.text) {
    node.append(el("div", { class: "text", dir: "auto" }, message.text));
  }
  for (const call of message.calls || []) node.append(drawCall(call, side, met));
  node.append(...drawChanges(message.changes), ...drawMet(met.get(message.i)));
  return node;
}

function drawCall(call, side, met) {
  const result = call.result === undefined ? "(no result: the episode ended)" : call.result;
  const long = result.length > LONG_RESULT || result.split("\n").length > 6;
  const text = el("pre", { class: "result", dir: "auto" }, tidy(result));
  return el(
    "div",
    { class: `call${call.error ? " error" : ""}`, "data-message": call.i },
    el(
      "div",
      { class: "signature" },
      el("span", { class: "tool" }, call.name),
      el("span", { class: "given" }, `(${argumentsText(call.arguments || {})})`),
      call.error ? el("span", { class: "badge failed" }, "error") : null,
    ),
    long ? el("details", {}, el("summary", {}, `${oneLine(result)} …`), text) : text,
    drawChanges(call.changes),
    drawMet(call.i === undefined ? null : met.get(call.i)),
  );
}

const oneLine = (result) => result.replace(/\s+/g, " ").slice(0, 90);

// Objects that a tool returned, indented; everything else as it is.
function tidy(result) {
  if (!/^[[{]/.test(result)) return result;
  try {
    return JSON.stringify(JSON.parse(result), null, 2);
  } catch {
    return result;
  }
}

function drawChanges(changes) {
  return (changes || []).map(([side, path, before, after]) =>
    el(
      "div",
      { class: "change" },
      el("span", { class: "side" }, side),
      el("span", { class: "path" }, plain(path)),
      el("s", {}, show(before)),
      el("span", { class: "arrow" }, "→"),
      el("b", {}, show(after)),
    ),
  );
}

function drawMet(checks) {
  return (checks || []).map((check) =>
    el(
      "div",
      { class: `here ${checkState(check)}` },
      `${TICKS[checkState(check)]} ${checkName(check)}`,
      el("span", { class: "muted" }, who(check)),
    ),
  );
}

function drawScenario(text) {
  if (!text) return null;
  const lines = text.split("\n").map((line) => line.replace(/^\t+/, (tabs) => "  ".repeat(tabs.length)));
  return el(
    "details",
    { class: "scenario" },
    el("summary", {}, "What the user was told"),
    el("pre", { dir: "auto" }, lines.join("\n").trim()),
  );
}

// The conversation of one episode, as a list of nodes. jump(message) shows a message of it.
function drawConversation(episode, talk, tokens, jump) {
  const met = metBy(talk.checks);
  const context = contextOf(episode, tokens);
  const nodes = [];
  let shownTo = 0; // tokens of the stream that stand above already
  for (const message of talk.messages) {
    const turn = context.tokens && context.turnAt(message.i);
    if (turn) {
      nodes.push(drawContext(tokens, shownTo, turn.start));
      shownTo = turn.end;
    }
    nodes.push(drawMessage(message, met, context));
  }
  if (tokens) nodes.push(...drawRest(tokens, shownTo));
  return [...nodes, drawEnd(episode, talk)];
}

function drawEnd(episode, talk) {
  return el(
    "p",
    { class: `end ${stateOf(episode)}` },
    `Ended: ${plain(episode.end)}, ${outcome(episode)}`,
    talk.detail ? el("span", { class: "muted", dir: "auto" }, talk.detail) : null,
  );
}

function contextOf(episode, tokens) {
  const turns = new Map();
  for (const [message, start, end] of (tokens && tokens.turns) || []) {
    if (message !== null) turns.set(message, { start, end });
  }
  return {
    tokens,
    turnAt: (message) => turns.get(message),
    linkTo: (message) => link(episode, null, message),
  };
}
