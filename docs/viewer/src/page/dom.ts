/** The page's elements by their ids, and pictures to canvases. */

import type { Picture } from "../protocol";

/** The element of an id, insisted on: index.html and this code are one. */
export function byId<T extends HTMLElement>(id: string, kind: new () => T): T {
  const found = document.getElementById(id);
  if (!(found instanceof kind)) throw new Error(`index.html has no ${kind.name} #${id}`);
  return found;
}

export function context(canvas: HTMLCanvasElement, willRead = false): CanvasRenderingContext2D {
  const found = canvas.getContext("2d", { willReadFrequently: willRead });
  if (found === null) throw new Error("this browser has no canvas");
  return found;
}

/** Show a picture on a canvas, pixel for pixel. */
export function paint(canvas: HTMLCanvasElement, picture: Picture): void {
  canvas.width = picture.width;
  canvas.height = picture.height;
  context(canvas).putImageData(new ImageData(picture.rgba, picture.width, picture.height), 0, 0);
}

export function newCanvas(width: number, height: number): HTMLCanvasElement {
  return Object.assign(document.createElement("canvas"), { width, height });
}

/** The value of the radio button that is chosen. */
export function chosen(form: HTMLFormElement, name: string): string {
  return String(new FormData(form).get(name));
}
