// What an application that uses OpenAI's Node SDK relies on. The Python twin of this file has the same cases by name.

const TOKENS = 7;
const UPLOAD_BYTES = 6 * 1024 * 1024;
const messages = [{ role: "user", content: "say something" }];
const model = "gpt-4o";

/** Headers that tell the mock upstream what to do; the proxy passes them on like any other. */
function steer(how) {
  const pairs = Object.entries(how).map(([name, value]) => ["x-mock-" + name.replaceAll("_", "-"), String(value)]);
  return { headers: Object.fromEntries(pairs) };
}

function expect(condition, message) {
  if (!condition) throw new Error(message);
}

function streamChat(client, how) {
  return client.chat.completions.create({ model, messages, stream: true, stream_options: { include_usage: true } }, steer(how));
}

/** The whole answer, as an application would put it together. */
async function collect(stream) {
  const seen = { deltas: 0, text: "", finish: null, usage: null };
  for await (const chunk of stream) {
    seen.usage = chunk.usage ?? seen.usage;
    for (const choice of chunk.choices) {
      if (choice.delta.content) {
        seen.deltas += 1;
        seen.text += choice.delta.content;
      }
      seen.finish = choice.finish_reason ?? seen.finish;
    }
  }
  return seen;
}

async function wholeChat(client, how = {}) {
  const seen = await collect(await streamChat(client, { tokens: TOKENS, ...how }));
  expect(seen.text && seen.finish === "stop", `not a whole answer: ${JSON.stringify(seen)}`);
  expect(seen.usage?.total_tokens > 0, `no usage: ${JSON.stringify(seen)}`);
  return seen;
}

// --- group api: everything works, and looks the same as without a proxy ---------------------------------------------

const api = {
  "chat-stream": ({ client }) => wholeChat(client),

  "chat-stream-slowly": ({ client }) => wholeChat(client, { gap_us: 20_000, first_ms: 50 }),

  "chat-once": async ({ client }) => {
    const answer = await client.chat.completions.create({ model, messages }, steer({ tokens: TOKENS }));
    const choice = answer.choices[0];
    expect(choice.message.content && choice.finish_reason === "stop", "no content");
    return { text: choice.message.content, finish: choice.finish_reason, usage: answer.usage };
  },

  "responses-stream": async ({ client }) => {
    const stream = await client.responses.create({ model, input: "hello", stream: true }, steer({ tokens: TOKENS }));
    const events = [];
    for await (const event of stream) events.push(event);
    const text = events.filter((event) => event.type === "response.output_text.delta").map((event) => event.delta).join("");
    expect(text, "no text");
    expect(events[0].type === "response.created" && events.at(-1).type === "response.completed", "not from created to completed");
    return { events: events.map((event) => event.type), text };
  },

  "responses-once": async ({ client }) => {
    const answer = await client.responses.create({ model, input: "hello" }, steer({ tokens: TOKENS }));
    expect(answer.output_text, "no text");
    return { text: answer.output_text, status: answer.status };
  },

  "completions-stream": async ({ client }) => {
    const ask = { model: "gpt-3.5-turbo-instruct", prompt: "once", stream: true };
    const texts = [];
    for await (const chunk of await client.completions.create(ask, steer({ tokens: TOKENS }))) {
      texts.push(...chunk.choices.map((choice) => choice.text));
    }
    expect(texts.join(""), "no text");
    return texts;
  },

  "completions-once": async ({ client }) => {
    const answer = await client.completions.create({ model: "gpt-3.5-turbo-instruct", prompt: "once" }, steer({ tokens: TOKENS }));
    expect(answer.choices[0].text, "no text");
    return answer.choices[0].text;
  },

  embeddings: async ({ client }) => {
    const answer = await client.embeddings.create({ model: "text-embedding-3-small", input: "a sentence" });
    const vector = answer.data[0].embedding;
    expect(vector.length > 1 && vector.every(Number.isFinite), "no vector");
    return vector;
  },

  "models-list": async ({ client }) => {
    const names = (await client.models.list()).data.map((each) => each.id);
    expect(names.length, "no models");
    return names;
  },

  "files-upload": async ({ client, sdk }) => {
    const file = await sdk.toFile(Buffer.alloc(UPLOAD_BYTES, "0123456789abcdef"), "prompts.jsonl");
    const stored = await client.files.create({ file, purpose: "batch" });
    expect(stored.bytes >= UPLOAD_BYTES, `${stored.bytes} bytes of at least ${UPLOAD_BYTES} arrived`);
    return { object: stored.object };
  },

  "audio-transcription": async ({ client, sdk }) => {
    const file = await sdk.toFile(Buffer.concat([Buffer.from("RIFF"), Buffer.alloc(512 * 1024)]), "speech.wav");
    const answer = await client.audio.transcriptions.create({ model: "whisper-1", file });
    expect(typeof answer.text === "string", "no text");
    return typeof answer.text;
  },

  "large-prompt": async ({ client }) => {
    const long = [{ role: "user", content: "é☃ word ".repeat(100_000) }];
    const answer = await client.chat.completions.create({ model, messages: long }, steer({ tokens: TOKENS }));
    expect(answer.choices[0].message.content, "no content");
    return answer.choices[0].message.content;
  },

  "response-headers": async ({ client }) => {
    const { response } = await client.chat.completions.create({ model, messages }, steer({ tokens: TOKENS })).withResponse();
    const names = [...response.headers.keys()].filter((name) => /^(openai-|x-ratelimit-)/.test(name)).sort();
    expect(response.headers.get("x-request-id"), "no x-request-id");
    expect(names.length, "no openai-* or x-ratelimit-* header");
    return names;
  },

  /** Ten in a row show that nothing is left behind by the way the SDK ends a stream. */
  "close-after-done-then-again": async ({ client }) => {
    let last;
    for (let round = 0; round < 10; round += 1) last = await wholeChat(client);
    return last.text;
  },

  /** `break` makes the SDK abort the request; the next one must not notice. */
  "break-then-again": async ({ client }) => {
    let read = 0;
    for await (const chunk of await streamChat(client, { tokens: 100_000, gap_us: 5_000 })) {
      expect(chunk, "an empty chunk");
      read += 1;
      if (read === 3) break;
    }
    return wholeChat(client);
  },

  /** Twenty streams of different lengths, each its own. */
  "many-at-once": async ({ client }) => {
    const one = async (tokens) => (await collect(await streamChat(client, { tokens, gap_us: 2_000 }))).deltas;
    const counts = await Promise.all(Array.from({ length: 20 }, (_, number) => one(10 + number)));
    expect(counts.every((count, at) => at === 0 || count === counts[at - 1] + 1), `mixed up: ${counts}`);
    return counts;
  },
};

