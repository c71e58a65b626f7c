/** Packs and files of the repository, as the tests need them. */

import { createHash } from "node:crypto";
import { readFileSync, readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";

import { readTables } from "../../src/format";
import type { Pack, Stride } from "../../src/format";

const ROOT = fileURLToPath(new URL("../../../../", import.meta.url));

export const read = (path: string): Uint8Array => new Uint8Array(readFileSync(ROOT + path));

export const readJson = <T>(path: string): T => JSON.parse(readFileSync(ROOT + path, "utf-8")) as T;

/** Names in a folder with this ending, without it, sorted. */
export const list = (folder: string, ending: string): string[] =>
  readdirSync(ROOT + folder)
    .filter((name) => name.endsWith(ending))
    .map((name) => name.slice(0, -ending.length))
    .sort();

const packs = new Map<string, Pack>();

/** The pack in a folder. */
export function packIn(folder: string): Pack {
  let pack = packs.get(folder);
  if (!pack) {
    const weights = read(`${folder}/weights.safetensors`);
    const manifest = readFileSync(`${ROOT}${folder}/manifest.toml`, "utf-8");
    pack = {
      name: /^name = "(.*)"$/m.exec(manifest)![1],
      weightsId: Number.parseInt(sha256(weights).slice(0, 4), 16),
      stride: Number(/^stride = (\d+)$/m.exec(manifest)![1]) as Stride,
      tables: readTables(weights),
    };
    packs.set(folder, pack);
  }
  return pack;
}

export const sha256 = (data: Uint8Array): string => createHash("sha256").update(data).digest("hex");

/** sha256 of an index map as FORMAT.md section 12 has it; what is lost counts as 65535. */
export function mapDigest(indices: Int32Array): string {
  const words = new DataView(new ArrayBuffer(2 * indices.length));
  indices.forEach((index, at) => words.setUint16(2 * at, index & 0xffff));
  return sha256(new Uint8Array(words.buffer));
}

export const fromHex = (text: string): Uint8Array =>
  Uint8Array.from(text.trim().split(/\s+/), (byte) => Number.parseInt(byte, 16));

export const toHex = (data: Uint8Array): string =>
  Array.from(data, (byte) => byte.toString(16).padStart(2, "0")).join(" ");

/** Random integers from a seed: mulberry32. */
export function randomFrom(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}
