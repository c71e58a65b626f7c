/** Files by HTTP, with a count of the bytes as they come in. */

import { ModelError } from "../format";

const UNPACKED = 8; // WebAssembly shrinks to a quarter

/**
 * Fetch a file.
 *
 * @param bytes of it; a host that unpacks files by itself may send more of one that is packed
 * @param onBytes called with the number of bytes of each piece, `bytes` at most in all
 */
export async function download(
  url: URL,
  bytes: number,
  onBytes: (n: number) => void,
  cache: RequestCache = "default",
): Promise<Uint8Array<ArrayBuffer>> {
  const name = url.pathname.split("/").pop()!;
  const most = name.endsWith(".gz") ? UNPACKED * bytes : bytes;
  const pieces: Uint8Array<ArrayBuffer>[] = [];
  let size = 0;
  try {
    const answer = await fetch(url, { cache });
    if (!answer.ok || answer.body === null) throw new Error(`status ${answer.status}`);
    const reader = answer.body.getReader();
    for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
      pieces.push(piece.value);
      onBytes(Math.max(0, Math.min(piece.value.length, bytes - size)));
      size += piece.value.length;
      if (size > most) throw new Error("too long");
    }
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new ModelError(`${name} cannot be loaded (${why}). Check the network and load the page anew.`);
  }
  if (size < bytes) {
    throw new ModelError(`${name} ends after ${size} of ${bytes} bytes. Load the page anew.`);
  }
  const data = new Uint8Array(size);
  let at = 0;
  for (const piece of pieces) {
    data.set(piece, at);
    at += piece.length;
  }
  return data;
}

/** Unpack what is gzipped; a server that unpacked it already is as good. */
export async function unpack(data: Uint8Array<ArrayBuffer>): Promise<ArrayBuffer> {
  if (data[0] !== 0x1f || data[1] !== 0x8b) return data.buffer;
  const stream = new Blob([data]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).arrayBuffer();
}
