/** Files to pictures: the gallery, whole files, damaged ones, broken ones, hostile ones. */

import { copyFileSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { GOLDEN, SAMPLE, SHOTS, compare, drop, expect, fact, serve, shown, test } from "./site";

test("the gallery shows three pictures, one of them restored", async ({ opened: page }) => {
  const begin = Date.now();
  const cards = page.locator(".card");
  await expect(cards).toHaveCount(3);
  for (const card of await cards.all()) {
    await expect(card).toBeEnabled();
    const colours = await card.locator("canvas").evaluate((canvas: HTMLCanvasElement) => {
      const { data } = canvas.getContext("2d")!.getImageData(0, 0, canvas.width, canvas.height);
      return new Set(new Uint32Array(data.buffer)).size;
    });
    expect(colours).toBeGreaterThan(1000);
  }
  console.log(`three pictures after ${((Date.now() - begin) / 1000).toFixed(1)} s, the model included`);
  await expect(cards.nth(2)).toContainText("6 of 20 packets lost, restored");
  await expect(page.locator("footer")).toContainText("Model photo-3 (weights id f1b2, MIT)");
  await page.screenshot({ path: join(SHOTS, "gallery.png"), fullPage: true });
  await cards.nth(2).click();
  await shown(page, "temple-damaged.vqc");
  await expect(fact(page, "Restored")).toContainText("by the restorer network");
  await page.getByLabel("show what was painted by guess").check();
  await page.screenshot({ path: join(SHOTS, "damaged.png"), fullPage: true });
});

for (const tier of [1, 9]) {
  test(`the golden of tier ${tier} looks as in Python`, async ({ opened: page }) => {
    const path = join(GOLDEN, "photo-3", `tier${tier}.vqc`);
    await drop(page, path);
    await shown(page, `tier${tier}.vqc`);
    await expect(fact(page, "File")).toHaveText(`${readFileSync(path).length} bytes`);
    await expect(fact(page, "Picture")).toHaveText("200 × 150 px");
    await expect(fact(page, "Coding")).toHaveText("context");
    await expect(fact(page, "Model")).toHaveText("photo-3, weights id f1b2");
    const png = readFileSync(join(GOLDEN, "photo-3", `tier${tier}.png`));
    const { share, most, size } = await compare(page, png, 3);
    console.log(`tier ${tier}: ${(100 * share).toFixed(3)} % within 3 levels, at most ${most} apart`);
    expect(size).toBe("200x150");
    expect(share).toBeGreaterThanOrEqual(0.995);
  });
}

test("bad files are refused in the command line's words, and the next is opened", async ({
  opened: page,
  site,
}) => {
  const error = page.locator("#error");
  const bad = join(GOLDEN, "v1", "bad");
  const messages = JSON.parse(readFileSync(join(bad, "messages.json"), "utf8"));
  for (const name of ["NotVqcError-png.vqc", "VersionError-2.vqc", "ChecksumError-payload-bit.vqc"]) {
    await drop(page, join(bad, name));
    await expect(error).toHaveText(`${name}: ${messages[name].message}`);
    await expect(error).toHaveRole("alert");
  }
  await drop(page, join(bad, "NotVqcError-empty.vqc"));
  await expect(error).toContainText("is empty");
  await drop(page, join(GOLDEN, "v1", "fec-20-4.vqc"));
  await expect(error).toContainText("needs the model pack with weights id");
  const text = join(site.folder, "notes.txt");
  writeFileSync(text, "this is no image\n");
  await drop(page, text, "text/plain");
  await expect(error).toContainText("notes.txt: ");
  copyFileSync(text, join(site.folder, "broken.jpg"));
  await drop(page, join(site.folder, "broken.jpg"), "image/jpeg");
  await expect(error).toHaveText(/broken\.jpg: not an image that this browser can read/);
  await page.screenshot({ path: join(SHOTS, "error.png") });
  await drop(page, join(GOLDEN, "photo-3", "tier1.vqc"));
  await shown(page, "tier1.vqc");
  await expect(error).toBeHidden();
});

test("a file that announces four gigapixels is refused at once", async ({ opened: page, site }) => {
  await expect(page.locator(".card").last()).toBeEnabled();
  const begin = Date.now();
  await drop(page, join(site.folder, "huge.vqc"));
  await expect(page.locator("#error")).toContainText("huge.vqc: 65535x65535 is more than 16,777,216 pixels, this page's limit");
  expect(Date.now() - begin).toBeLessThan(10_000);
  await page.locator(".card").first().click();
  await shown(page, "temple.vqc");
});

test("the address opens a file of any name; the second one takes no preparing", async ({ page, site }) => {
  const path = join(site.folder, "50% off & été #1.vqc");
  copyFileSync(join(SAMPLE, "temple.vqc"), path);
  const { url, end } = await serve(path);
  try {
    const begin = Date.now();
    await page.goto(url);
    await shown(page, "50% off & été #1.vqc");
    const first = Date.now() - begin;
    const then = Date.now();
    await drop(page, join(SAMPLE, "flower.vqc"));
    await shown(page, "flower.vqc");
    const second = Date.now() - then;
    console.log(`640 x 427: ${first / 1000} s from the start, then ${second / 1000} s`);
  } finally {
    end();
  }
});

test("a job can be ended, and the page goes on", async ({ opened: page, site }) => {
  await expect(page.locator(".card").last()).toBeEnabled();
  await drop(page, join(site.folder, "large.jpg"), "image/jpeg");
  await page.getByRole("button", { name: "Cancel" }).click();
  await expect(page.locator("#status")).toBeHidden();
  await drop(page, join(GOLDEN, "photo-3", "tier1.vqc"));
  await shown(page, "tier1.vqc");
});
