/** The page in Chromium: the system's, by CHROMIUM where it is named so. */

import { existsSync } from "node:fs";

import { defineConfig } from "@playwright/test";

const named = process.env.CHROMIUM;
const found = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
const executablePath = named ?? found.find((path) => existsSync(path));

export default defineConfig({
  testDir: "tests/page",
  outputDir: "test-results",
  workers: 1,
  timeout: 120_000,
  expect: { timeout: 60_000 },
  reporter: [["list"]],
  use: {
    viewport: { width: 1280, height: 900 },
    launchOptions: { executablePath, args: ["--no-sandbox"] },
  },
});
