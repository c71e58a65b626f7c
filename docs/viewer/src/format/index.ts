/**
 * The `.vqc` format, version 1, as docs/FORMAT.md has it: bytes to an index map and back, exactly.
 *
 * Files are named after the Python rooms that do the same: `packets` and `container` (sections 3
 * and 4), `places`, `finds`, `settling`, `search` and `salvage` (4A), `scan` (5), `fec` with
 * `field` (5A), `fixedlength` (6), `frequencies`, `rangecoder` and `lengths` (7), `waves`, `context`,
 * `network`, `matrices` and `contextual` (7A), `safetensors` and `tables` (a pack's tensors),
 * `payload` (index map to payloads and back), `reception` with `losses` (what arrived of a file),
 * `packing` (the smallest file of the codings), `concealment`. Nothing here knows a DOM or Node:
 * typed arrays in and out, on a page, in a worker and in tests.
 *
 * To read:  `receive(bytes, (header) => pack, { maxPixels })` -> header, index map, losses.
 * To write: `smallestFile(indices, header, pack.tables.get(tier))` -> bytes.
 *
 * What files and packs can cause is a `VqcError` with the command line's sentence; a caller's
 * mistake is a `RangeError`.
 */

export * from "./errors";
export { CODINGS, LOST, MAX_PIXELS, MAX_SIDE, PACKET_LAYOUTS } from "./layout";
export type { Coding, Stride } from "./layout";
export { codebookSize, isIntact, mapHeight, mapWidth, numIndices } from "./packets";
export type { Header, Packet } from "./packets";
export { describeWeights } from "./registry";
export { numParity, parse, payloadsOf, write } from "./container";
export type { Container } from "./container";
export { protect } from "./fec";
export { readTables } from "./tables";
export type { Pack, Tables, TierTables } from "./tables";
export { chooseIndexMap, decodeIndexMap, encodeIndexMap } from "./payload";
export { receive } from "./reception";
export { Losses } from "./losses";
export type { Received, ReceiveOptions } from "./reception";
export { smallestFile } from "./packing";
export type { FileOptions } from "./packing";
export { packetMap } from "./scan";
export { copyNeighbours } from "./concealment";
