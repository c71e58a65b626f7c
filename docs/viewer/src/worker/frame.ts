/** Pixels to what the networks take and back, with the roundings of `vqcodec/nets/load.py`. */

import type { Picture } from "../protocol";
import type { Window } from "./tiles";

/** Bytes to floats in [-1, 1], in float32 as Python does it. */
const LEVELS = Float32Array.from({ length: 256 }, (_, level) => Math.fround(level / 127.5) - 1);

/**
 * A window of a picture as planes, the edges repeated where it reaches past them.
 *
 * @param window in positions of the grid
 * @returns (3, H, W) floats in [-1, 1]
 */
export function toPlanes(picture: Picture, window: Window, stride: number): Float32Array {
  const top = window.top * stride;
  const left = window.left * stride;
  const height = window.bottom * stride - top;
  const width = window.right * stride - left;
  const planes = new Float32Array(3 * height * width);
  for (let y = 0; y < height; y++) {
    const row = Math.min(top + y, picture.height - 1) * picture.width;
    for (let x = 0; x < width; x++) {
      const from = 4 * (row + Math.min(left + x, picture.width - 1));
      const to = y * width + x;
      planes[to] = LEVELS[picture.rgba[from]];
      planes[to + height * width] = LEVELS[picture.rgba[from + 1]];
      planes[to + 2 * height * width] = LEVELS[picture.rgba[from + 2]];
    }
  }
  return planes;
}

/**
 * Write the inner part of a painted frame to its place in a picture, cropped to the picture.
 *
 * @param planes (3, H, W) of the frame; clamped to [-1, 1], rounded half to even
 */
export function fromPlanes(
  planes: Float32Array,
  frame: Window,
  inner: Window,
  core: Window,
  stride: number,
  picture: Picture,
): void {
  const width = (frame.right - frame.left) * stride;
  const plane = (frame.bottom - frame.top) * stride * width;
  const rows = Math.min(core.bottom * stride, picture.height) - core.top * stride;
  const columns = Math.min(core.right * stride, picture.width) - core.left * stride;
  for (let y = 0; y < rows; y++) {
    let from = (inner.top * stride + y) * width + inner.left * stride;
    let to = 4 * ((core.top * stride + y) * picture.width + core.left * stride);
    for (let x = 0; x < columns; x++, from++, to += 4) {
      // A clamped array clamps and rounds half to even, as Python's round does.
      picture.rgba[to] = level(planes[from]);
      picture.rgba[to + 1] = level(planes[from + plane]);
      picture.rgba[to + 2] = level(planes[from + 2 * plane]);
      picture.rgba[to + 3] = 255;
    }
  }
}

function level(value: number): number {
  return Math.fround(Math.fround(value + 1) * 127.5);
}
