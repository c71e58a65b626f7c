/**
 * What arrived of a file: any bytes to an index map in which -1 stands for what was lost.
 *
 * A whole file takes the straight way. Of a damaged one the intact packets are found again, lost
 * ones are rebuilt from parity where enough packets are there, and only then payloads become
 * indices (FORMAT.md, sections 4A and 5A).
 */

import { numParity, parse, payloadsOf } from "./container";
import { ChecksumError, FormatError } from "./errors";
import { recover } from "./fec";
import { MAX_PIXELS } from "./layout";
import { Losses } from "./losses";
import { checkPixels, checkStride, mapHeight, mapWidth } from "./packets";
import type { Header } from "./packets";
import { decodeIndexMap } from "./payload";
import { salvage } from "./salvage";
import { tablesFor } from "./tables";
import type { Pack } from "./tables";

/** A file as far as it arrived. */
export interface Received {
  readonly header: Header;
  readonly pack: Pack;
  /** (h, w) indices, -1 where lost; at least one is not. */
  readonly indices: Int32Array;
  /** Rows of the index map. */
  readonly h: number;
  /** Columns of the index map. */
  readonly w: number;
  readonly losses: Losses;
}

export interface ReceiveOptions {
  /** Refuse larger pictures, before memory is taken; 2^28 if not said. */
  readonly maxPixels?: number;
  /** Refuse a file of which anything is missing or damaged. */
  readonly strict?: boolean;
}

/** Packets of a file, before their payloads are read. */
interface Found {
  readonly header: Header;
  readonly payloads: ReadonlyMap<number, Uint8Array>;
  readonly nParity: number;
  readonly uncertain: ReadonlySet<number>;
  readonly damaged: readonly number[];
  readonly nDuplicates: number;
  readonly nForeignBytes: number;
  readonly isWhole: boolean;
}

/**
 * Read a file, or what is left of it.
 *
 * @param data any bytes
 * @param packOf gives the pack that the file was made with, or throws a ModelError
 * @throws FormatError no packet is intact, or with `strict` not all are; or the file has another
 *   stride than its pack
 * @throws LimitError the picture is larger than `maxPixels`
 * @throws ModelError the pack is not at hand, or without the file's tier or a context model for it
 */
export function receive(
  data: Uint8Array,
  packOf: (header: Header) => Pack,
  options: ReceiveOptions = {},
): Received {
  const { maxPixels = MAX_PIXELS, strict = false } = options;
  const found = findPackets(data, strict);
  const { header } = found;
  const { nPackets } = header;
  checkPixels(header, maxPixels);
  const pack = packOf(header);
  checkStride(header, pack.stride, pack.name);
  const tables = tablesFor(pack, header.tier, header.coding);
  const bad = new Map<number, FormatError>();
  const decode = (payloads: ReadonlyMap<number, Uint8Array>): Int32Array =>
    decodeIndexMap(
      Array.from({ length: nPackets }, (_, index) => payloads.get(index)),
      header,
      tables,
      {
        uncertain: found.uncertain,
        ...(strict ? {} : { onBad: (index, error) => bad.set(index, error) }),
      },
    );

  let indices = decode(found.payloads);
  const nBad = bad.size;
  const kept = new Map([...found.payloads].filter(([index]) => !bad.has(index)));
  const intact = new Set([...kept.keys()].filter((index) => index < nPackets));
  const rebuilt = new Set<number>();
  if (intact.size < nPackets && kept.size > intact.size) {
    // A parity packet whose end is a guess could spoil what is rebuilt, and nothing would tell.
    const isSure = (index: number): boolean => index < nPackets || !found.uncertain.has(index);
    const payloads = recover(header, new Map([...kept].filter(([index]) => isSure(index))));
    for (const index of payloads.keys()) {
      if (!intact.has(index)) {
        rebuilt.add(index);
      }
    }
    if (rebuilt.size) {
      bad.clear();
      indices = decode(payloads);
      bad.forEach((_, index) => rebuilt.delete(index));
    }
  }
  const nErased = indices.reduce((sum, index) => sum + (index < 0 ? 1 : 0), 0);
  if (nErased === indices.length) {
    const [first] = bad.values();
    throw (
      first ?? new ChecksumError("no packet that carries indices is intact; get the file again")
    );
  }
  const all = Array.from({ length: nPackets }, (_, index) => index);
  const losses = new Losses({
    nPackets,
    nParity: found.nParity,
    rebuilt: all.filter((index) => rebuilt.has(index)),
    missing: all.filter((index) => !intact.has(index) && !rebuilt.has(index)),
    nDamaged: found.damaged.length + nBad,
    damaged: found.damaged,
    nDuplicates: found.nDuplicates,
    nForeignBytes: found.nForeignBytes,
    nIndices: indices.length,
    nErased,
    isWhole: found.isWhole && nBad === 0,
  });
  return { header, pack, indices, h: mapHeight(header), w: mapWidth(header), losses };
}

/** The packets of a whole file, or those that can be found in a damaged one. */
function findPackets(data: Uint8Array, strict: boolean): Found {
  try {
    const parsed = parse(data);
    payloadsOf(parsed); // insists on every packet
    return {
      header: parsed.header,
      payloads: new Map(parsed.packets.map(({ index, payload }) => [index, payload])),
      nParity: numParity(parsed),
      ...{ uncertain: new Set(), damaged: [], nDuplicates: 0, nForeignBytes: 0, isWhole: true },
    };
  } catch (error) {
    if (strict || !(error instanceof FormatError)) {
      throw error;
    }
  }
  const saved = salvage(data);
  return {
    header: saved.header,
    payloads: new Map(saved.packets.map(({ index, payload }) => [index, payload])),
    nParity: numParity(saved),
    uncertain: saved.uncertain,
    damaged: saved.damaged.map(({ offset }) => offset),
    nDuplicates: saved.nDuplicates,
    nForeignBytes: saved.nForeignBytes,
    isWhole: false,
  };
}
