// The episodes: an index that is read at once, and chunks that are unpacked when they are looked at.

const INDEX = JSON.parse(byId("index").textContent);
const TASKS = INDEX.tasks;
const COLUMNS = INDEX.columns;
const EPISODES = readEpisodes(INDEX.episodes);
const SETS = [...new Set(COLUMNS.map((column) => column.set))];

function readEpisodes(table) {
  const names = Object.keys(table);
  const rows = [];
  for (let key = 0; key < (table.task || []).length; key++) {
    const row = { key };
    for (const name of names) row[name] = table[name][key];
    row.excluded = row.reward === null;
    rows.push(row);
  }
  return rows;
}

// column, task -> its episodes, by trial
const CELLS = new Map();
for (const episode of EPISODES) {
  const name = `${episode.column}/${episode.task}`;
  if (!CELLS.has(name)) CELLS.set(name, []);
  CELLS.get(name).push(episode);
}
for (const cell of CELLS.values()) cell.sort((a, b) => a.trial - b.trial);

const cellOf = (column, task) => CELLS.get(`${column}/${task}`) || [];

const columnsOf = (set) => COLUMNS.flatMap((column, number) => (column.set === set ? [number] : []));

// Share of a cell's episodes that solved the task; null if none counts.
function rate(column, task) {
  const counted = cellOf(column, task).filter((episode) => !episode.excluded);
  if (!counted.length) return null;
  return counted.reduce((sum, episode) => sum + episode.solved, 0) / counted.length;
}

// "gained" or "lost" over the model before it, "" if neither.
function change(column, task) {
  const { before } = COLUMNS[column];
  if (before === null) return "";
  const [old, now] = [rate(before, task), rate(column, task)];
  if (old === null || now === null || old === now) return "";
  return now > old ? "gained" : "lost";
}

const chunks = new Map();

// Read a packed chunk (gzip, base64) once; later calls get the same promise.
function chunk(name) {
  if (!chunks.has(name)) chunks.set(name, unpack(byId(name)));
  return chunks.get(name);
}

async function unpack(script) {
  if (!script) return null;
  const letters = atob(script.textContent.trim());
  const bytes = new Uint8Array(letters.length);
  for (let place = 0; place < letters.length; place++) bytes[place] = letters.charCodeAt(place);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).json();
}

async function conversationOf(episode) {
  const whole = await chunk(`c${episode.task}`);
  return { ...whole.episodes[episode.key], scenario: whole.scenario };
}

async function tokensOf(episode) {
  if (!episode.tokens) return null;
  const whole = await chunk(`t${episode.task}`);
  return whole && whole[episode.key];
}

// Episode -> all its words in lower case, for the text filter. Made once, when first asked for.
const texts = new Map();

async function readTexts(tasks) {
  for (const task of tasks) {
    const whole = await chunk(`c${task}`);
    for (const [key, { messages, detail }] of Object.entries(whole.episodes)) {
      if (!texts.has(Number(key))) texts.set(Number(key), wordsOf(messages, detail));
    }
  }
}

function wordsOf(messages, detail) {
  const parts = [detail];
  for (const message of messages) {
    parts.push(message.text);
    for (const call of message.calls || []) {
      parts.push(`${call.name}(${argumentsText(call.arguments)})`, call.result);
    }
  }
  return parts.filter(Boolean).join("\n").toLowerCase();
}