// --- group errors: the upstream's own, class by class -------------------------------------------------------------

const CLASSES = {
  400: "BadRequestError", 401: "AuthenticationError", 403: "PermissionDeniedError", 404: "NotFoundError",
  409: "ConflictError", 422: "UnprocessableEntityError", 429: "RateLimitError",
  500: "InternalServerError", 503: "InternalServerError", 504: "InternalServerError",
};

/** What an application can read off an error. Ids differ from run to run; that there is one doesn't. */
function describe(error) {
  return {
    class: error.constructor.name, status: error.status, message: error.error?.message, type: error.type, param: error.param,
    code: error.code, has_request_id: Boolean(error.requestID), retry_after: error.headers?.get("retry-after") ?? null,
  };
}

/** The error that a call ends with; an end without one is a failure. */
async function errorOf(name, call) {
  let ended;
  try {
    ended = await call();
  } catch (error) {
    return error;
  }
  throw new Error(`${name} ended cleanly: ${JSON.stringify(ended)}`);
}

async function errorClasses({ client, sdk }) {
  const table = [];
  for (const [status, wanted] of Object.entries(CLASSES)) {
    for (const stream of [false, true]) {
      const ask = () => client.chat.completions.create({ model, messages, stream }, steer({ script: status }));
      const error = await errorOf(`status ${status}`, ask);
      const seen = describe(error);
      const told = `${status}: ${JSON.stringify(seen)} ${error}`;
      expect(error instanceof sdk[wanted] && seen.class === wanted && seen.status === Number(status), told);
      expect(seen.message && seen.type, told);
      expect(Number(status) !== 429 || seen.retry_after, `without Retry-After, ${told}`);
      table.push(seen);
    }
  }
  return table;
}

// --- group refused: one error of the proxy's own, as the options say: class, status, code ---------------------------

