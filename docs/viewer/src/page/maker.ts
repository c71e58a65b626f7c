/** A photo on the stage: how small it is to be, made anew with every change, beside its rivals. */

import type { Made, ModelFacts, Picture } from "../protocol";
import { Cancelled } from "./client";
import type { Client } from "./client";
import type { Compare } from "./compare";
import { byId, chosen, paint } from "./dom";
import { pixelsOf } from "./photo";
import type { Photo } from "./photo";
import { bestJpeg } from "./rival";
import type { Rival } from "./rival";
import type { Row, Stage } from "./stage";
import type { Status } from "./status";
import { bytes, count } from "./words";

const SIDES = [512, 768, 1024, 1536, 2048];
const USUAL_SIDE = 768; // a few seconds on a plain machine

interface Current {
  readonly name: string;
  readonly photo: Photo;
  readonly wish: AbortController;
}

export class Maker {
  readonly #form = byId("controls", HTMLFormElement);
  readonly #tier = byId("tier", HTMLInputElement);
  readonly #target = byId("target", HTMLInputElement);
  readonly #scale = byId("scale", HTMLSelectElement);
  #tiers: ModelFacts["tiers"] = [];
  #current: Current | null = null;
  #pixels: { longest: number; picture: Picture } | null = null;
  #made: Made | null = null;
  #rival: Rival | null = null;

  constructor(
    private readonly client: Client,
    private readonly stage: Stage,
    private readonly compare: Compare,
    private readonly status: Status,
  ) {
    this.#form.addEventListener("submit", (event) => event.preventDefault());
    this.#tier.addEventListener("input", () => this.#sayTier());
    this.#form.addEventListener("change", (event) => {
      const { name } = event.target as HTMLInputElement;
      if (name === "left") this.#showLeft();
      else {
        this.#sayTier();
        void this.#make();
      }
    });
  }

  /** Offer the model's tiers. */
  offer(model: ModelFacts): void {
    this.#tiers = model.tiers;
    this.#tier.min = "0";
    this.#tier.max = `${model.tiers.length - 1}`;
    this.#tier.value = `${model.tiers.findIndex(({ tier }) => tier === model.default_tier)}`;
    this.#sayTier();
  }

  /** Take a photo to the stage. */
  async open(name: string, photo: Photo): Promise<void> {
    this.leave();
    this.#current = { name, photo, wish: new AbortController() };
    const longest = Math.max(photo.bitmap.width, photo.bitmap.height);
    const sides = SIDES.filter((side) => side < longest);
    this.#scale.replaceChildren(
      ...sides.map((side) => new Option(`scaled to ${count(side)} px`, `${side}`)),
      new Option(`${count(longest)} px, as it is`, "Infinity"),
    );
    this.#scale.value = longest > USUAL_SIDE ? `${USUAL_SIDE}` : "Infinity";
    byId("scale-row", HTMLElement).hidden = sides.length === 0;
    await this.#make(true);
  }

  /** What is being made is no longer wanted. */
  stop(): void {
    this.#current?.wish.abort();
  }

  /** Another file takes the stage. */
  leave(): void {
    this.stop();
    this.#current?.photo.bitmap.close();
    this.#current = this.#made = this.#rival = this.#pixels = null;
    this.#form.hidden = true;
    this.compare.set(false);
  }

  async #make(isNew = false): Promise<void> {
    if (this.#current === null) return;
    this.#current.wish.abort(); // a wish that still waits is left out
    const current = (this.#current = { ...this.#current, wish: new AbortController() });
    const { name, photo, wish } = current;
    this.status.clear();
    try {
      const picture = this.#scaled(photo);
      const made = await this.client.run(
        "encode",
        { picture, ask: this.#ask() },
        { isUrgent: true, signal: wish.signal, onProgress: this.status.progress },
      );
      if (wish.signal.aborted) return;
      this.#made = made;
      this.#rival = null;
      this.#show(current, picture);
      if (isNew) this.stage.focus();
      const rival = await bestJpeg(picture, made.file.length);
      if (wish.signal.aborted) return;
      this.#rival = rival;
      this.#show(current, picture);
    } catch (error) {
      if (!wish.signal.aborted && !(error instanceof Cancelled)) {
        this.status.fail(name, error instanceof Error ? error.message : String(error));
      }
    } finally {
      if (this.#current === current) this.status.rest();
    }
  }

  #scaled(photo: Photo): Picture {
    const longest = Number(this.#scale.value);
    if (this.#pixels?.longest !== longest) {
      this.#pixels = { longest, picture: pixelsOf(photo, longest) };
    }
    return this.#pixels.picture;
  }

  #ask(): { tier: number } | { targetBytes: number } {
    if (chosen(this.#form, "by") === "tier") return { tier: this.#tiers[Number(this.#tier.value)].tier };
    const value = this.#target.valueAsNumber;
    if (!(value >= 1)) this.#target.value = "1500";
    return { targetBytes: Math.floor(this.#target.valueAsNumber) };
  }

  #show({ name, photo }: Current, picture: Picture): void {
    const made = this.#made!;
    const { bitmap, sizeBytes } = photo;
    const isScaled = picture.width !== bitmap.width;
    const rows: Row[] = [
      ["Original", `${bytes(sizeBytes)}, ${bitmap.width} × ${bitmap.height} px`],
      ...(isScaled ? [["Scaled to", `${picture.width} × ${picture.height} px first`] as Row] : []),
      ["JPEG", this.#rival === null ? "looking for the best" : rivalWords(this.#rival, picture)],
    ];
    this.stage.show(name, made.file, made, rows);
    this.#form.hidden = false;
    this.#showLeft();
  }

  /** The picture left of the border: the photo, or the JPEG of no more bytes. */
  #showLeft(): void {
    const picture = this.#pixels?.picture;
    if (picture === undefined || this.#made === null) return;
    const left = byId("left", HTMLCanvasElement);
    const wantsJpeg = chosen(this.#form, "left") === "jpeg";
    if (wantsJpeg && this.#rival !== null) {
      const { canvas, width, height, sizeBytes } = this.#rival;
      Object.assign(left, { width: canvas.width, height: canvas.height });
      left.getContext("2d")!.drawImage(canvas, 0, 0);
      const scaled = width === canvas.width ? "" : `, ${width} × ${height} scaled up`;
      this.compare.set(true, `JPEG${scaled}, ${bytes(sizeBytes)}`);
    } else {
      paint(left, picture);
      this.compare.set(true, "original");
    }
    left.setAttribute("aria-label", byId("left-tag", HTMLElement).textContent ?? "");
    byId("right-tag", HTMLElement).textContent = `vqcodec, ${bytes(this.#made.file.length)}`;
  }

  #sayTier(): void {
    const entry = this.#tiers[Number(this.#tier.value)];
    if (entry === undefined) return;
    const said = `${entry.tier}, ${count(entry.codebook_size)} words`;
    byId("tier-said", HTMLElement).textContent = said;
    this.#tier.setAttribute("aria-valuetext", `tier ${said}`);
    const isTier = chosen(this.#form, "by") === "tier";
    byId("tier-row", HTMLElement).hidden = !isTier;
    byId("target-row", HTMLElement).hidden = isTier;
  }
}

function rivalWords(rival: Rival, picture: Picture): string {
  const { width, height, quality, sizeBytes, fits } = rival;
  const scaled = width === picture.width ? "" : `, ${width} × ${height} scaled up`;
  const what = `${bytes(sizeBytes)}${scaled}, quality ${quality}`;
  return fits ? what : `none so small; the smallest has ${what}`;
}

