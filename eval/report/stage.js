"use strict";

// Two pictures, one over the other, with a border to drag, zoom and pan. Positions are CSS pixels of
// the stage; `scale` is CSS pixels a picture's pixel. The border is a share of the part of the
// picture that is seen, so that it stays on the picture when it is narrower than the stage.
function makeStage(root, callbacks) {
  const MAX_SCALE = 16, PIXELATED_FROM = 2;
  const handle = root.querySelector("#handle");
  const layers = [root.querySelector("#left-layer"), root.querySelector("#right-layer")];
  const view = { width: 1, height: 1, scale: 1, x: 0, y: 0, split: 0.5, isFit: true };
  const pointers = new Map();
  let names = ["left", "right"], drag = null, request = 0, scrolledAt = -1e9;

  const size = () => ({ width: root.clientWidth, height: root.clientHeight });
  const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
  const fitScale = () => Math.min(size().width / view.width, size().height / view.height);
  const isZoomed = () => view.scale > fitScale() * 1.001;

  function seen() {
    const from = clamp(view.x, 0, size().width);
    return [from, clamp(view.x + view.width * view.scale, from, size().width)];
  }

  function draw() {
    const stage = size();
    if (!stage.width) return;
    if (view.isFit) view.scale = fitScale();
    for (const [at, pixels, room] of [["x", view.width, stage.width], ["y", view.height, stage.height]]) {
      const rest = room - pixels * view.scale;
      view[at] = rest >= 0 ? rest / 2 : clamp(view[at], rest, 0);
    }
    const [from, to] = seen();
    const line = from + view.split * (to - from);
    layers[0].style.clipPath = `inset(0 ${stage.width - line}px 0 0)`;
    layers[1].style.clipPath = `inset(0 0 0 ${line}px)`;
    handle.style.left = `${line}px`;
    for (const layer of layers) {
      layer.classList.toggle("pixelated", view.scale > PIXELATED_FROM);
      const image = layer.querySelector("img");
      if (!image) continue;
      image.style.width = `${view.width * view.scale}px`;
      image.style.height = `${view.height * view.scale}px`;
      image.style.transform = `translate(${Math.round(view.x)}px, ${Math.round(view.y)}px)`;
    }
    root.classList.toggle("zoomed", isZoomed());
    const percent = Math.round(view.split * 100);
    handle.setAttribute("aria-valuenow", percent);
    handle.setAttribute("aria-valuetext", `${percent} % ${names[0]}, ${100 - percent} % ${names[1]}`);
    callbacks.zoomed(view.scale);
  }

  function zoomTo(scale, x = size().width / 2, y = size().height / 2) {
    const lowest = Math.min(fitScale(), 1);
    const next = clamp(scale, lowest, Math.max(MAX_SCALE, lowest));
    view.x = x - ((x - view.x) * next) / view.scale;
    view.y = y - ((y - view.y) * next) / view.scale;
    view.scale = next;
    view.isFit = Math.abs(next - fitScale()) < 1e-6;
    draw();
  }
  const zoomBy = (factor, x, y) => zoomTo(view.scale * factor, x, y);
  function fit() {
    view.isFit = true;
    draw();
  }
  function splitAt(x) {
    const [from, to] = seen();
    view.split = to > from ? clamp((x - from) / (to - from), 0, 1) : 0.5;
    draw();
  }
  function place(event) {
    const box = root.getBoundingClientRect();
    return { x: event.clientX - box.left - root.clientLeft, y: event.clientY - box.top - root.clientTop };
  }

  // Dragging: the border from its handle, or from anywhere while the whole picture is seen; else the
  // picture. Two fingers zoom. A finger that sets out up or down scrolls the page.
  root.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    pointers.set(event.pointerId, place(event));
    const isHandle = handle.contains(event.target);
    drag = { kind: isHandle ? "split" : isZoomed() ? "pan" : "click", from: place(event) };
    if (pointers.size === 2) drag = { kind: "pinch" };
    if (drag.kind === "pan") root.classList.add("panning");
    if (isHandle) handle.focus({ preventScroll: true });
    root.setPointerCapture(event.pointerId);
  });
  root.addEventListener("pointermove", (event) => {
    const before = pointers.get(event.pointerId);
    if (!before || !drag) return;
    const now = place(event);
    if (drag.kind === "pinch") {
      const others = [...pointers].filter(([id]) => id !== event.pointerId).map(([, at]) => at);
      const span = (at) => Math.hypot(at.x - others[0].x, at.y - others[0].y) || 1;
      zoomBy(span(now) / span(before), (now.x + others[0].x) / 2, (now.y + others[0].y) / 2);
    } else if (drag.kind === "pan") {
      view.x += now.x - before.x;
      view.y += now.y - before.y;
      draw();
    } else {
      if (drag.kind === "click" && Math.abs(now.x - drag.from.x) > 4) drag.kind = "split";
      if (drag.kind === "split") splitAt(now.x);
    }
    pointers.set(event.pointerId, now);
  });
  for (const kind of ["pointerup", "pointercancel"]) {
    root.addEventListener(kind, (event) => {
      if (!pointers.delete(event.pointerId) || !drag) return;
      if (kind === "pointerup" && drag.kind === "click") splitAt(drag.from.x);
      root.classList.remove("panning");
      drag = null;
    });
  }
  root.addEventListener("dblclick", (event) => {
    if (handle.contains(event.target)) return;
    const { x, y } = place(event);
    if (isZoomed()) fit();
    else zoomTo(Math.max(2, 2 * fitScale()), x, y);
  });

  // A wheel that scrolls the page goes on scrolling it over the stage; at the lowest zoom it scrolls on.
  window.addEventListener("scroll", () => { scrolledAt = performance.now(); }, { passive: true });
  root.addEventListener("wheel", (event) => {
    const isLowest = event.deltaY > 0 && !isZoomed();
    if (isLowest || performance.now() - scrolledAt < 250) return;
    event.preventDefault();
    const { x, y } = place(event);
    const step = event.deltaY * (event.deltaMode === 1 ? 16 : 1);
    const factor = Math.exp(-clamp(step, -120, 120) * 0.0025);
    if (factor < 1 && view.scale * factor < fitScale()) fit();
    else zoomBy(factor, x, y);
  }, { passive: false });

  handle.addEventListener("keydown", (event) => {
    const steps = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -10, PageUp: 10 };
    let split = null;
    if (event.key in steps) split = view.split + (steps[event.key] * (event.shiftKey ? 10 : 1)) / 100;
    if (event.key === "Home") split = 0;
    if (event.key === "End") split = 1;
    if (split === null || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    event.stopPropagation();
    view.split = clamp(split, 0, 1);
    draw();
  });

  new ResizeObserver(draw).observe(root);

  // Decode both pictures first, then show them together: nothing flashes.
  async function show({ width, height, sides, keepsView }) {
    const mine = ++request;
    const shown = await Promise.all(sides.map(async ({ uri, name }) => {
      const image = new Image();
      image.alt = name;
      image.draggable = false;
      image.src = uri;
      try {
        await image.decode();
        return image;
      } catch {
        const words = document.createElement("p");
        words.textContent = `The picture of ${name} cannot be read.`;
        return words;
      }
    }));
    if (mine !== request) return;
    names = sides.map((side) => side.name);
    Object.assign(view, { width, height });
    if (!keepsView) view.isFit = true;
    layers.forEach((layer, index) => layer.replaceChildren(shown[index]));
    draw();
  }

  return { show, fit, zoomBy, zoomTo, splitAt: (share) => { view.split = share; draw(); } };
}
