/**
 * The best JPEG of no more bytes. JPEGs of whole photos cannot be so small, so they are scaled down
 * first; of all scales the one is taken that, scaled up again, is nearest to the photo.
 */

import type { Picture } from "../protocol";
import { context, newCanvas, paint } from "./dom";

const SCALES = [1, 0.75, 0.5, 0.375, 0.25, 0.1875, 0.125, 0.09375, 0.0625, 0.046875, 0.03125];

const LEAST_SIDE = 32; // below, nothing can be seen in it

export interface Rival {
  /** The JPEG, scaled up to the photo's size. */
  readonly canvas: HTMLCanvasElement;
  readonly sizeBytes: number;
  readonly width: number;
  readonly height: number;
  /** 1 to 100. */
  readonly quality: number;
  /** False where even the smallest JPEG has more bytes than were allowed. */
  readonly fits: boolean;
}

export async function bestJpeg(photo: Picture, maxBytes: number): Promise<Rival> {
  const original = newCanvas(1, 1);
  paint(original, photo);
  let best: { rival: Rival; error: number } | null = null;
  let smallest: Rival | null = null;
  let nWorse = 0;
  const least = LEAST_SIDE / Math.max(photo.width, photo.height);
  for (const scale of SCALES.filter((one) => one === 1 || one >= least)) {
    const small = scaled(original, Math.round(photo.width * scale), Math.round(photo.height * scale));
    const found = await largestQuality(small, maxBytes);
    const candidate = await toRival(found, small, photo);
    if (!candidate.fits) {
      smallest = candidate;
      continue;
    }
    const error = difference(candidate.canvas, photo);
    if (best === null || error < best.error) best = { rival: candidate, error };
    else if (++nWorse === 2) break; // it only gets coarser
  }
  return best?.rival ?? smallest!;
}

async function largestQuality(
  canvas: HTMLCanvasElement,
  maxBytes: number,
): Promise<{ blob: Blob; quality: number; fits: boolean }> {
  let low = { blob: await jpeg(canvas, 1), quality: 1 };
  if (low.blob.size > maxBytes) return { ...low, fits: false };
  for (let high = 101; high - low.quality > 1; ) {
    const quality = (low.quality + high) >> 1;
    const blob = await jpeg(canvas, quality);
    if (blob.size <= maxBytes) low = { blob, quality };
    else high = quality;
  }
  return { ...low, fits: true };
}

async function toRival(
  found: { blob: Blob; quality: number; fits: boolean },
  small: HTMLCanvasElement,
  photo: Picture,
): Promise<Rival> {
  const bitmap = await createImageBitmap(found.blob);
  return {
    canvas: scaled(bitmap, photo.width, photo.height),
    sizeBytes: found.blob.size,
    width: small.width,
    height: small.height,
    quality: found.quality,
    fits: found.fits,
  };
}

function scaled(source: HTMLCanvasElement | ImageBitmap, width: number, height: number): HTMLCanvasElement {
  const canvas = newCanvas(Math.max(1, width), Math.max(1, height));
  const drawing = context(canvas, true);
  drawing.imageSmoothingQuality = "high";
  drawing.drawImage(source, 0, 0, canvas.width, canvas.height);
  return canvas;
}

function jpeg(canvas: HTMLCanvasElement, quality: number): Promise<Blob> {
  return new Promise((resolve, reject) => {
    const take = (blob: Blob | null): void =>
      blob === null ? reject(new Error("no JPEG can be made here")) : resolve(blob);
    canvas.toBlob(take, "image/jpeg", quality / 100);
  });
}

/** Sum of squared differences of every third pixel. */
function difference(canvas: HTMLCanvasElement, photo: Picture): number {
  const { data } = context(canvas).getImageData(0, 0, photo.width, photo.height);
  let sum = 0;
  for (let at = 0; at < data.length; at += 12) {
    for (let band = at; band < at + 3; band++) sum += (data[band] - photo.rgba[band]) ** 2;
  }
  return sum;
}
