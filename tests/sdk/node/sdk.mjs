// Runs groups of cases with OpenAI's Node SDK, each against a base URL; see cases.mjs for what each proves.
//
//     node sdk.mjs BASE_URL GROUP [NAME=VALUE ...] [-- BASE_URL GROUP ...]
//
// One JSON line per case: {job, case, ok, detail, seen}, as sdk.py prints them. Exit code 1 when a case failed.
// SDK_MODULE names the folder of the installed package.

import { createRequire } from "node:module";
import { GROUPS } from "./cases.mjs";

const sdk = createRequire(import.meta.url)(process.env.SDK_MODULE ?? "openai");

// A rejection that nobody awaits is an error that an application would never see: it fails the program.
process.on("unhandledRejection", (error) => {
  console.error("not awaited by anyone:", error);
  process.exit(1);
});

/** The arguments between one `--` and the next. */
function jobs(argv) {
  const all = [[]];
  for (const argument of argv) {
    if (argument === "--") all.push([]);
    else all.at(-1).push(argument);
  }
  return all;
}

async function judge(run, client, options) {
  try {
    return { ok: true, detail: "", seen: await run({ client, options, sdk }) };
  } catch (error) {
    const where = error?.stack?.split("\n")[1]?.trim() ?? "";
    return { ok: false, detail: `${error?.constructor?.name}: ${error?.message} ${where}`, seen: null };
  }
}

let failed = false;
for (const [number, [baseURL, group, ...rest]] of jobs(process.argv.slice(2)).entries()) {
  const options = Object.fromEntries(rest.map((pair) => pair.split(/=(.*)/s).slice(0, 2)));
  const client = new sdk.OpenAI({
    baseURL,
    apiKey: options.key ?? process.env.OPENAI_API_KEY ?? "sk-of-the-client",
    maxRetries: Number(options.retries ?? 0),
    timeout: Number(options.timeout ?? 60) * 1000,
  });
  for (const [name, run] of Object.entries(GROUPS[group])) {
    const verdict = { job: number, case: name, ...(await judge(run, client, options)) };
    failed ||= !verdict.ok;
    console.log(JSON.stringify(verdict));
  }
}
// Connections kept alive must not keep the program alive.
process.exit(failed ? 1 : 0);
