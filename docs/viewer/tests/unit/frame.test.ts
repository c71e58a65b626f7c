import { expect, test } from "vitest";

import { fromPlanes, toPlanes } from "../../src/worker/frame";

const window = (top: number, bottom: number, left: number, right: number) => ({ top, bottom, left, right });

test("pixels become planes in [-1, 1], edges repeated", () => {
  const picture = { width: 3, height: 1, rgba: Uint8ClampedArray.of(0, 1, 2, 255, 255, 4, 5, 255, 51, 7, 8, 255) };
  const planes = toPlanes(picture, window(0, 2, 0, 2), 2);
  const red = [-1, 1, Math.fround(51 / 127.5) - 1].map(Math.fround);
  for (const row of [0, 1, 2, 3]) {
    expect([...planes.subarray(4 * row, 4 * row + 4)]).toEqual([red[0], red[1], red[2], red[2]]);
  }
  expect(planes[16]).toBe(Math.fround(Math.fround(1 / 127.5) - 1));
});

test("every level survives the way there and back", () => {
  const rgba = Uint8ClampedArray.from({ length: 4 * 256 }, (_, at) => (at % 4 === 3 ? 255 : at >> 2));
  const picture = { width: 256, height: 1, rgba };
  const whole = window(0, 1, 0, 256);
  const out = { width: 256, height: 1, rgba: new Uint8ClampedArray(4 * 256) };
  fromPlanes(toPlanes(picture, whole, 1), whole, whole, whole, 1, out);
  expect(out.rgba).toEqual(rgba);
});

test("levels are clamped and rounded, cores kept and cropped", () => {
  const frame = window(0, 1, 0, 4);
  const level = (value: number): number => value / 127.5 - 1;
  const row = [level(9), level(0.4), 0, 3];
  const planes = Float32Array.from([...row, ...row.map(() => -7), ...row]);
  const out = { width: 2, height: 1, rgba: new Uint8ClampedArray(8) };
  fromPlanes(planes, frame, window(0, 1, 1, 4), window(0, 1, 0, 3), 1, out);
  expect([...out.rgba]).toEqual([0, 0, 0, 255, 128, 0, 128, 255]);
  const last = { width: 1, height: 1, rgba: new Uint8ClampedArray(4) };
  fromPlanes(planes, frame, window(0, 1, 3, 4), window(0, 1, 0, 1), 1, last);
  expect([...last.rgba]).toEqual([255, 0, 255, 255]);
});
