/** The page: what is opened, from where, and what happens then. */

import { Cancelled, Client, Failure } from "./client";
import { Compare } from "./compare";
import { byId } from "./dom";
import { fillGallery } from "./gallery";
import { isolate, keepAll } from "./isolation";
import { Maker } from "./maker";
import { MAX_VQC_BYTES, isPhoto, readPhoto } from "./photo";
import { Stage } from "./stage";
import { Status } from "./status";
import { aboutWords } from "./words";

const asked = new URLSearchParams(location.search);
const backend = asked.get("backend");
const client = new Client(backend === "wasm" || backend === "webgpu" ? backend : "auto");
const stage = new Stage();
const compare = new Compare();
const status = new Status(() => client.cancel());
const maker = new Maker(client, stage, compare, status);
let wish = new AbortController();

/** Open a file, whatever it is. */
async function open(name: string, file: Blob): Promise<void> {
  wish.abort();
  const mine = (wish = new AbortController());
  maker.stop();
  status.clear();
  try {
    const head = new Uint8Array(await file.slice(0, 16).arrayBuffer());
    if (isPhoto(name, file.type, head)) {
      const photo = await readPhoto(file);
      if (mine.signal.aborted) return;
      await ready;
      await maker.open(name, photo);
      return;
    }
    if (file.size > MAX_VQC_BYTES) {
      throw new Failure("LimitError", "larger than any .vqc file (128 MiB). Check the name.");
    }
    const data = new Uint8Array(await file.arrayBuffer());
    if (data.length === 0) throw new Failure("InputError", "is empty. Get a whole copy of it.");
    await ready;
    const decoded = await client.run(
      "decode",
      { data },
      { isUrgent: true, signal: mine.signal, onProgress: status.progress },
    );
    if (mine.signal.aborted) return;
    maker.leave();
    stage.show(name, data, decoded, []);
    stage.focus();
  } catch (error) {
    if (!mine.signal.aborted && !(error instanceof Cancelled)) fail(name, error);
  } finally {
    if (wish === mine) status.rest();
  }
}

function fail(place: string, error: unknown): void {
  status.fail(place, error instanceof Error ? error.message : String(error));
}

/** A file that the address names, of this page's own host alone. */
async function openAsked(path: string): Promise<void> {
  let name = "file";
  try {
    const url = new URL(path, document.baseURI);
    name = decodeURIComponent(url.pathname.split("/").pop()!) || name;
    if (url.origin !== location.origin) {
      throw new Failure("InputError", "lies on another host. Save it and open it here.");
    }
    const answer = await fetch(url);
    if (!answer.ok) throw new Failure("InputError", `no such file (${answer.status}). Check the address.`);
    await open(name, new Blob([await answer.arrayBuffer()]));
  } catch (error) {
    fail(name, error);
  }
}

function listen(): void {
  const input = byId("file", HTMLInputElement);
  byId("choose", HTMLButtonElement).addEventListener("click", () => input.click());
  input.addEventListener("change", () => {
    const file = input.files?.[0];
    if (file !== undefined) void open(file.name, file);
    input.value = ""; // the same file can be chosen again
  });
  const veil = byId("veil", HTMLElement);
  const hasFile = (event: DragEvent): boolean => event.dataTransfer?.types.includes("Files") ?? false;
  addEventListener("dragover", (event) => {
    if (!hasFile(event)) return;
    event.preventDefault();
    veil.hidden = false;
  });
  addEventListener("dragleave", (event) => {
    if (event.relatedTarget === null) veil.hidden = true;
  });
  addEventListener("drop", (event) => {
    veil.hidden = true;
    if (!hasFile(event)) return;
    event.preventDefault();
    const file = event.dataTransfer?.files[0];
    if (file !== undefined) void open(file.name, file);
  });
  addEventListener("paste", (event) => {
    const file = event.clipboardData?.files[0];
    if (file !== undefined) void open(file.name || "pasted", file);
  });
}

listen();
const ready = isolate()
  .then(() => client.start())
  .then((model) => {
    maker.offer(model);
    byId("about", HTMLElement).textContent = aboutWords(model);
  });
const path = asked.get("file");
ready.then(
  async () => {
    if (path !== null) await openAsked(path); // before the examples, which stand below it
    fillGallery(client, status, {
      painted: keepAll,
      open: (name, data, decoded) => {
        wish.abort();
        status.clear();
        maker.leave();
        stage.show(name, data, decoded, []);
        stage.focus();
      },
    });
  },
  (error: unknown) => fail("", error),
);
