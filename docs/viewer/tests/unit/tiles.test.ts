import { expect, test } from "vitest";

import type { ModelFacts } from "../../src/protocol";
import { cut, tilesFor } from "../../src/worker/tiles";
import type { Window } from "../../src/worker/tiles";

/** Deterministic numbers from 0 to `below`. */
function* random(seed: number): Generator<number> {
  for (let state = seed; ; ) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    yield state / 2 ** 32;
  }
}

test("cores cover every position once, with their halo where there is room", () => {
  const next = random(1);
  const below = (n: number): number => Math.floor(n * (next.next().value as number));
  for (let turn = 0; turn < 200; turn++) {
    const [h, w, halo, core] = [1 + below(50), 1 + below(50), below(10), 1 + below(20)];
    const seen = new Uint8Array(h * w);
    for (const tile of cut(h, w, halo, core, 0)) {
      for (let y = tile.core.top; y < tile.core.bottom; y++) {
        for (let x = tile.core.left; x < tile.core.right; x++) seen[y * w + x]++;
      }
      const { frame, inner } = tile;
      const shifted: Window = {
        top: frame.top + inner.top,
        bottom: frame.top + inner.bottom,
        left: frame.left + inner.left,
        right: frame.left + inner.right,
      };
      expect(shifted).toEqual(tile.core);
      expect(tile.core.bottom - tile.core.top).toBeLessThanOrEqual(core);
      expect(tile.core.right - tile.core.left).toBeLessThanOrEqual(core);
      expect(frame.top).toBe(Math.max(0, tile.core.top - halo));
      expect(frame.bottom).toBe(Math.min(h, tile.core.bottom + halo));
      expect(frame.left).toBe(Math.max(0, tile.core.left - halo));
      expect(frame.right).toBe(Math.min(w, tile.core.right + halo));
    }
    expect(seen.every((times) => times === 1)).toBe(true);
  }
});

test("small grids are not cut", () => {
  expect(cut(32, 48, 16, 64, 96 * 96)).toHaveLength(1);
  expect(cut(96, 128, 16, 64, 96 * 96)).toHaveLength(4);
});

test("a network that sees pictures whole is never shown a part of one", () => {
  const facts = { name: "vqgan", stride: 16, core: 24, whole: 1536 } as ModelFacts;
  expect(tilesFor(facts, 33, 48, 2).length).toBe(4);
  const wholeOnly = { ...facts, whole_only: true };
  expect(tilesFor(wholeOnly, 32, 48, 0).length).toBe(1);
  expect(() => tilesFor(wholeOnly, 33, 48, 0)).toThrow(
    "768 x 528 pixels; vqgan sees a picture whole, here of at most 393216 pixels",
  );
});