async function refusedAsTold({ client, options }) {
  const seen = describe(await errorOf("the request", async () => collect(await streamChat(client, {}))));
  const told = JSON.stringify(seen);
  expect(seen.class === options.class && String(seen.status) === options.status, told);
  expect(seen.message && seen.type && seen.code === options.code, `not as OpenAI says it: ${told}`);
  expect(seen.has_request_id, `no request id: ${told}`);
  return seen;
}

// --- group keyless: the same without any key -----------------------------------------------------------------------

function refusedWithoutAKey({ client, options }) {
  return refusedAsTold({ client: client.withOptions({ defaultHeaders: { Authorization: null } }), options });
}

// --- group limited: what a client with limits of the proxy's own sees, when it keeps to them and when it does not ----

async function limitsAreToldOnAStream({ client }) {
  const ask = { model, messages, stream: true };
  const { data, response } = await client.chat.completions.create(ask, steer({ tokens: TOKENS })).withResponse();
  const told = Object.fromEntries([...response.headers].filter(([name]) => name.startsWith("x-ratelimit-")));
  expect((await collect(data)).text, "no text");
  expect(told["x-ratelimit-limit-requests"] === "20", JSON.stringify(told));
  expect(told["x-ratelimit-remaining-requests"] === "0", JSON.stringify(told));
  return Object.keys(told).sort();
}

// --- group cut: an answer that was cut must never look like one that ended (options: times) -------------------------

/** The client's own timeout is no sign from the proxy: whoever waits for that has been left hanging. */
async function raises(name, sdk, call) {
  const error = await errorOf(name, call);
  expect(error.status === undefined, `${name} was answered with an error: ${JSON.stringify(describe(error))}`);
  expect(!(error instanceof sdk.APIConnectionTimeoutError), `${name} was left hanging`);
  return error.constructor.name;
}

/** Outside `raises`: the head itself must arrive. */
async function cutStreamRaises({ client, options, sdk }) {
  const classes = [];
  for (let round = 0; round < Number(options.times ?? 1); round += 1) {
    const stream = await streamChat(client, {});
    classes.push(await raises("a stream", sdk, () => collect(stream)));
  }
  return classes;
}

function cutAnswerRaises({ client, sdk }) {
  return raises("an answer", sdk, () => client.chat.completions.create({ model, messages }));
}

/** Routes that forward by the model. */
const byModel = {
  "models-are-joined": async ({ client, options }) => {
    const ids = [];
    for await (const listed of client.models.list()) ids.push(listed.id);
    ids.sort();
    expect(ids.join(",") === options.ids, `listed: ${ids}`);
    expect((await client.models.retrieve(ids[0])).id === ids[0], "another model");
    return { ids };
  },

  "each-model-goes-its-way": async ({ client, options, sdk }) => {
    const seen = [];
    for (const id of options.ids.split(",")) {
      const chat = await client.chat.completions.create({ model: id, messages });
      const file = await sdk.toFile(Buffer.from("\r\n--".repeat(100_000)), "a.mp3");
      // The form's fields have this order: the file comes first.
      const form = await client.audio.transcriptions.create({ file, model: id });
      seen.push([id, chat.choices[0].message.content, form.text]);
    }
    return { seen };
  },
};

export const GROUPS = {
  models: byModel,
  streams: Object.fromEntries(
    ["chat-stream", "chat-stream-slowly", "responses-stream", "completions-stream"].map((name) => [name, api[name]]),
  ),
  // An event without data, which some make of a comment, is no JSON.
  silent: { "a-silent-stream-is-read-to-its-end": async ({ client }) => collect(await streamChat(client, {})) },
  api,
  errors: { "error-classes": errorClasses },
  retry: { "retries-until-answered": ({ client }) => wholeChat(client) },
  refused: { "refused-as-told": refusedAsTold },
  keyless: { "refused-without-a-key": refusedWithoutAKey },
  limited: {
    "limits-are-told-on-a-stream": limitsAreToldOnAStream,
    // The one before it has just used up what there was: the one retry is answered only if the SDK waits as it is told.
    "a-refused-request-is-answered-after-the-time-told": ({ client }) => wholeChat(client),
  },
  "cut-stream": { "cut-stream-raises": cutStreamRaises },
  "cut-answer": { "cut-answer-raises": cutAnswerRaises },
};
