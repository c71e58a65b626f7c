/** The worker: one job after the other, each with its progress, its answer or its error. */

import { VqcError } from "../format";
import type { JobName, Jobs, Reply, Request } from "../protocol";
import { Model } from "./model";
import type { Report } from "./model";
import { Nets } from "./nets";
import { decode, encode } from "./pipeline";

const scope = self as unknown as {
  postMessage(message: Reply, transfer?: Transferable[]): void;
  onmessage: ((event: MessageEvent<Request>) => void) | null;
};

let nets: Promise<Nets> | null = null;

/** The first job, which every worker is given: where the page lies, and what runs its networks. */
function start({ backend, page }: Jobs["start"]["in"]): Promise<Nets> {
  const base = new URL(page);
  nets ??= Model.open(new URL("model/", base)).then((model) => Nets.open(model, base, backend));
  nets.catch(() => (nets = null)); // the next try may do better
  return nets;
}

async function work(request: Request, report: Report): Promise<Jobs[JobName]["out"]> {
  const { job, input } = request;
  if (job === "start") return (await start(input)).model.facts;
  if (nets === null) throw new Error("no job can come before the start");
  const ready = await nets;
  switch (job) {
    case "decode":
      return decode(input.data, ready, report);
    case "encode":
      return encode(input.picture, input.ask, ready, report);
  }
}

/** A failure in the command line's words. */
function inWords(error: unknown): { kind: string; message: string } {
  if (error instanceof VqcError) return { kind: error.kind, message: error.message };
  const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  if (error instanceof RangeError || /memory/i.test(text)) {
    const message = "out of memory. Close other programs, or take a smaller image.";
    return { kind: "BackendError", message };
  }
  return { kind: "VqcError", message: `unexpected ${text.slice(0, 200)}. This is a bug in the page.` };
}

scope.onmessage = ({ data: request }) => {
  const { id } = request;
  work(request, (progress) => scope.postMessage({ id, progress })).then(
    (result) => {
      const pictured = "picture" in result ? [result.picture.rgba.buffer] : [];
      scope.postMessage({ id, result }, pictured);
    },
    (error: unknown) => {
      console.debug(error);
      scope.postMessage({ id, error: inWords(error) });
    },
  );
};
