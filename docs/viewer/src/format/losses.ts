/** What was lost of a file on the way, and what could be made good without guessing. */

interface Facts {
  /** Data packets that the file had. */
  readonly nPackets: number;
  /** Parity packets that the file was written with, as far as what arrived says; or 0. */
  readonly nParity: number;
  /** Data packets, ascending, that parity packets gave back. */
  readonly rebuilt: readonly number[];
  /** Data packets, ascending, that stay lost. */
  readonly missing: readonly number[];
  /** Places at which a packet stands that is not intact. */
  readonly nDamaged: number;
  /** Byte offsets of those whose checksum is wrong; of the others the payload is. */
  readonly damaged: readonly number[];
  /** Further intact packets of indices that are there. */
  readonly nDuplicates: number;
  /** Bytes that belong to no packet. */
  readonly nForeignBytes: number;
  /** Positions of the index map. */
  readonly nIndices: number;
  /** Of them, those whose index is lost. */
  readonly nErased: number;
  /** Whether the file is as it was written, parity packets included: `strict` takes it. */
  readonly isWhole: boolean;
}

export interface Losses extends Facts {}

/** A class, and no bare object, so that a copy of it can be sent to or from a worker. */
export class Losses {
  constructor(facts: Facts) {
    Object.assign(this, facts);
  }

  /** Say it to people, in one line, as the command line does. */
  describe(): string {
    const { rebuilt, missing, nPackets, nErased, nIndices } = this;
    const nLost = rebuilt.length + missing.length;
    const parts = nLost
      ? [`${nLost} of ${nPackets} packets lost`]
      : ["damaged, and nothing of the picture is lost"];
    if (rebuilt.length) {
      parts.push(`${rebuilt.length} of them rebuilt from parity`);
    }
    if (nErased) {
      parts.push(`${percent(nErased / nIndices)} of the picture painted by guess`);
    }
    return parts.join(", ");
  }
}

/** Percent with one decimal, halves to even. */
function percent(share: number): string {
  const value = share * 100;
  const isHalf = Math.abs(value * 4) % 2 === 1; // only quarters lie halfway exactly
  const nearest = isHalf ? 2 * Math.round(value * 5) : Math.round(value * 10);
  return isHalf ? `${(nearest / 10).toFixed(1)}%` : `${value.toFixed(1)}%`;
}
