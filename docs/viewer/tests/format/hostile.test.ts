/** Bytes and packs that mean harm: named errors only, and an end in good time. */

import { describe, expect, test } from "vitest";

import {
  FormatError,
  LimitError,
  LOST,
  ModelMismatchError,
  PackError,
  VqcError,
  parse,
  payloadsOf,
  readTables,
  receive,
  write,
} from "../../src/format";
import { crc32 } from "../../src/format/checksums";
import { writePacket } from "../../src/format/packets";
import type { Header } from "../../src/format";
import { list, packIn, randomFrom, read, readJson } from "./files";

const V1 = "tests/golden/v1";
const CONTEXT = packIn("tests/packs/tiny-context");

test("flipped bits give a right index map or a named error", () => {
  const random = randomFrom(1);
  const goldens = list(V1, ".vqc")
    .map((name) => {
      const { tables } = readJson<{ tables: string }>(`${V1}/${name}.json`);
      return { data: read(`${V1}/${name}.vqc`), pack: packIn(tables) };
    })
    .filter(({ data }) => data.length < 600)
    .map((golden) => ({ ...golden, whole: receive(golden.data, () => golden.pack) }));
  const begin = performance.now();
  let n = 0;
  for (; n < 3000 && performance.now() - begin < 3000; n++) {
    const { data, pack, whole } = goldens[n % goldens.length];
    const damaged = data.slice(0, random(9) ? data.length : random(data.length));
    for (let k = random(8); k > 0 && damaged.length; k--) {
      damaged[random(damaged.length)] ^= 1 << random(8);
    }
    try {
      const { indices, header } = receive(damaged, () => pack, { maxPixels: 2 ** 22 });
      expect(header).toEqual(whole.header);
      expect(indices.every((index, at) => index === LOST || index === whole.indices[at])).toBe(
        true,
      );
    } catch (error) {
      expect(error).toBeInstanceOf(VqcError);
    }
  }
  expect(n).toBeGreaterThan(100); // 3000 on a machine of its own
}, 30_000);

const header = (fields: Partial<Header>): Header => ({
  ...{ tier: 1, coding: "context", nPackets: 1, weightsId: 1, width: 65535, height: 65535 },
  ...{ stride: 16, ...fields },
});

test("a picture beyond the limit is refused before memory is taken", () => {
  const data = write(header({}), [Uint8Array.of(1)]);
  expect(() => receive(data, () => CONTEXT)).toThrow(LimitError);
  expect(() => receive(data, () => CONTEXT, { maxPixels: 1000 })).toThrow(
    "65535x65535 is more than 1,000 pixels",
  );
  const small = write(header({ width: 100, height: 10 }), [Uint8Array.of(1)]);
  expect(() => receive(small, () => CONTEXT, { maxPixels: 999 })).toThrow(LimitError);
});

test("a pack without the tier or its context model is refused", () => {
  const data = write(header({ tier: 12, width: 1, height: 1 }), [Uint8Array.of(1)]);
  expect(() => receive(data, () => CONTEXT)).toThrow(ModelMismatchError);
  const plain = packIn("tests/packs/tiny");
  const other = write(header({ width: 1, height: 1 }), [Uint8Array.of(1)]);
  expect(() => receive(other, () => plain)).toThrow("no context model for tier 1");
});

test.each([
  [
    "prefixes everywhere",
    () => repeated(writePacket(header({ nPackets: 20 }), 3, new Uint8Array())),
  ],
  ["short prefixes", () => repeated(Uint8Array.of(0x11, 1, 0x11, 1, 0x11, 1, 0x11, 1))],
  ["other prefixes at each place", () => noise(2 ** 20, (value) => 0x11 + (value % 12))],
  ["noise", () => noise(2 ** 21, (value) => value)],
  [
    "magics",
    () => repeated(Uint8Array.of(0xd6, 0x56, 0x51, 0x43, 0x11, 0x21, 0, 0, 255, 255, 9, 9)),
  ],
])(
  "%s are searched in good time",
  (_, make) => {
    const data = make();
    const begin = performance.now();
    expect(() => receive(data, () => CONTEXT)).toThrow(FormatError);
    expect(performance.now() - begin).toBeLessThan(10_000);
  },
  30_000,
);

function repeated(piece: Uint8Array): Uint8Array {
  const data = new Uint8Array(2 ** 20);
  for (let at = 0; at + piece.length <= data.length; at += piece.length) {
    data.set(piece, at);
  }
  return data;
}

function noise(size: number, byte: (value: number) => number): Uint8Array {
  const random = randomFrom(size);
  return new Uint8Array(size).map(() => byte(random(256)));
}

