/**
 * How long the built page takes: `npm run speed -- FIRST.vqc SECOND.vqc`, `make viewer` before.
 *
 * Each round starts a browser that knows nothing of the page, has `vqcodec view FIRST` open the
 * first file, and gives the page the second one when it has come to rest. The times are the page's
 * own, from the tables being there to the picture, and in brackets those of a clock outside.
 */

import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { cpus } from "node:os";
import { resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import { chromium } from "@playwright/test";

const ROUNDS = 5;
const REST_MS = 8_000; // the gallery decodes, the other networks come in

const files = process.argv.slice(2).map((file) => resolve(process.env.INIT_CWD ?? ".", file));
if (files.length !== 2 || !files.every((file) => existsSync(file))) {
  console.error("name two .vqc files: npm run speed -- FIRST.vqc SECOND.vqc");
  process.exit(2);
}
const [first, second] = files;
const root = resolve(import.meta.dirname, "..", "..");
const python = process.env.PYTHON ?? resolve(root, ".venv", "bin", "python");
const found = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
const executablePath = process.env.CHROMIUM ?? found.find((path) => existsSync(path));

const server = spawn(python, ["-m", "vqcodec", "view", "--no-browser", first], { cwd: root });
const url = await new Promise((answer, failed) => {
  let said = "";
  let complaint = "";
  server.stdout.on("data", (text) => {
    said += text;
    if (said.includes("\n")) answer(said.trim());
  });
  server.stderr.on("data", (text) => (complaint += text));
  server.on("exit", () => failed(new Error(complaint)));
});

/** What the page says that decoding took; "" while it says nothing. */
const said = () =>
  [...document.querySelectorAll("dt")].find((dt) => dt.textContent === "Decoded in")
    ?.nextElementSibling.textContent ?? "";

/** Do something that shows a picture; what the page says of it, and the seconds outside. */
async function timed(page, act) {
  await page.evaluate(() => document.querySelectorAll("dd").forEach((dd) => (dd.textContent = "")));
  const begin = performance.now();
  await act();
  await page.waitForFunction(said, undefined, { polling: 10, timeout: 120_000 });
  const took = (performance.now() - begin) / 1000;
  return `${await page.evaluate(said)} (${took.toFixed(2)} s)`;
}

try {
  console.log(`${cpus().length} cores, ${cpus()[0].model}`);
  for (let round = 0; round < ROUNDS; round++) {
    const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
    const page = await browser.newPage();
    const one = await timed(page, () => page.goto(url));
    await sleep(REST_MS);
    const two = await timed(page, () => page.setInputFiles("input[type=file]", second));
    console.log(`first file ${one}, second ${two}`);
    await browser.close();
  }
} finally {
  server.kill();
}
