/** Photos to files: the slider, tiers and targets, JPEG beside it, and Python as the judge. */

import { readFileSync } from "node:fs";
import { join } from "node:path";

import type { Page } from "@playwright/test";

import { SHOTS, compare, drop, expect, fact, python, shown, test } from "./site";

/** Save what the stage shows; gives the bytes and where they lie. */
async function saved(page: Page, button: string): Promise<{ path: string; name: string }> {
  const [download] = await Promise.all([
    page.waitForEvent("download"),
    page.getByRole("button", { name: button }).click(),
  ]);
  const path = join(SHOTS, download.suggestedFilename());
  await download.saveAs(path);
  return { path, name: download.suggestedFilename() };
}

/** Where the border stands, in parts of the picture. */
async function border(page: Page): Promise<number> {
  const handle = (await page.locator("#handle").boundingBox())!;
  const view = (await page.locator("#view").boundingBox())!;
  return (handle.x + handle.width / 2 - view.x) / view.width;
}

test("a photo becomes a file that Python decodes to the same picture", async ({ opened: page, site }) => {
  await drop(page, join(site.folder, "photo.png"), "image/png");
  await shown(page, "photo.png");
  await expect(fact(page, "Tier")).toContainText("8 (1,024 words)");
  await expect(fact(page, "JPEG")).toContainText("none so small");
  const { path, name } = await saved(page, "Save .vqc");
  expect(name).toBe("photo.vqc");
  expect(readFileSync(path).length).toBeLessThan(400);
  expect(python("-m", "vqcodec", "info", path)).toContain("tier 8 (1024 words), stride 16, context coding");
  const png = join(SHOTS, "by-python.png");
  python("-m", "vqcodec", "decode", "-q", "-f", path, "-o", png);
  const { share, most } = await compare(page, readFileSync(png), 3);
  console.log(`own file: ${(100 * share).toFixed(3)} % within 3 levels, at most ${most} apart`);
  expect(share).toBeGreaterThanOrEqual(0.995);
  const picture = await saved(page, "Save PNG");
  expect((await compare(page, readFileSync(picture.path), 0)).share).toBe(1);
});

test("the encoder takes the words that Python's takes", async ({ opened: page, site }) => {
  const photo = join(site.folder, "photo.png");
  await drop(page, photo, "image/png");
  await shown(page, "photo.png");
  const { path } = await saved(page, "Save .vqc");
  const equal = python(
    "-c",
    "import sys, numpy as np; import vqcodec; from PIL import Image\n" +
      "from vqcodec import codec\n" +
      "pixels = np.asarray(Image.open(sys.argv[1]).convert('RGB'))\n" +
      "own = codec.decode_with_losses(vqcodec.encode(pixels, tier=8))\n" +
      "theirs = codec.decode_with_losses(open(sys.argv[2], 'rb').read())\n" +
      "print((own.indices == theirs.indices).mean())",
    photo,
    path,
  );
  expect(Number(equal)).toBeGreaterThanOrEqual(0.98);
});

test("the border moves by mouse, by keys and by touch", async ({ opened: page, site }) => {
  await drop(page, join(site.folder, "large.jpg"), "image/jpeg");
  await shown(page, "large.jpg");
  await expect(fact(page, "JPEG")).toContainText("scaled up");
  await page.locator("#view").scrollIntoViewIfNeeded();
  expect(await border(page)).toBeCloseTo(0.5, 2);
  const box = (await page.locator("#view").boundingBox())!;
  const at = (x: number): [number, number] => [box.x + x * box.width, box.y + 0.4 * box.height];
  await page.mouse.move(...at(0.5));
  await page.mouse.down();
  await page.mouse.move(...at(0.25), { steps: 4 });
  await page.mouse.up();
  expect(await border(page)).toBeCloseTo(0.25, 2);
  await page.mouse.move(...at(0.8));
  expect(await border(page)).toBeCloseTo(0.25, 2);
  for (let n = 0; n < 5; n++) await page.keyboard.press("ArrowRight");
  expect(await border(page)).toBeCloseTo(0.3, 2);
  const session = await page.context().newCDPSession(page);
  const touch = (type: string, x?: number): Promise<unknown> => {
    const touchPoints = x === undefined ? [] : [{ x: at(x)[0], y: at(x)[1] }];
    return session.send("Input.dispatchTouchEvent", { type: type as "touchStart", touchPoints });
  };
  await touch("touchStart", 0.6);
  await touch("touchMove", 0.65);
  await touch("touchMove", 0.7);
  await touch("touchEnd");
  expect(await border(page)).toBeCloseTo(0.7, 1);
  await page.screenshot({ path: join(SHOTS, "made.png"), fullPage: true });
  await page.getByLabel("JPEG of the same size").check();
  await expect(page.locator("#left-tag")).toContainText("scaled up");
  await page.screenshot({ path: join(SHOTS, "jpeg.png"), fullPage: true });
});

test("tiers and targets are kept, and the turned photo stands upright", async ({ opened: page, site }) => {
  await drop(page, join(site.folder, "turned.jpg"), "image/jpeg");
  await shown(page, "turned.jpg");
  await expect(fact(page, "Picture")).toHaveText("150 × 200 px");
  await page.locator("#tier").fill("0");
  await expect(fact(page, "Tier")).toHaveText("1 (8 words)");
  const smallest = Number((await fact(page, "File").textContent())!.split(" ")[0]);
  await page.getByLabel("by bytes").check();
  await page.getByLabel("Bytes at most").fill("120");
  await page.getByLabel("Bytes at most").press("Tab");
  await expect(fact(page, "Tier")).not.toHaveText("1 (8 words)");
  const size = Number((await fact(page, "File").textContent())!.split(" ")[0]);
  expect(size).toBeLessThanOrEqual(120);
  expect(size).toBeGreaterThan(smallest);
  await page.getByLabel("Bytes at most").fill("30");
  await page.getByLabel("Bytes at most").press("Tab");
  await expect(page.locator("#error")).toContainText("more than the target of 30");
});
