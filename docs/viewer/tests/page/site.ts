/** What the page's tests share: the page served by `vqcodec view`, and Python to compare with. */

import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

import { test as base, expect } from "@playwright/test";
import type { Locator, Page } from "@playwright/test";

export { expect };

const VIEWER = resolve(import.meta.dirname, "..", "..");
export const ROOT = resolve(VIEWER, "..", "..");
export const GOLDEN = join(ROOT, "tests", "golden");
export const SAMPLE = join(VIEWER, "public", "gallery");
export const SHOTS = join(VIEWER, "test-results");
export const DIST = join(VIEWER, "dist");
const PYTHON = process.env.PYTHON ?? join(ROOT, ".venv", "bin", "python");

/** Run Python in the checkout; its stdout. */
export function python(...words: string[]): string {
  const done = spawnSync(PYTHON, words, { cwd: ROOT, encoding: "utf8" });
  if (done.status !== 0) throw new Error(`python ${words.join(" ")}: ${done.stderr}`);
  return done.stdout;
}

/** Serve the page; gives its address and the way to end it. */
export async function serve(...words: string[]): Promise<{ url: string; end: () => void }> {
  if (!existsSync(join(DIST, "index.html"))) throw new Error("build the page first: make viewer");
  const process = spawn(PYTHON, ["-m", "vqcodec", "view", "--no-browser", ...words], { cwd: ROOT });
  const url = await new Promise<string>((found, failed) => {
    let said = "";
    let complaint = "";
    process.stdout.on("data", (text: Buffer) => {
      said += text.toString();
      if (said.includes("\n")) found(said.trim());
    });
    process.stderr.on("data", (text: Buffer) => (complaint += text.toString()));
    process.on("exit", () => failed(new Error(complaint)));
  });
  return { url, end: () => process.kill() };
}

/** A folder of files to open: a photo, a larger one, and files of all kinds. */
function makeFiles(): string {
  const folder = mkdtempSync(join(tmpdir(), "vqcodec-page-"));
  python(
    "-c",
    "import sys; from pathlib import Path; from PIL import Image; import numpy as np\n" +
      "from tests.golden.make_pack import photo\n" +
      "from vqcodec.bitstream import container; from vqcodec.bitstream.packets import Header\n" +
      "folder = Path(sys.argv[1])\n" +
      "small = Image.fromarray(photo()); small.save(folder / 'photo.png')\n" +
      "exif = Image.Exif(); exif[0x0112] = 6\n" +
      "small.save(folder / 'turned.jpg', exif=exif, quality=95)\n" +
      "small.resize((1800, 1350)).save(folder / 'large.jpg')\n" +
      "(folder / 'huge.vqc').write_bytes(container.write(\n" +
      "    Header(8, 'fixed', 1, 0xf1b2, 65535, 65535), [b'x']))\n",
    folder,
  );
  return folder;
}

interface Site {
  url: string;
  folder: string;
}

/** Tests with the page open and nothing wrong in its console at the end. */
export const test = base.extend<{ opened: Page }, { site: Site }>({
  site: [
    // eslint-disable-next-line no-empty-pattern
    async ({}, use) => {
      mkdirSync(SHOTS, { recursive: true });
      const { url, end } = await serve();
      await use({ url, folder: makeFiles() });
      end();
    },
    { scope: "worker" },
  ],
  opened: async ({ page, site }, use) => {
    const complaints: string[] = [];
    page.on("console", (message) => {
      if (["error", "warning"].includes(message.type())) complaints.push(message.text());
    });
    page.on("pageerror", (error) => complaints.push(error.message));
    await page.goto(site.url);
    await use(page);
    expect(complaints).toEqual([]);
  },
});

/** Drop a file onto the page, as from the desktop. */
export async function drop(page: Page, path: string, type = ""): Promise<void> {
  const name = path.split("/").pop()!;
  const transfer = await page.evaluateHandle(
    ({ data, name, type }) => {
      const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
      const transfer = new DataTransfer();
      transfer.items.add(new File([bytes], name, { type }));
      return transfer;
    },
    { data: readFileSync(path).toString("base64"), name, type },
  );
  await page.dispatchEvent("body", "dragover", { dataTransfer: transfer });
  await page.dispatchEvent("body", "drop", { dataTransfer: transfer });
}

/** The stage, once it shows a file of this name. */
export async function shown(page: Page, name: string): Promise<Locator> {
  const stage = page.locator("#stage");
  await expect(stage.locator("h2")).toHaveText(name);
  await expect(stage).toBeVisible();
  return stage;
}

export function fact(page: Page, name: string): Locator {
  return page.locator("#facts dt", { hasText: new RegExp(`^${name}$`) }).locator("+ dd");
}

/** Share of the result's values that are within `levels` of a PNG's, and the largest difference. */
export async function compare(
  page: Page,
  png: Buffer,
  levels: number,
): Promise<{ share: number; most: number; size: string }> {
  return page.evaluate(
    async ({ source, levels }) => {
      const image = new Image();
      image.src = source;
      await image.decode();
      const canvas = document.createElement("canvas");
      canvas.width = image.width;
      canvas.height = image.height;
      const drawing = canvas.getContext("2d")!;
      drawing.drawImage(image, 0, 0);
      const wanted = drawing.getImageData(0, 0, image.width, image.height).data;
      const result = document.getElementById("result") as HTMLCanvasElement;
      const found = result.getContext("2d")!.getImageData(0, 0, result.width, result.height).data;
      const size = `${result.width}x${result.height}`;
      let near = 0;
      let most = 0;
      for (let at = 0; at < found.length; at++) {
        const difference = Math.abs(found[at] - wanted[at]);
        if (difference <= levels) near++;
        most = Math.max(most, difference);
      }
      return { share: near / wanted.length, most, size };
    },
    { source: `data:image/png;base64,${png.toString("base64")}`, levels },
  );
}
