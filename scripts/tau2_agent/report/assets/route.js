// Links. "#TASK/MODEL/TRIAL" is an episode, with "/vs/MODEL/TRIAL" two beside each other, with "@7"
// message 7 of it. "#episodes" is the matrix; other names are sections. Filters follow a "?".

const escapePart = (text) =>
  encodeURIComponent(text).replace(/%(5B|5D|7C|3A)/g, (code) => decodeURIComponent(code));

function link(episode, other, message) {
  const part = (one) => `${escapePart(COLUMNS[one.column].id)}/${one.trial}`;
  let text = `#${escapePart(TASKS[episode.task].id)}/${part(episode)}`;
  if (other) text += `/vs/${part(other)}`;
  if (message !== undefined && message !== null) text += `@${message}`;
  return text + query(COLUMNS[episode.column].set);
}

// The filters that are set, and the set of tasks unless it is the first.
function query(set) {
  const words = new URLSearchParams();
  if (set !== SETS[0]) words.set(SET_KEY, set);
  for (const key of FILTER_KEYS) if (filters[key]) words.set(key, filters[key]);
  const text = words.toString();
  return text ? `?${text}` : "";
}

// What a fragment asks for: {section} or {set, episode, other, message}; episode null: the matrix.
function readRoute(fragment) {
  const [path, words] = fragment.replace(/^#/, "").split(/\?(.*)/s);
  const asked = new URLSearchParams(words || "");
  const set = SETS.includes(asked.get(SET_KEY)) ? asked.get(SET_KEY) : null;
  const wanted = Object.fromEntries(FILTER_KEYS.map((key) => [key, asked.get(key) || ""]));
  if (path === "episodes") return { set: set || SETS[0], episode: null, wanted };
  const [place, message] = path.split("@");
  const parts = place.split("/").map(decode);
  const task = TASKS.findIndex((one) => one.id === parts[0]);
  if (task < 0) {
    if (parts.length < 2) return { section: path };
    return { set: SETS[0], episode: null, missing: parts.join("/"), wanted };
  }
  const find = (id, trial) =>
    EPISODES.find(
      (one) =>
        one.task === task &&
        COLUMNS[one.column].id === id &&
        one.trial === Number(trial || 0) &&
        (!set || COLUMNS[one.column].set === set),
    ) || null;
  const episode = find(parts[1], parts[2]);
  if (!episode) return { set: set || SETS[0], episode: null, missing: parts.join("/"), wanted };
  return {
    set: COLUMNS[episode.column].set,
    episode,
    other: parts[3] === "vs" ? find(parts[4], parts[5]) : null,
    message: message === undefined ? null : Number(message),
    wanted,
  };
}

function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
