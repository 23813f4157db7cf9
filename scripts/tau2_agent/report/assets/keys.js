// The keyboard. No key is taken while one types, or together with Ctrl, Alt or Meta.

const KEYS = [
  [["j", "ArrowRight"], "next episode", () => step(1)],
  [["k", "ArrowLeft"], "previous episode", () => step(-1)],
  [["n"], "next failure", () => step(1, true)],
  [["N"], "previous failure", () => step(-1, true)],
  [["m"], "the next model on this task", () => switchModel(1)],
  [["c"], "two models side by side", () => toggleComparison()],
  [["t"], "tokens", () => state.episode && state.episode.tokens && !state.other && toggleTokens()],
  [["/"], "search in the conversations", () => byId("search").focus()],
  [["Escape"], "back to the matrix", () => go(`#episodes${query(state.set)}`)],
];

function drawKeys() {
  const names = { ArrowRight: "→", ArrowLeft: "←", Escape: "Esc" };
  const row = ([keys, does]) => [
    el("dt", {}, keys.map((key) => el("kbd", {}, names[key] || key))),
    el("dd", {}, does),
  ];
  return el("dl", { class: "keys" }, KEYS.map(row));
}

function onKey(event) {
  if (event.ctrlKey || event.altKey || event.metaKey) return;
  if (!document.body.classList.contains("viewing")) return;
  const typing = event.target.closest && event.target.closest("input, select, textarea");
  if (typing) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  const found = KEYS.find(([keys]) => keys.includes(event.key));
  if (!found) return;
  event.preventDefault();
  found[2]();
}
