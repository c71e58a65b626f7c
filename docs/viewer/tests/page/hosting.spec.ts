/** Any static host, in any folder: isolated by the service worker, offline after the first visit. */

import { readFileSync, statSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { extname, join } from "node:path";

import { expect, test } from "@playwright/test";

import { DIST, GOLDEN, drop, shown } from "./site";

const TYPES: Record<string, string> = {
  ".html": "text/html",
  ".js": "text/javascript",
  ".mjs": "text/javascript",
  ".css": "text/css",
  ".json": "application/json",
  ".svg": "image/svg+xml",
};

/** A plain host without special headers; it counts what it is asked for. */
async function host(): Promise<{ url: string; asked: string[]; end: () => void }> {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    const path = new URL(request.url!, "http://host").pathname.replace(/^\/deep\/folder\//, "");
    asked.push(path);
    try {
      const file = join(DIST, path || "index.html");
      if (!statSync(file).isFile()) throw new Error("no file");
      const type = TYPES[extname(file)] ?? "application/octet-stream";
      // As some hosts do with .gz, so that the browser unpacks it itself.
      const packed: Record<string, string> = file.endsWith(".gz") ? { "Content-Encoding": "gzip" } : {};
      response.writeHead(200, { "Content-Type": type, ...packed }).end(readFileSync(file));
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise<void>((ready) => server.listen(0, "127.0.0.1", ready));
  const { port } = server.address() as AddressInfo;
  const end = (): void => {
    server.close();
    server.closeAllConnections();
  };
  return { url: `http://localhost:${port}/deep/folder/`, asked, end };
}

test("a plain host is isolated with one reload, loads the model once and works offline", async ({ page }) => {
  const { url, asked, end } = await host();
  try {
    let nLoads = 0;
    page.on("load", () => nLoads++);
    await page.goto(url);
    await expect(page.locator(".card").last()).toBeEnabled();
    expect(await page.evaluate(() => crossOriginIsolated)).toBe(true);
    expect(nLoads).toBe(2);
    await expect.poll(() => asked.filter((path) => path === "model/encoder.onnx").length).toBe(1);
    expect(asked.filter((path) => path === "model/decoder.onnx")).toHaveLength(1);
    expect(asked.filter((path) => path.includes("jspi"))).toEqual([
      asked.find((path) => path.startsWith("assets/ort.jspi"))!,
    ]);
    await expect
      .poll(() =>
        page.evaluate(async () => {
          const name = (await caches.keys()).find((one) => one.startsWith("vqcodec-model-"))!;
          return (await (await caches.open(name)).keys()).length;
        }),
      )
      .toBe(7);
  } finally {
    end();
  }
  const nAsked = asked.length;
  await page.reload();
  await expect(page.locator(".card").last()).toBeEnabled();
  await drop(page, join(GOLDEN, "photo-3", "tier9.vqc"));
  await shown(page, "tier9.vqc");
  expect(await page.evaluate(() => crossOriginIsolated)).toBe(true);
  expect(asked).toHaveLength(nAsked);
});

test("without service workers it goes on with one thread", async ({ browser }) => {
  const { url, end } = await host();
  const context = await browser.newContext({ serviceWorkers: "block" });
  try {
    const page = await context.newPage();
    await page.goto(url);
    await expect(page.locator(".card").last()).toBeEnabled();
    expect(await page.evaluate(() => crossOriginIsolated)).toBe(false);
  } finally {
    await context.close();
    end();
  }
});
