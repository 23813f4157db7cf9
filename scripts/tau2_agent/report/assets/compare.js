// Two models on one task beside each other. What both did alike from the start is one column, folded;
// then comes the first difference, and from there each goes its own way.

function sameMessage(a, b) {
  return signature(a) === signature(b);
}

// What was said and done, and what came back; not when, and not the model's names of its calls.
function signature(message) {
  const calls = (message.calls || []).map((call) => [
    call.name,
    sorted(call.arguments),
    call.result,
    call.error || 0,
  ]);
  return JSON.stringify([message.role, message.text || "", calls]);
}

function sorted(value) {
  if (Array.isArray(value)) return value.map(sorted);
  if (value === null || typeof value !== "object") return value;
  return Object.keys(value).sort().map((key) => [key, sorted(value[key])]);
}

function commonLength(a, b) {
  let length = 0;
  while (length < Math.min(a.length, b.length) && sameMessage(a[length], b[length])) length++;
  return length;
}

async function drawComparison(left, right) {
  const [a, b] = await Promise.all([conversationOf(left), conversationOf(right)]);
  const common = commonLength(a.messages, b.messages);
  const empty = { tokens: null, turnAt: () => undefined };
  const side = (episode, talk) => {
    const met = metBy(talk.checks);
    const context = { ...empty, linkTo: (message) => link(episode, null, message) };
    return talk.messages.map((message) => drawMessage(message, met, context));
  };
  const checksOf = (talk, number) =>
    el("div", {}, drawChecks(talk.checks, (message) => jumpTo(message, number), false));
  const heads = [left, right].map((episode) =>
    el(
      "div",
      { class: "side-head" },
      el("a", { href: link(episode) }, modelName(episode)),
      drawFacts(episode),
    ),
  );
  const [ofA, ofB] = [side(left, a), side(right, b)];
  const whole = common === a.messages.length && common === b.messages.length;
  const alike = common
    ? el(
        "details",
        { class: "alike", open: whole },
        el("summary", {}, `The first ${count(common, "message")} are the same`),
        el("div", { class: "talk" }, ofA.slice(0, common)),
      )
    : null;
  const first = whole ? null : (a.messages[common] || b.messages[common]).i;
  const mark = el(
    "p",
    { class: "difference", id: "difference" },
    whole ? "The two conversations are the same to the end" : `First difference: message ${first}`,
  );
  return [
    el("div", { class: "sides heads" }, heads),
    el("div", { class: "sides" }, [a, b].map(checksOf)),
    alike,
    mark,
    el(
      "div",
      { class: "sides", id: "sides" },
      el("div", { class: "talk" }, ofA.slice(common), drawEnd(left, a)),
      el("div", { class: "talk" }, ofB.slice(common), drawEnd(right, b)),
    ),
  ];
}
