/** Of damaged files just what the command line reads is read, the search for packets included. */

import { expect, test } from "vitest";

import {
  ModelMismatchError,
  VqcError,
  copyNeighbours,
  describeWeights,
  receive,
} from "../../src/format";
import type { Header, Pack } from "../../src/format";
import { mapDigest, packIn, read, readJson, sha256 } from "./files";

interface Case {
  file: string;
  pack: string;
  splices: [number, number, string][];
  error?: string;
  message?: string;
  map?: string;
  told?: string;
  missing?: number[];
  counts?: number[];
  is_whole?: boolean;
  filled?: string;
}

const CASES = readJson<Case[]>("docs/viewer/tests/format/damaged.json");

function damage(data: Uint8Array, splices: Case["splices"]): Uint8Array {
  let bytes = Buffer.from(data);
  for (const [at, size, put] of [...splices].sort((a, b) => b[0] - a[0] || b[1] - a[1])) {
    const parts = [bytes.subarray(0, at), Buffer.from(put, "hex"), bytes.subarray(at + size)];
    bytes = Buffer.concat(parts);
  }
  return new Uint8Array(bytes);
}

/** The pack in a folder, as the command line insists on it with --model. */
function insistedOn(folder: string, { weightsId }: Header): Pack {
  const pack = packIn(folder);
  if (pack.weightsId !== weightsId) {
    const digest = sha256(read(`${folder}/weights.safetensors`));
    throw new ModelMismatchError(
      `needs ${describeWeights(weightsId)}; '${pack.name}' has weights id ` +
        `${digest.slice(0, 4)} (sha256 ${digest}). Give the right pack with --model`,
    );
  }
  return pack;
}

function outcome(data: Uint8Array, pack: string): Partial<Case> {
  try {
    const { indices, losses, h, w } = receive(data, (header) => insistedOn(pack, header));
    const { rebuilt, nDamaged, nForeignBytes, nErased } = losses;
    return {
      map: mapDigest(indices).slice(0, 16),
      told: losses.describe(),
      missing: [...losses.missing],
      counts: [rebuilt.length, nDamaged, nForeignBytes, nErased],
      is_whole: losses.isWhole,
      ...(nErased ? { filled: mapDigest(copyNeighbours(indices, h, w)).slice(0, 16) } : {}),
    };
  } catch (error) {
    if (error instanceof VqcError) {
      return { error: error.kind, message: error.message };
    }
    throw error;
  }
}

test("there are many cases", () => {
  expect(CASES.length).toBeGreaterThan(300);
});

test.each(CASES.map((each, number) => ({ number, ...each })))("case $number: $file", (given) => {
  const { number: _, file, pack, splices, ...expected } = given;
  expect(outcome(damage(read(`tests/golden/${file}.vqc`), splices), pack)).toEqual(expected);
});
