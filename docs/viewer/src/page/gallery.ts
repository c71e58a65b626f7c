/** Three files to begin with, painted one after the other as they come into sight. */

import type { Decoded } from "../protocol";
import { Cancelled } from "./client";
import type { Client } from "./client";
import { byId, newCanvas, paint } from "./dom";
import type { Status } from "./status";
import { cardWords } from "./words";

const FILES = [
  { file: "temple.vqc", title: "A temple", width: 640, height: 427 },
  { file: "flower.vqc", title: "A flower", width: 640, height: 427 },
  { file: "temple-damaged.vqc", title: "The temple, damaged on its way", width: 640, height: 427 },
];

export interface Callbacks {
  /** A card was chosen. */
  open(name: string, file: Uint8Array<ArrayBuffer>, decoded: Decoded): void;
  /** A picture is painted. */
  painted(): void;
}

/** Make the cards; each is painted when it comes into sight, and a click opens it. */
export function fillGallery(client: Client, status: Status, { open, painted }: Callbacks): void {
  const works = new Map<Element, () => Promise<void>>();
  const sight = new IntersectionObserver(
    (entries) => {
      for (const { target, isIntersecting } of entries) {
        if (!isIntersecting) continue;
        sight.unobserve(target);
        void works.get(target)?.();
      }
    },
    { rootMargin: "200px" },
  );
  const items = FILES.map(({ file, title, width, height }) => {
    const button = Object.assign(document.createElement("button"), { type: "button", className: "card" });
    const canvas = newCanvas(width, height);
    const heading = Object.assign(document.createElement("span"), { className: "title", textContent: title });
    const said = Object.assign(document.createElement("span"), { className: "said", textContent: "waiting" });
    button.append(canvas, heading, said);
    button.disabled = true;
    const item = document.createElement("li");
    item.append(button);
    works.set(item, async () => {
      try {
        const answer = await fetch(new URL(`gallery/${file}`, document.baseURI));
        if (!answer.ok) throw new Error(`status ${answer.status}`);
        const data = new Uint8Array(await answer.arrayBuffer());
        const decoded = await client.run("decode", { data }, { onProgress: status.progress });
        paint(canvas, decoded.picture);
        said.textContent = cardWords(decoded.facts);
        button.addEventListener("click", () => open(file, data, decoded));
        button.disabled = false;
        painted();
      } catch (error) {
        if (error instanceof Cancelled) said.textContent = "cancelled";
        else said.textContent = error instanceof Error ? error.message : String(error);
      } finally {
        status.rest();
      }
    });
    return item;
  });
  byId("gallery", HTMLElement).replaceChildren(...items);
  for (const item of items) sight.observe(item);
}