test("the checksum is that of zlib", () => {
  expect(crc32(new TextEncoder().encode("123456789"))).toBe(0xcbf43926);
  expect(crc32(Uint8Array.of(2, 3), crc32(Uint8Array.of(1)))).toBe(crc32(Uint8Array.of(1, 2, 3)));
});

test("a caller's mistakes are no VqcErrors", () => {
  expect(() => write(header({ tier: 13 }), [new Uint8Array()])).toThrow(RangeError);
  expect(() => write(header({ nPackets: 5 }), [])).toThrow(RangeError);
  const golden = parse(read(`${V1}/packets-2.vqc`));
  expect(() => write(golden.header, payloadsOf(golden).slice(1))).toThrow(RangeError);
});

interface Entry {
  dtype: string;
  shape: number[];
  data_offsets: [number, number];
}

/** The tiny pack's weights with the header, or bytes of a tensor, changed. */
function changed(
  edit: (header: Record<string, Entry>, data: DataView) => void,
  extra = 0,
): Uint8Array {
  const file = read("tests/packs/tiny-context/weights.safetensors");
  const view = new DataView(file.buffer, file.byteOffset);
  const size = Number(view.getBigUint64(0, true));
  const entries = JSON.parse(new TextDecoder().decode(file.subarray(8, 8 + size)));
  const data = file.slice(8 + size);
  edit(entries, new DataView(data.buffer));
  const text = new TextEncoder().encode(JSON.stringify(entries));
  const start = new Uint8Array(8);
  new DataView(start.buffer).setBigUint64(0, BigInt(text.length + extra), true);
  return new Uint8Array(Buffer.concat([start, text, data]));
}

describe("packs", () => {
  test("that are whole are read", () => {
    const tables = readTables(changed(() => undefined));
    expect([...tables.keys()]).toEqual([1, 2, 3, 4, 5, 6]);
    expect(tables.get(5)!.context!.size).toBe(128);
  });

  test.each<[string, () => Uint8Array]>([
    ["no bytes", () => new Uint8Array()],
    ["a header beyond the file", () => changed(() => undefined, 10 ** 7)],
    ["a header that is no JSON", () => changed(() => undefined, 3)],
    ["a cut end", () => changed(() => undefined).slice(0, -1)],
    ["an unknown type", () => changed((h) => (h["tier.1.frequencies"].dtype = "U17"))],
    ["a type of the prototype", () => changed((h) => (h["tier.1.frequencies"].dtype = "toString"))],
    ["another type", () => changed((h) => (h["tier.1.frequencies"].dtype = "I16"))],
    ["a negative size", () => changed((h) => (h["tier.1.frequencies"].shape = [-8]))],
    ["another shape", () => changed((h) => (h["tier.1.frequencies"].shape = [2, 4]))],
    ["a huge shape", () => changed((h) => (h["tier.1.frequencies"].shape = [2 ** 50, 2 ** 50]))],
    ["an overlap", () => changed((h) => (h["tier.1.frequencies"].data_offsets = [0, 16]))],
    ["no shape", () => changed((h) => (h["tier.1.frequencies"] = {} as Entry))],
    ["no entry", () => changed((h) => (h["tier.1.frequencies"] = null as unknown as Entry))],
    ["a missing layer", () => changed((h) => rename(h, "context.neck.bias", "x"))],
    ["half a block", () => changed((h) => rename(h, "context.block.0.bias", "x"))],
    [
      "a zero frequency",
      () => changed((h, d) => d.setUint16(place(h, "tier.2.frequencies"), 0, true)),
    ],
    [
      "a codeword that is no number",
      () => changed((h, d) => d.setUint16(place(h, "tier.2.codewords"), 0x7e00, true)),
    ],
    [
      "an offset to what comes later",
      () => changed((h, d) => d.setInt8(place(h, "context.offsets"), 1)),
    ],
    ["an offset too far", () => changed((h, d) => d.setInt8(place(h, "context.offsets"), -13))],
    ["a shift of 0", () => changed((h, d) => d.setUint8(place(h, "context.shifts"), 0))],
    ["a large shift", () => changed((h, d) => d.setUint8(place(h, "context.shifts"), 200))],
    [
      "a bias beyond the bound",
      () => changed((h, d) => d.setInt32(place(h, "context.neck.bias"), -(2 ** 24), true)),
    ],
    [
      "a logit bias beyond the bound",
      () => changed((h, d) => d.setInt32(place(h, "context.3.logit_bias"), 2 ** 24 - 1, true)),
    ],
  ])("with %s are refused", (_, make) => {
    expect(() => readTables(make())).toThrow(PackError);
  });
});

const place = (header: Record<string, Entry>, key: string): number => header[key].data_offsets[0];

function rename(header: Record<string, Entry>, from: string, to: string): void {
  header[to] = header[from];
  delete header[from];
}
