// Helpers over the DOM. Text only ever becomes a text node or an attribute's value: what a model
// wrote is never markup.

function el(tag, attributes, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "onclick") node.addEventListener("click", value);
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  const missing = [null, undefined, false];
  node.append(...children.flat(3).filter((child) => !missing.includes(child)));
  return node;
}

const byId = (id) => document.getElementById(id);

const plain = (name) => name.replaceAll("_", " ");

// "1 call", "2 calls"
const count = (number, noun) => `${number} ${noun}${number === 1 ? "" : "s"}`;

function clock(seconds) {
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 120) return `${Math.round(seconds)} s`;
  return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
}

// A JSON value on one line, as a person would write it: on and off for the phone's switches.
function show(value) {
  if (value === true) return "on";
  if (value === false) return "off";
  if (value === null || value === undefined) return "none";
  return typeof value === "string" ? value : JSON.stringify(value);
}

function argumentsText(given) {
  return Object.entries(given)
    .map(([name, value]) => `${name}=${typeof value === "string" ? `"${value}"` : JSON.stringify(value)}`)
    .join(", ");
}
