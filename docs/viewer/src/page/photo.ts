/**
 * Files that are dropped: what they are, and photos to pixels as `vqcodec/pixels/files.py` reads
 * them: upright, sRGB, over white.
 */

import { MAX_PIXELS } from "../protocol";
import type { Picture } from "../protocol";
import { Failure } from "./client";
import { context, newCanvas } from "./dom";

const MAGIC = [0xd6, 0x56, 0x51, 0x43];
export const MAX_VQC_BYTES = 2 ** 27;

/** A photo as the browser decoded it, not yet scaled. */
export interface Photo {
  readonly bitmap: ImageBitmap;
  readonly sizeBytes: number;
}

/** Whether a file is a photo; everything else is taken for a .vqc file, whole or not. */
export function isPhoto(name: string, type: string, head: Uint8Array): boolean {
  if (/\.vqc$/i.test(name) || MAGIC.every((byte, at) => head[at] === byte)) return false;
  const text = String.fromCharCode(...head.subarray(0, 12));
  return (
    type.startsWith("image/") ||
    /^(\x89PNG|\xff\xd8\xff|GIF8|BM)/.test(text) ||
    /^.{8}WEBP/s.test(text) ||
    /^.{4}ftyp(avi|mif|hei)/s.test(text)
  );
}

/** Have the browser decode a photo. */
export async function readPhoto(file: Blob): Promise<Photo> {
  if (file.size === 0) {
    throw new Failure("InputError", "the file is empty. Get a whole copy of the image.");
  }
  let bitmap: ImageBitmap;
  try {
    bitmap = await createImageBitmap(file, { imageOrientation: "from-image" });
  } catch {
    const message = "not an image that this browser can read. Give a JPEG, PNG, WebP or AVIF file.";
    throw new Failure("ImageError", message);
  }
  return { bitmap, sizeBytes: file.size };
}

/**
 * Scale a photo down and give its pixels.
 *
 * @param longest of both sides at most; Infinity for the photo as it is
 */
export function pixelsOf({ bitmap }: Photo, longest: number): Picture {
  const factor = Math.min(1, longest / Math.max(bitmap.width, bitmap.height));
  const width = Math.max(1, Math.round(bitmap.width * factor));
  const height = Math.max(1, Math.round(bitmap.height * factor));
  if (width * height > MAX_PIXELS) {
    const message =
      `${width} x ${height} px is ${(width * height).toLocaleString("en")} pixels, above this page's ` +
      `limit of ${MAX_PIXELS.toLocaleString("en")}. Scale it down, or use 'vqcodec encode'.`;
    throw new Failure("ImageError", message);
  }
  const drawing = context(newCanvas(width, height), true);
  drawing.fillStyle = "#fff";
  drawing.fillRect(0, 0, width, height);
  drawing.imageSmoothingQuality = "high";
  drawing.drawImage(bitmap, 0, 0, width, height);
  const { data } = drawing.getImageData(0, 0, width, height, { colorSpace: "srgb" });
  return { width, height, rgba: data as Uint8ClampedArray<ArrayBuffer> };
}
