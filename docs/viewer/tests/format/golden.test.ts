/** Golden files decode for ever, are written again to the byte; bad ones are refused by name. */

import { describe, expect, test } from "vitest";

import {
  VqcError,
  decodeIndexMap,
  encodeIndexMap,
  isIntact,
  numParity,
  parse,
  payloadsOf,
  protect,
  receive,
  smallestFile,
  write,
} from "../../src/format";
import { recover } from "../../src/format/fec";
import { list, mapDigest, packIn, randomFrom, read, readJson, sha256, toHex } from "./files";

interface Facts {
  tier: number;
  coding: string;
  n_packets: number;
  width: number;
  height: number;
  stride?: number;
  n_parity?: number;
  tables: string;
  index_map_sha256: string;
  file_sha256: string;
}

const V1 = "tests/golden/v1";
const GOOD = list(V1, ".json");

describe.each(GOOD)("%s", (name) => {
  const facts = readJson<Facts>(`${V1}/${name}.json`);
  const data = read(`${V1}/${name}.vqc`);
  const pack = packIn(facts.tables);

  test("has its header and index map", () => {
    expect(sha256(data)).toBe(facts.file_sha256);
    const received = receive(data, () => pack, { strict: true });
    const { header, indices, losses } = received;
    expect(header).toEqual({
      ...{ tier: facts.tier, coding: facts.coding, nPackets: facts.n_packets },
      ...{ width: facts.width, height: facts.height, stride: facts.stride ?? 16 },
      weightsId: pack.weightsId,
    });
    expect(mapDigest(indices)).toBe(facts.index_map_sha256);
    expect(indices.length).toBe(received.h * received.w);
    expect([losses.isWhole, losses.nParity]).toEqual([true, facts.n_parity ?? 0]);
  });

  test("is written again to the byte", () => {
    const parsed = parse(data);
    const { header } = parsed;
    const tables = pack.tables.get(header.tier)!;
    const indices = decodeIndexMap(payloadsOf(parsed), header, tables);
    const payloads = encodeIndexMap(indices, header, tables);
    const nParity = numParity(parsed);
    expect(toHex(write(header, payloads, nParity ? protect(payloads, nParity) : []))).toBe(
      toHex(data),
    );
    expect(smallestFile(indices, header, tables, { codings: [header.coding], nParity })).toEqual(
      data,
    );
    expect(smallestFile(indices, header, tables).length).toBeLessThanOrEqual(data.length);
  });
});

describe.each(GOOD.filter((name) => name.startsWith("fec-")))("%s", (name) => {
  test("lost packets are rebuilt", () => {
    const facts = readJson<Facts>(`${V1}/${name}.json`);
    const data = read(`${V1}/${name}.vqc`);
    const parsed = parse(data);
    const { header, packets } = parsed;
    const whole = payloadsOf(parsed);
    const random = randomFrom(7);
    for (let turn = 0; turn < 4; turn++) {
      const left = [...packets];
      for (let k = 0; k < Math.min(facts.n_parity!, 30); k++) {
        left.splice(turn === 0 ? 0 : random(left.length), 1);
      }
      const rebuilt = recover(header, new Map(left.map((p) => [p.index, p.payload])));
      expect([...rebuilt.keys()].sort((a, b) => a - b)).toEqual(whole.map((_, index) => index));
      expect(whole.every((payload, i) => toHex(payload) === toHex(rebuilt.get(i)!))).toBe(true);
      const rest = Buffer.concat([
        data.subarray(0, 4),
        ...left.map((p) => data.subarray(p.offset, p.offset + 12 + p.payload.length)),
      ]);
      const received = receive(new Uint8Array(rest), () => packIn(facts.tables));
      expect(mapDigest(received.indices)).toBe(facts.index_map_sha256);
      expect(received.losses.missing).toEqual([]);
    }
  });
});

const BAD = list(`${V1}/bad`, ".vqc");
const MESSAGES = readJson<Record<string, { error: string; message: string }>>(
  `${V1}/bad/messages.json`,
);

test("every bad file has a message", () => {
  expect(Object.keys(MESSAGES).sort()).toEqual(BAD.map((name) => `${name}.vqc`));
});

test.each(BAD)("%s is refused by name", (name) => {
  const kind = ["context", "f8"].find((each) => name.includes(`-${each}-`));
  const pack = packIn(`tests/packs/${kind ? `tiny-${kind}` : "tiny"}`);
  let caught: unknown;
  try {
    receive(read(`${V1}/bad/${name}.vqc`), () => pack, { strict: true });
  } catch (error) {
    caught = error;
  }
  expect(caught).toBeInstanceOf(VqcError);
  const { kind: error, message } = caught as VqcError;
  expect({ error, message }).toEqual(MESSAGES[`${name}.vqc`]);
  expect(error).toBe(name.split("-")[0]);
});

test.each(["tier1", "tier9"])("the photo at %s is read and written", (name) => {
  const pack = packIn("models/photo-3");
  const data = read(`tests/golden/photo-3/${name}.vqc`);
  const { header, indices } = receive(data, () => pack, { strict: true });
  expect(header.weightsId).toBe(pack.weightsId);
  const tables = pack.tables.get(header.tier)!;
  expect(smallestFile(indices, header, tables, { codings: [header.coding] })).toEqual(data);
  expect(parse(data).packets.every(isIntact)).toBe(true);
});
