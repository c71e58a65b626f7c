/** Files by HTTP, with a count of the bytes as they come in. */

import { ModelError } from "../format";

/**
 * Fetch a file of a known length.
 *
 * @param onBytes called with the number of bytes of each piece
 */
export async function download(
  url: URL,
  bytes: number,
  onBytes: (n: number) => void,
  cache: RequestCache = "default",
): Promise<Uint8Array<ArrayBuffer>> {
  const name = url.pathname.split("/").pop();
  const data = new Uint8Array(bytes);
  let at = 0;
  try {
    const answer = await fetch(url, { cache });
    if (!answer.ok || answer.body === null) throw new Error(`status ${answer.status}`);
    const reader = answer.body.getReader();
    for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
      if (at + piece.value.length > bytes) throw new Error("too long");
      data.set(piece.value, at);
      at += piece.value.length;
      onBytes(piece.value.length);
    }
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new ModelError(`${name} cannot be loaded (${why}). Check the network and load the page anew.`);
  }
  if (at !== bytes) {
    throw new ModelError(`${name} ends after ${at} of ${bytes} bytes. Load the page anew.`);
  }
  return data;
}

/** Unpack what is gzipped; a server that unpacked it already is as good. */
export async function unpack(data: Uint8Array<ArrayBuffer>): Promise<ArrayBuffer> {
  if (data[0] !== 0x1f || data[1] !== 0x8b) return data.buffer;
  const stream = new Blob([data]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).arrayBuffer();
}
