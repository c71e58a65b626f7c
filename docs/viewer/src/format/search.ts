/**
 * The search for packets in damaged bytes: for prefixes, then for what stands behind them.
 *
 * FORMAT.md section 4A. Prefixes behind the magic, standing twice or more, and standing once; then,
 * under one that is known to be true, packets whose own copy of it was hit. It finds what the
 * command line finds, in the same order and with the same bounds.
 */

import { Find, isMore, leastIndices } from "./finds";
import { MAGIC, PACKET_HEAD_BYTES, PREFIX_BYTES } from "./layout";
import { exact, headers, isHeader, keyOf, near } from "./places";
import { Settling, ascending } from "./settling";

const SINGLE_SHARE = 4; // that part of all work is for prefixes that stand once
const NEAR_WORK = 24; // per byte of a search for damaged prefixes
const LEAD_WORK = 8192; // per prefix looked at

/** Bits of 64 in which a damaged prefix may differ. */
const PREFIX_BITS = 8;
const MAGIC_BITS = 4;
const MOST_LEADS = 32;
const MOST_DEEP = 2;
const MOST_HOPES = 32;

/** The best find; of equally good ones the first. */
const bestOf = (finds: readonly Find[]): Find | undefined =>
  finds.reduce<Find | undefined>((best, it) => (best && !isMore(it, best) ? best : it), undefined);

/** A search through any bytes. */
export class Search {
  /** Offsets of the magic. */
  readonly magics: readonly number[];
  /** Prefixes that stand behind the magic, or twice. */
  nLeads = 0;
  private readonly settling: Settling;

  constructor(private readonly data: Uint8Array) {
    this.magics = exact(data, MAGIC);
    this.settling = new Settling(data, this.magics);
  }

  /** What there is of the file of which there is most. */
  best(): Find | undefined {
    const { leads, singles } = this.leads();
    this.nLeads = leads.length;
    const all = this.exact(leads, singles).filter((find) => find.packets.size);
    const deep: Find[] = [];
    for (let turn = 0; turn < MOST_DEEP && all.length; turn++) {
      const next = bestOf(all)!;
      all.splice(all.indexOf(next), 1);
      deep.push(next);
    }
    const found = deep.length
      ? bestOf(deep.map((find) => this.deep(find.key, true) ?? find))
      : bestOf(this.hopes(leads, singles));
    if (found) {
      // What nearly looks like a packet of this file may be an intact one of another.
      const others = new Set(this.settling.starts);
      found.spans.forEach(([start]) => others.delete(start));
      found.damaged = found.damaged.filter((start) => !others.has(start));
    }
    return found;
  }

  /** Nothing is known to be true: a prefix may be if damaged copies of it are there, too. */
  private hopes(leads: readonly string[], singles: ReadonlyMap<string, number>): Find[] {
    return [...leads, ...singles.keys()]
      .slice(0, MOST_HOPES)
      .map((key) => this.deep(key, leads.includes(key)))
      .filter((find) => find !== undefined && find.packets.size > 0) as Find[];
  }

  /** Prefixes to go by, and those that stand only once, with their offsets. */
  private leads(): { leads: string[]; singles: Map<string, number> } {
    const { data, magics } = this;
    const { repeated, singles } = headers(data);
    const closeBy = this.spendOnNear() ? near(data, MAGIC, MAGIC_BITS) : [];
    const told = [...[...magics, ...closeBy].map((magic) => magic + MAGIC.length), 0]
      .filter((spot) => isHeader(data, spot))
      .slice(0, MOST_LEADS)
      .map((spot) => keyOf(data, spot));
    const leads = [...new Set([...told, ...repeated.slice(0, MOST_LEADS)])];
    leads.forEach((key) => singles.delete(key));
    return { leads, singles };
  }

  /** Collect packets that begin with exact prefixes. */
  private exact(leads: readonly string[], singles: ReadonlyMap<string, number>): Find[] {
    const { data, settling } = this;
    const finds: Find[] = [];
    for (const key of leads) {
      if (settling.spend(LEAD_WORK + Math.floor(data.length / 2))) {
        const find = new Find(key, data.length);
        finds.push(settling.collect(find, exact(data, find.prefix)));
      }
    }
    const whole = settling.mostWork;
    settling.mostWork = Math.min(whole, settling.work + Math.floor(whole / SINGLE_SHARE));
    const costs: [number, string][] = [];
    for (const [key, start] of singles) {
      const cost = this.cost(key, start);
      if (cost !== undefined) {
        costs.push([cost, key]);
      }
    }
    // The cheapest first: what is too long stands in no way.
    costs.sort(([a, one], [b, other]) => a - b || (one < other ? -1 : 1));
    for (const [, key] of costs) {
      if (settling.spend(LEAD_WORK)) {
        finds.push(settling.collect(new Find(key, data.length), [singles.get(key)!]));
      }
    }
    settling.mostWork = whole;
    return finds;
  }

  /** Bytes to be checksummed for a prefix that stands once; undefined if no packet fits there. */
  private cost(key: string, start: number): number | undefined {
    const { data, settling } = this;
    if (!settling.spend(LEAD_WORK)) {
      return undefined;
    }
    const find = new Find(key, data.length);
    const { header } = find;
    const index = data[start + PREFIX_BYTES];
    const room = data.length - start - PACKET_HEAD_BYTES;
    const isFixed = header.coding === "fixed";
    if (index >= header.nPackets || (isFixed && leastIndices(header) * 3 > 8 * room)) {
      return undefined;
    }
    if (!settling.spend(find.sizing(index))) {
      return undefined;
    }
    const [least, most] = find.sizes(index)!;
    if (isFixed) {
      return least <= room ? least : undefined;
    }
    return Math.min(room, most);
  }

  private spendOnNear(): boolean {
    return this.settling.spend(NEAR_WORK * this.data.length);
  }

  /** Collect packets that begin nearly with a prefix, too, and those without a known end. */
  private deep(key: string, isLead: boolean): Find | undefined {
    if (!this.spendOnNear()) {
      return undefined;
    }
    const { data, settling } = this;
    const find = new Find(key, data.length);
    const places = exact(data, find.prefix);
    const closeBy = new Set(near(data, find.prefix, PREFIX_BITS));
    // A prefix of few bits resembles itself when it is shifted.
    for (const at of places) {
      for (let shift = 1 - PREFIX_BYTES; shift < PREFIX_BYTES; shift++) {
        closeBy.delete(at + shift);
      }
    }
    if (!closeBy.size && !isLead) {
      return undefined;
    }
    settling.collect(find, ascending([...places, ...closeBy]));
    settling.tryLengths(find);
    return find;
  }
}
