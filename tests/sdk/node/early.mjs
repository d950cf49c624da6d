// early.mjs URL BYTES TIMES: as early.py, for Node's own fetch.

const [url, bytes, times] = process.argv.slice(2);
const body = Buffer.alloc(Number(bytes), "x");
const told = {};

for (let nth = 0; nth < Number(times); nth++) {
  let what;
  try {
    const answer = await fetch(url, { method: "POST", body });
    await answer.text();
    what = String(answer.status);
  } catch (error) {
    what = `${error}: ${error.cause}`;
  }
  told[what] = (told[what] ?? 0) + 1;
}
console.log(JSON.stringify({ client: "fetch", told }));
