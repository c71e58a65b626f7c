/** Narrow windows, keys alone, reduced motion, and names for those who listen. */

import { join } from "node:path";

import { SHOTS, drop, expect, fact, shown, test } from "./site";

test("a phone has no sideways scrolling and room for fingers", async ({ opened: page, site }) => {
  await page.setViewportSize({ width: 390, height: 844 });
  await drop(page, join(site.folder, "large.jpg"), "image/jpeg");
  await shown(page, "large.jpg");
  await expect(fact(page, "JPEG")).toContainText("quality");
  await page.getByLabel("JPEG of the same size").check();
  await page.screenshot({ path: join(SHOTS, "phone-made.png"), fullPage: true });
  const wide = await page.evaluate(() => document.documentElement.scrollWidth);
  expect(wide).toBeLessThanOrEqual(390);
  for (const target of await page.locator("button:visible, select:visible, label:visible").all()) {
    expect((await target.boundingBox())!.height, await target.textContent() ?? "").toBeGreaterThanOrEqual(44);
  }
});

test("keys alone open, compare, choose and save", async ({ opened: page, site }) => {
  const choosing = page.waitForEvent("filechooser"); // long before: listening takes a moment
  await expect(page.locator(".card").first()).toBeEnabled();
  await page.keyboard.press("Tab");
  await expect(page.getByRole("button", { name: "Open a photo" })).toBeFocused();
  await page.keyboard.press("Enter");
  await (await choosing).setFiles(join(site.folder, "photo.png"));
  await shown(page, "photo.png");
  await expect(page.locator("#stage")).toBeFocused();
  await page.keyboard.press("Tab");
  await expect(page.getByRole("slider", { name: /Border between/ })).toBeFocused();
  await page.keyboard.press("ArrowLeft");
  await expect(page.locator("#border")).toHaveValue("49");
  await page.keyboard.press("Tab"); // by tier
  await page.keyboard.press("Tab");
  await expect(page.getByLabel("Tier", { exact: false }).locator("visible=true").last()).toBeVisible();
  await expect(page.locator("#tier")).toBeFocused();
  await page.keyboard.press("ArrowRight");
  await expect(fact(page, "Tier")).toHaveText("9 (2,048 words)");
  await page.locator("#save-vqc").focus();
  const [download] = await Promise.all([page.waitForEvent("download"), page.keyboard.press("Enter")]);
  expect(download.suggestedFilename()).toBe("photo.vqc");
  await page.locator(".card").first().focus();
  await page.keyboard.press("Enter");
  await shown(page, "temple.vqc");
  await expect(page.locator("#border")).toBeHidden();
});

test("dark, and without motion", async ({ opened: page, site }) => {
  await page.emulateMedia({ colorScheme: "dark", reducedMotion: "reduce" });
  await drop(page, join(site.folder, "photo.png"), "image/png");
  await shown(page, "photo.png");
  const ground = await page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
  expect(ground).toBe("rgb(22, 24, 26)");
  const animation = await page.locator("#result").evaluate((one) => getComputedStyle(one).animationName);
  expect(animation).toBe("none");
  await page.screenshot({ path: join(SHOTS, "dark.png"), fullPage: true });
});
