// Drives Debian's Chromium through Playwright's library: drive.mjs CASE URL, with PLAYWRIGHT being a file beside
// the library's node_modules. Prints what was seen as one line of JSON.

import { createRequire } from "node:module";
import { mkdtempSync, rmSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

const { chromium } = createRequire(process.env.PLAYWRIGHT)("playwright-core");

/** For anything that happens at all on a busy machine. */
const PATIENCE = 60_000;

/** Without the background networking it would look up hosts of others; nothing here leaves this machine. */
const ARGS = [
  "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
];

/** What a stream's page shows, while it shows it. */
const shown = (page) => page.evaluate(() => ({
  state: document.body.dataset.state, verified: document.body.dataset.verified ?? null,
  said: document.getElementById("state").textContent, text: document.getElementById("text").textContent,
  events: Number(document.getElementById("events").textContent.replaceAll(",", "")),
  bytes: Number(document.getElementById("bytes").textContent.replaceAll(",", "")),
  cursors: document.getElementById("cursors").textContent,
}));

/** Asked from here again and again: the page forbids itself to evaluate text, which waiting inside it would need. */
async function until(page, holds) {
  const end = Date.now() + PATIENCE;
  for (;;) {
    const seen = await shown(page);
    if (holds(seen)) return;
    if (Date.now() > end) throw new Error(`in vain: ${holds} of ${JSON.stringify(seen)}`);
    await page.waitForTimeout(20);
  }
}

const events = (page, least) => until(page, (seen) => seen.events >= least);
const state = (page, one) => until(page, (seen) => seen.state === one);

/** Pixels of the strip that are not its background, by colour: strokes were drawn. */
const inked = (page) => page.evaluate(() => {
  const canvas = document.getElementById("gaps");
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  let count = 0;
  for (let at = 3; at < data.length; at += 4) count += data[at] > 200 ? 1 : 0;
  return count;
});

/** By the keyboard alone: asks, drops the network twice, resumes twice, and reads to the end. */
async function resumed(page, url) {
  await page.goto(url);
  await page.fill("#most", "200");
  await page.focus("#prompt");
  await page.keyboard.press("Control+End");
  await page.keyboard.type(" Please.");
  await page.keyboard.press("Control+Enter");
  const drops = [];
  for (const least of [10, 60]) {
    await events(page, least);
    await page.keyboard.press("Escape");
    await state(page, "down");
    const before = await shown(page);
    await page.waitForTimeout(300);
    const after = await shown(page);
    drops.push({ before: before.bytes, after: after.bytes, said: after.said });
    await page.keyboard.press("Escape");
  }
  await until(page, (seen) => seen.verified !== null);
  return { ...(await shown(page)), drops, inked: await inked(page) };
}

/** Stops upstream by the button. */
async function stopped(page, url) {
  await page.goto(url);
  await page.click("#send");
  await events(page, 5);
  await page.click("#stop");
  await state(page, "stopped");
  return shown(page);
}

/** Data and ids of an EventSource at `?at=`, to the event that says [DONE]. */
async function source(page, url) {
  await page.goto(url);
  return page.evaluate((patience) => new Promise((resolve, reject) => {
    const seen = { data: [], ids: [], errors: 0 };
    const source = new EventSource(new URLSearchParams(location.search).get("at"));
    setTimeout(() => reject(new Error(`only ${JSON.stringify(seen)}`)), patience);
    source.onerror = () => { seen.errors += 1; };
    source.onmessage = ({ data, lastEventId }) => {
      seen.data.push(data);
      seen.ids.push(lastEventId);
      if (data === "[DONE]") { source.close(); resolve(seen); }
    };
  }), PATIENCE);
}

/** A wire to the proxy that can be cut. */
async function wire(to) {
  const { hostname, port } = new URL(to), open = new Set();
  const server = net.createServer((near) => {
    const far = net.connect(Number(port), hostname);
    for (const [one, other] of [[near, far], [far, near]]) {
      open.add(one);
      one.on("error", () => other.destroy()).on("close", () => { open.delete(one); other.destroy(); }).pipe(other);
    }
  });
  await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
  const cut = () => open.forEach((socket) => socket.destroy());
  return { origin: `http://127.0.0.1:${server.address().port}`, cut, close: () => { cut(); server.close(); } };
}

/** An EventSource of a kept stream whose wire is cut twice: it comes back by itself. What all of its events said, and how often it broke. */
async function cut(page, url, origins) {
  const line = await wire(url);
  try {
    await page.goto(`${line.origin}/page`);
    await page.evaluate(async () => {
      const body = JSON.stringify({ model: "m", stream: true, max_tokens: 200, messages: [] });
      const headers = { "content-type": "application/json", "x-firstbyte-resume": "1" };
      const answer = await fetch("/v1/chat/completions", { method: "POST", body, headers });
      const path = `/streams/${answer.headers.get("x-firstbyte-stream")}`;
      await answer.body.cancel();
      const seen = globalThis.seen = { path, data: [], ids: [], errors: 0, done: false };
      const source = new EventSource(path);
      source.onerror = () => { seen.errors += 1; };
      source.onmessage = ({ data, lastEventId }) => {
        seen.data.push(data);
        seen.ids.push(Number(lastEventId));
        if (data === "[DONE]") { source.close(); seen.done = true; }
      };
    });
    const seen = () => page.evaluate(() => globalThis.seen);
    const wait = async (holds) => {
      const end = Date.now() + PATIENCE;
      while (!holds(await seen())) {
        if (Date.now() > end) throw new Error(`in vain: ${holds} of ${JSON.stringify(await seen())}`);
        await page.waitForTimeout(20);
      }
    };
    for (const least of [5, 40]) {
      await wait(({ data }) => data.length >= least);
      line.cut();
    }
    await wait(({ done }) => done);
    const whole = await page.evaluate(async () => (await fetch(globalThis.seen.path)).text());
    origins.delete(line.origin);
    origins.add(new URL(url).origin);
    return { ...(await seen()), whole };
  } finally {
    line.close();
  }
}

const CASES = { resumed, stopped, source, cut };

const [, , name, url] = process.argv;
const profile = mkdtempSync(join(tmpdir(), "firstbyte-chromium-"));
const context = await chromium.launchPersistentContext(profile, {
  executablePath: "/usr/bin/chromium", args: ARGS, colorScheme: process.env.COLOUR_SCHEME ?? "light",
  viewport: { width: 1100, height: 900 },
});
try {
  const page = context.pages()[0] ?? await context.newPage();
  const faults = [], origins = new Set();
  page.on("pageerror", (error) => faults.push(String(error)));
  page.on("request", (request) => { if (!request.url().startsWith("data:")) origins.add(new URL(request.url()).origin); });
  page.setDefaultTimeout(PATIENCE);
  const seen = await CASES[name](page, url, origins);
  if (process.env.SCREENSHOT) await page.screenshot({ path: process.env.SCREENSHOT });
  console.log(JSON.stringify({ seen, faults, origins: [...origins] }));
} finally {
  await context.close();
  rmSync(profile, { recursive: true, force: true });
}
