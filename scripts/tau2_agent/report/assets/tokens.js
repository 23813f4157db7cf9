// The token layer: the stream as the model saw and wrote it. Sampled tokens carry their log prob as
// colour and are what training's loss is on; context is grey and never trained.

const LOWEST = 3; // natural log; at -3 and below the colour is full …
const HOTTEST = 65; // … which leaves the text legible, percent

function places(tokens) {
  if (!tokens.first) {
    // token -> place in the list of log probs
    tokens.first = new Map();
    let next = 0;
    for (const [, start, end] of tokens.turns) {
      for (let at = start; at < end; at++) tokens.first.set(at, next++);
    }
  }
  return tokens.first;
}

function drawTokens(tokens, { start, end }) {
  const place = places(tokens);
  const nodes = [];
  let sum = 0;
  for (let at = start; at < end; at++) {
    const log = tokens.logs[place.get(at)] / 1000;
    sum += log;
    nodes.push(tokenNode(tokens, at, log));
  }
  const sampled = count(end - start, "token");
  const mean = end > start ? -sum / (end - start) : 0;
  return el(
    "div",
    { class: "tokens sampled" },
    el("div", { class: "tokens-head" }, `${sampled} sampled, in the loss; mean log prob ${minus(mean)}`),
    el("div", { class: "stream" }, nodes),
  );
}

function tokenNode(tokens, at, log) {
  const piece = tokens.pieces[at];
  const chance = `log prob ${minus(-log)}, probability ${Math.exp(-log).toFixed(3)}`;
  const node = el(
    "span",
    { class: "token", title: `token ${tokens.ids[at]}\n${chance}` },
    visible(piece),
  );
  node.style.setProperty("--heat", `${Math.round(HOTTEST * Math.min(log / LOWEST, 1))}%`);
  return node;
}

// Never "-0.000".
const minus = (value) => (value > -0.0005 ? "0.000" : `−${(-value).toFixed(3)}`);

// Line ends are drawn and still break; a token without text (a part of a character) is a dot.
function visible(piece) {
  if (piece === "") return "·";
  return piece.replaceAll("\n", "↵\n");
}

function drawContext(tokens, start, end) {
  if (end <= start) return null;
  const text = tokens.pieces.slice(start, end).join("");
  return el(
    "details",
    { class: "tokens context" },
    el("summary", {}, `${count(end - start, "token")} of context, not in the loss`),
    el("div", { class: "stream", dir: "auto" }, text),
  );
}

// What follows the last turn that became a message: a turn that was cut, context at the end.
function drawRest(tokens, from) {
  const nodes = [];
  for (const [, start, end] of tokens.turns) {
    if (start < from) continue;
    nodes.push(drawContext(tokens, from, start), drawTokens(tokens, { start, end }));
    from = end;
  }
  nodes.push(drawContext(tokens, from, tokens.ids.length));
  return nodes.filter(Boolean);
}

function drawLegend(tokens) {
  const prompt = count(tokens.prompt, "token");
  return el(
    "p",
    { class: "legend" },
    el("span", {}, `Training has its loss on sampled tokens only. The first prompt (${prompt}) is not kept.`),
    el("span", { class: "scale", "aria-hidden": "true" }),
    el("span", {}, `log prob 0 to −${LOWEST} and below`),
  );
}
