import { expect, test } from "vitest";

import { largestWithin } from "../../src/worker/ratecontrol";

function maker(sizes: ReadonlyMap<number, number>) {
  const made: number[] = [];
  const make = async (tier: number): Promise<Uint8Array> => {
    expect(made).not.toContain(tier);
    made.push(tier);
    return new Uint8Array(sizes.get(tier)!);
  };
  return { made, make };
}

test.each([0, 3, 400, Infinity])("the largest that fits is taken, bounds off by %s", async (slack) => {
  for (let target = 0; target <= 1300; target += 50) {
    const sizes = new Map(Array.from({ length: 12 }, (_, at) => [at + 1, 100 + 99 * at] as const));
    const { made, make } = maker(sizes);
    const found = largestWithin(target, [...sizes.keys()], make, (tier) => sizes.get(tier)! + slack);
    const fitting = [...sizes.values()].filter((size) => size <= target);
    if (fitting.length === 0) await expect(found).rejects.toThrow("tier 1 takes 100 bytes, more than");
    else expect(await found).toHaveLength(Math.max(...fitting));
    expect(made.length).toBeLessThanOrEqual(6);
  }
});

test("a tier or two are made where the bound is near", async () => {
  const sizes = new Map(Array.from({ length: 12 }, (_, at) => [at + 1, 100 * (at + 1)] as const));
  for (const [target, tiers] of [[650, [7, 6]], [705, [8, 7]], [1300, [12]]] as const) {
    const { made, make } = maker(sizes);
    await largestWithin(target, [...sizes.keys()], make, (tier) => 100 * tier + 5);
    expect(made).toEqual(tiers);
  }
});
