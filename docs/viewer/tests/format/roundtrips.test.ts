/** Any index map comes back, in every coding and packet count; losses hurt nothing else. */

import { describe, expect, test } from "vitest";

import {
  CODINGS,
  LOST,
  PACKET_LAYOUTS,
  codebookSize,
  copyNeighbours,
  decodeIndexMap,
  encodeIndexMap,
  mapHeight,
  mapWidth,
  numIndices,
  packetMap,
  parse,
  payloadsOf,
  protect,
  receive,
  smallestFile,
  write,
} from "../../src/format";
import type { Coding, Header, Pack } from "../../src/format";
import { RangeDecoder, RangeEncoder } from "../../src/format/rangecoder";
import { packIn, randomFrom } from "./files";

const CONTEXT = packIn("tests/packs/tiny-context");
const FINE = packIn("tests/packs/tiny-f8");

function example(random: (below: number) => number, coding: Coding): [Header, Int32Array, Pack] {
  const pack = random(3) ? CONTEXT : FINE;
  const header: Header = {
    ...{ tier: 1 + random(6), coding, nPackets: PACKET_LAYOUTS[random(16)][0] },
    ...{ weightsId: pack.weightsId, width: 1 + random(300), height: 1 + random(300) },
    stride: pack.stride,
  };
  const size = codebookSize(header.tier);
  const runs = 1 + random(9);
  let last = 0;
  const indices = new Int32Array(mapHeight(header) * mapWidth(header)).map(() => {
    last = random(runs) ? last : random(size);
    return last;
  });
  return [header, indices, pack];
}

describe.each(CODINGS)("coding mode %s", (coding) => {
  test("index maps come back, and the positions of lost packets alone are lost", () => {
    const random = randomFrom(CODINGS.indexOf(coding) + 1);
    for (let turn = 0; turn < 40; turn++) {
      const [header, indices, pack] = example(random, coding);
      const tables = pack.tables.get(header.tier)!;
      const payloads = encodeIndexMap(indices, header, tables);
      const owners = packetMap(header);
      payloads.forEach((_, packet) => {
        const n = owners.reduce((sum, owner) => sum + (owner === packet ? 1 : 0), 0);
        expect(numIndices(header, packet)).toBe(n);
      });
      const data = write(header, payloads);
      expect(decodeIndexMap(payloadsOf(parse(data)), header, tables)).toEqual(indices);
      const isLost = payloads.map(() => random(3) === 0);
      const left = payloads.map((payload, packet) => (isLost[packet] ? undefined : payload));
      const expected = indices.map((index, at) => (isLost[owners[at]] ? LOST : index));
      expect(decodeIndexMap(left, header, tables)).toEqual(expected);
    }
  });

  test("any P packets of P + M give the file", () => {
    const random = randomFrom(CODINGS.indexOf(coding) + 11);
    for (let turn = 0; turn < 12; turn++) {
      const [header, indices, pack] = example(random, coding);
      const { nPackets } = header;
      if (nPackets === 1 || nPackets > 200) {
        continue;
      }
      const nParity = 1 + random(Math.min(12, 255 - nPackets));
      const payloads = encodeIndexMap(indices, header, pack.tables.get(header.tier)!);
      const data = write(header, payloads, protect(payloads, nParity));
      const pieces = parse(data).packets.map(({ offset, payload }) =>
        data.subarray(offset, offset + 12 + payload.length),
      );
      for (let k = 0; k < nParity; k++) {
        pieces.splice(random(pieces.length), 1);
      }
      const rest = new Uint8Array(Buffer.concat(pieces.sort(() => random(3) - 1)));
      const received = receive(rest, () => pack);
      expect(received.indices).toEqual(indices);
      expect(received.losses.missing).toEqual([]);
    }
  });
});

