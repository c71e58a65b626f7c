/** The context model keeps its pace; bounds are ten times what a machine of its own takes. */

import { expect, test } from "vitest";

import { decodeIndexMap, encodeIndexMap, receive } from "../../src/format";
import type { Header } from "../../src/format";
import { packIn, randomFrom, read } from "./files";

const PACK = packIn("models/photo-3");

test.each([
  [1, 1500],
  [8, 4000],
])(
  "an index map of a 768x512 photo at tier %i",
  (tier, mostMs) => {
    const golden = receive(read("tests/golden/photo-3/tier9.vqc"), () => PACK).indices;
    const random = randomFrom(tier);
    const size = PACK.tables.get(tier)!.codebookSize;
    // The words of a photo again and again, a third of them changed: about as unforeseen as one.
    const indices = new Int32Array(48 * 32).map((_, at) =>
      random(3) ? golden[at % golden.length] % size : random(size),
    );
    const header: Header = {
      ...{ tier, coding: "context", nPackets: 1, weightsId: PACK.weightsId },
      ...{ width: 768, height: 512, stride: 16 },
    };
    const payloads = encodeIndexMap(indices, header, PACK.tables.get(tier)!);
    const begin = performance.now();
    expect(decodeIndexMap(payloads, header, PACK.tables.get(tier)!)).toEqual(indices);
    expect(performance.now() - begin).toBeLessThan(mostMs);
  },
  30_000,
);
