/** Registered model packs: weights id -> name and digest (FORMAT.md section 10). */

export const REGISTERED_PACKS: ReadonlyMap<number, { name: string; digest: string }> = new Map([
  [
    0x4622,
    {
      name: "photo-1",
      digest: "46223947acdc1b3b038c68e0d6141402a827da8401e39ee1cfe0a34d0b437700",
    },
  ],
  [
    0x6dd1,
    {
      name: "photo-2",
      digest: "6dd13ee36de45b52afa7e72f00b9dec11f88ccdf476e2a7d1a16d9ec024f5e48",
    },
  ],
  [
    0xf1b2,
    {
      name: "photo-3",
      digest: "f1b21e10dda7cbc69a3d8e8b451440f78c20c1f8736c891b14fe9c297b90a6ed",
    },
  ],
]);

/** Say which pack a weights id stands for, as far as this version knows. */
export function describeWeights(weightsId: number): string {
  const id = weightsId.toString(16).padStart(4, "0");
  const known = REGISTERED_PACKS.get(weightsId);
  return known === undefined
    ? `the model pack with weights id ${id} (no release that this version knows)`
    : `model pack '${known.name}' (weights id ${id}, sha256 ${known.digest})`;
}