test("the smallest coding is taken", () => {
  const random = randomFrom(5);
  for (let turn = 0; turn < 10; turn++) {
    const [head, indices, pack] = example(random, "fixed");
    const header = { ...head, nPackets: 1 };
    const tables = pack.tables.get(header.tier)!;
    const sizes = CODINGS.map(
      (coding) => smallestFile(indices, header, tables, { codings: [coding] }).length,
    );
    expect(smallestFile(indices, header, tables).length).toBe(Math.min(...sizes));
  }
});

/** Section 7.2 in integers of unlimited size. */
function shortest(cells: readonly (readonly [number, number])[]): Uint8Array {
  let [low, range, bits] = [0n, 2n ** 64n - 1n, 64n];
  for (const [left, size] of cells) {
    const scale = range >> 24n;
    low += scale * BigInt(left);
    range = scale * BigInt(size);
    if (range < 2n ** 32n) {
      [low, range, bits] = [low << 32n, range << 32n, bits + 32n];
    }
  }
  for (let size = 0n; ; size++) {
    const rest = bits - 8n * size;
    const value = (low + (1n << rest) - 1n) >> rest;
    if (value << rest < low + range) {
      const hex = size ? value.toString(16).padStart(Number(2n * size), "0") : "";
      return new Uint8Array(Buffer.from(hex, "hex"));
    }
  }
}

test("the range coder is that of unlimited integers, carries and extremes included", () => {
  const random = randomFrom(3);
  for (let turn = 0; turn < 3000; turn++) {
    const cells = Array.from({ length: random(30) }, () => {
      const kind = random(5);
      const size =
        kind === 0
          ? 1
          : kind === 1
            ? 2 ** 24 - 1 - random(3)
            : 1 + random(2 ** (1 + random(24)) - 1);
      const room = 2 ** 24 - size;
      const left = kind === 2 ? room : kind === 3 ? 0 : random(room + 1);
      return [left, size] as const;
    });
    const encoder = new RangeEncoder();
    cells.forEach(([left, size]) => encoder.put(left, size));
    const payload = encoder.finish();
    expect(payload).toEqual(shortest(cells));
    if (payload.length <= 3 * cells.length + 1) {
      const decoder = new RangeDecoder(payload, cells.length);
      for (const [left, size] of cells) {
        const unit = decoder.unit();
        expect(unit >= left && unit < left + size).toBe(true);
        decoder.take(left, size);
      }
    }
  }
});

test("a decoder's units are those of unlimited integers for any payload", () => {
  const random = randomFrom(4);
  for (let turn = 0; turn < 2000; turn++) {
    const bytes = Array.from({ length: 1 + random(30) }, () => (random(4) ? random(256) : 255));
    const payload = Uint8Array.from([...bytes, 1 + random(255)]);
    const decoder = new RangeDecoder(payload, 1000);
    const padded = Buffer.concat([payload, Buffer.alloc(200)]);
    let at = 8;
    let code = padded.readBigUInt64BE(0);
    let range = 2n ** 64n - 1n;
    for (let n = 0; n < 20; n++) {
      const scale = range >> 24n;
      const unit = Number(code / scale);
      if (unit >= 2 ** 24) {
        expect(() => decoder.unit()).toThrow("leaves the range coder's range");
        break;
      }
      expect(decoder.unit()).toBe(unit);
      const left = Math.max(0, unit - random(2 ** random(24)));
      const size = Math.min(unit - left + 1 + random(2 ** random(24)), 2 ** 24 - left);
      decoder.take(left, size);
      code -= scale * BigInt(left);
      range = scale * BigInt(size);
      if (range < 2n ** 32n) {
        code = (code << 32n) | BigInt(padded.readUInt32BE(at));
        range <<= 32n;
        at += 4;
      }
    }
  }
});

test("erased positions take the index of a near neighbour", () => {
  const map = Int32Array.of(-1, -1, 7, -1, 5, -1, -1, -1, -1, -1, -1, -1);
  expect([...copyNeighbours(map, 3, 4)]).toEqual([5, 7, 7, 7, 5, 5, 7, 5, 5, 5, 7, 7]);
  expect(() => copyNeighbours(new Int32Array(4).fill(-1), 2, 2)).toThrow(RangeError);
});
