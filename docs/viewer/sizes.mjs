/** What the built page weighs, by folder; more than 24 MiB in all is a failure. */

import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";

const LIMIT = 24 * 2 ** 20;
const dist = join(import.meta.dirname, "dist");
const sizes = new Map();
for (const name of readdirSync(dist, { recursive: true, encoding: "utf8" })) {
  const file = statSync(join(dist, name));
  if (!file.isFile()) continue;
  const folder = /[\\/]/.test(name) ? name.split(/[\\/]/)[0] + "/" : "page";
  sizes.set(folder, (sizes.get(folder) ?? 0) + file.size);
}
const total = [...sizes.values()].reduce((sum, size) => sum + size, 0);
for (const [folder, size] of sizes) console.log(`${folder.padEnd(10)}${(size / 1e6).toFixed(2)} MB`);
console.log(`${"in all".padEnd(10)}${(total / 1e6).toFixed(2)} MB (${(total / 2 ** 20).toFixed(2)} MiB)`);
if (!sizes.has("model/")) throw new Error("the model is not there: run 'make viewer'");
if (total > LIMIT) throw new Error(`more than ${LIMIT / 2 ** 20} MiB`);
