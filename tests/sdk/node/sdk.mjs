// Runs a group of cases with OpenAI's Node SDK against one base URL; see cases.mjs for what each proves.
//
//     node sdk.mjs BASE_URL GROUP [NAME=VALUE ...]
//
// One JSON line per case: {case, ok, detail, seen}, as sdk.py prints them. Exit code 1 when a case failed.
// SDK_MODULE names the folder of the installed package.

import { createRequire } from "node:module";
import { GROUPS } from "./cases.mjs";

const sdk = createRequire(import.meta.url)(process.env.SDK_MODULE ?? "openai");
const [baseURL, group, ...rest] = process.argv.slice(2);
const options = Object.fromEntries(rest.map((pair) => pair.split(/=(.*)/s).slice(0, 2)));
const client = new sdk.OpenAI({
  baseURL,
  apiKey: process.env.OPENAI_API_KEY ?? "sk-of-the-client",
  maxRetries: Number(options.retries ?? 0),
  timeout: Number(options.timeout ?? 30) * 1000,
});

// A rejection that nobody awaits is an error that an application would never see: it fails the program.
process.on("unhandledRejection", (error) => {
  console.error("not awaited by anyone:", error);
  process.exit(1);
});

let failed = false;
for (const [name, run] of Object.entries(GROUPS[group])) {
  const verdict = { case: name, ok: true, detail: "", seen: null };
  try {
    verdict.seen = await run({ client, options, sdk });
  } catch (error) {
    verdict.ok = false;
    verdict.detail = `${error?.constructor?.name}: ${error?.message} ${error?.stack?.split("\n")[1]?.trim() ?? ""}`;
    failed = true;
  }
  console.log(JSON.stringify(verdict));
}
// Connections kept alive must not keep the program alive.
process.exit(failed ? 1 : 0);
