"use strict";

// The viewer: which image, tier and sides are shown, and what is said of them. The state stands in
// the address (#image=..&tier=..&left=..&right=..), so that a link leads to it.
function makeViewer(data, pictures, onShow) {
  const $ = (id) => document.getElementById(id);
  const ORIGINAL = -1; // in the place of a codec's number
  const THUMB_PX = 60; // height, as in the style
  const SIDES = ["left", "right"];
  const state = { image: 0, tier: 0, left: ORIGINAL, right: ORIGINAL };
  let shownImage = null;

  // Choices at an image and tier: {codec, row, picture}, the original first.
  function choices(image = state.image, tier = state.tier) {
    const { original, tiers } = data.images[image];
    const found = original === null ? [] : [{ codec: ORIGINAL, picture: original }];
    for (const [index, picture] of tiers[tier] || []) {
      const row = data.rows[index];
      found.push({ codec: row[1], row, picture });
    }
    return found;
  }
  const hasPictures = (image) => [0, ...data.tiers.keys()].some((tier) => choices(image, tier).length);
  const usable = data.images.map((_, index) => index).filter(hasPictures);
  if (!usable.length) {
    $("look-none").hidden = false;
    return { open: () => false };
  }
  $("viewer").hidden = false;

  const stage = makeStage($("stage"), {
    zoomed: (scale) => { $("zoom").value = `${Math.round(scale * 100)} %`; },
  });
  const nameOf = (codec) => (codec === ORIGINAL ? "original" : data.codecs[codec]);
  const bytes = (count) => `${count.toLocaleString("en")} bytes`;
  const lpips = data.metrics.findIndex((metric) => metric.name === "lpips_alex");
  const main = lpips < 0 ? 0 : lpips;
  const isTier = (index, image = state.image) =>
    data.images[image].tiers[index].length > 0 || data.images[image].tiers.every((sides) => !sides.length);

  function option(value, text) {
    const made = document.createElement("option");
    made.value = value;
    made.textContent = text;
    return made;
  }

  // The nearest thing to what was asked for that can be shown.
  function settle() {
    if (!usable.includes(state.image)) state.image = usable[0];
    if (!isTier(state.tier)) state.tier = data.tiers.findIndex((_, index) => isTier(index));
    const codecs = choices().map((choice) => choice.codec);
    const except = (codec) => codecs.find((other) => other !== codec) ?? codecs[0];
    if (!codecs.includes(state.left)) state.left = except(state.right);
    if (!codecs.includes(state.right)) {
      const isOurs = codecs.includes(data.ours) && state.left !== data.ours;
      state.right = isOurs ? data.ours : except(state.left);
    }
  }

  function tell(side, choice, oursBytes) {
    const words = $(`${side}-figures`);
    const image = data.images[state.image];
    $(side).closest(".side").classList.toggle("ours", choice.codec === data.ours);
    if (choice.codec === ORIGINAL) {
      words.textContent = `${image.width} × ${image.height} pixels`;
      return nameOf(ORIGINAL);
    }
    const [, codec, point, setting, size, bpp, values] = choice.row;
    const facts = [bytes(size), `${bpp === null ? "?" : bpp.toFixed(4)} bpp`];
    const metric = data.metrics[main];
    if (metric && values[main] !== null) {
      const short = metric.name.startsWith("lpips") ? "LPIPS" : metric.label;
      facts.push(`${short} ${values[main].toFixed(3)}`);
    }
    const ratio = oursBytes ? size / oursBytes : 1;
    const isOther = codec !== data.ours && Math.abs(ratio - 1) >= 0.05;
    if (isOther) facts.push(`${ratio.toFixed(ratio < 10 ? 1 : 0)} × our size`);
    words.replaceChildren(...facts.map((fact, index) => {
      const made = document.createElement(index ? "span" : "b");
      made.textContent = fact;
      return made;
    }));
    words.title = setting;
    return codec === data.ours ? `${nameOf(codec)}, tier ${point}` : nameOf(codec);
  }

  function update({ isLink = true } = {}) {
    settle();
    const image = data.images[state.image], found = choices();
    const ours = found.find((choice) => choice.codec === data.ours);
    $("image").value = state.image;
    $("counter").textContent = usable.length > 1 ? `${usable.indexOf(state.image) + 1} of ${usable.length}` : "";
    document.querySelectorAll("#tiers input").forEach((input, index) => {
      input.checked = index === state.tier;
      input.disabled = !isTier(index);
    });
    const sides = SIDES.map((side) => {
      $(side).replaceChildren(...found.map(({ codec }) =>
        option(codec, nameOf(codec) + (codec === data.ours ? `, tier ${data.tiers[state.tier]}` : ""))));
      $(side).value = state[side];
      const choice = found.find(({ codec }) => codec === state[side]);
      return { uri: pictures[choice.picture], name: tell(side, choice, ours && ours.row[4]) };
    });
    for (const button of $("strip").children) {
      const isCurrent = Number(button.dataset.image) === state.image;
      if (isCurrent && button.getAttribute("aria-current") !== "true") {
        const strip = $("strip");
        strip.scrollLeft = button.offsetLeft - strip.offsetLeft - (strip.clientWidth - button.offsetWidth) / 2;
      }
      button.setAttribute("aria-current", isCurrent);
    }
    stage.show({ width: image.width, height: image.height, sides, keepsView: shownImage === state.image });
    shownImage = state.image;
    if (isLink) {
      const hash = new URLSearchParams({ image: image.name, tier: data.tiers[state.tier] ?? "" });
      SIDES.forEach((side) => hash.set(side, nameOf(state[side])));
      history.replaceState(null, "", `#${hash}`);
    }
    onShow(SIDES.map((side) => found.find(({ codec }) => codec === state[side]).row).filter(Boolean));
  }

  function set(change) {
    Object.assign(state, change);
    $("notice").hidden = true;
    update();
  }

  function step(by) {
    const at = usable.indexOf(state.image) + by;
    set({ image: usable[(at + usable.length) % usable.length] });
  }

  function follow() {
    const hash = new URLSearchParams(location.hash.slice(1));
    if (!hash.has("image")) return false;
    const image = data.images.findIndex(({ name }) => name === hash.get("image"));
    const tier = data.tiers.indexOf(Number(hash.get("tier")));
    if (image >= 0) state.image = image;
    if (tier >= 0) state.tier = tier;
    for (const side of SIDES) {
      const codec = data.codecs.indexOf(hash.get(side));
      if (codec >= 0 || hash.get(side) === "original") state[side] = codec;
    }
    update();
    return true;
  }

  // A row of the table: itself where its picture is in the page, else the nearest that is.
  function open(row) {
    const [image, codec, point, , size] = row;
    if (!usable.includes(image)) {
      return say(`There is no picture of ${data.images[image].name} in this page.`, true);
    }
    let best = null;
    data.tiers.forEach((number, tier) => {
      for (const choice of choices(image, tier)) {
        if (choice.codec !== codec) continue;
        const distance = codec === data.ours ? Math.abs(number - point) : Math.abs(choice.row[4] - size);
        if (!best || distance < best.distance) best = { tier, row: choice.row, distance };
      }
    });
    const other = codec === data.ours || !best ? ORIGINAL : data.ours;
    set({ image, tier: best ? best.tier : state.tier, left: best ? codec : data.ours, right: other });
    if (!best) say(`There are only figures of ${nameOf(codec)}, no pictures.`);
    else if (best.row !== row) {
      const what = codec === data.ours ? `tier ${best.row[2]}` : `its file of ${bytes(best.row[4])}`;
      say(`The page does not hold the picture of this file of ${bytes(size)}; shown instead: ${what}.`);
    }
    $("look").scrollIntoView();
    $("stage").focus({ preventScroll: true });
    return true;
  }

  function say(text, moves = false) {
    $("notice").textContent = text;
    $("notice").hidden = false;
    if (moves) $("look").scrollIntoView();
    return false;
  }

  $("image").replaceChildren(...usable.map((index) => option(index, data.images[index].name)));
  data.tiers.forEach((tier, index) => {
    const label = document.createElement("label"), input = document.createElement("input");
    Object.assign(input, { type: "radio", name: "tier", value: index });
    input.addEventListener("change", () => set({ tier: index }));
    const words = document.createElement("span");
    words.textContent = tier;
    label.append(input, words);
    $("tiers").append(label);
  });
  $("tiers").hidden = !data.tiers.length;
  for (const index of usable) {
    const button = document.createElement("button"), { name, thumb, width, height } = data.images[index];
    const inner = document.createElement(thumb ? "img" : "span");
    if (thumb) {
      const shownWidth = Math.min(150, Math.round((THUMB_PX * width) / height)); // before it is loaded
      Object.assign(inner, { src: thumb, alt: name, loading: "lazy", width: shownWidth, height: THUMB_PX });
    }
    else inner.textContent = name;
    button.title = name;
    button.dataset.image = index;
    button.append(inner);
    button.addEventListener("click", () => set({ image: index }));
    $("strip").append(button);
  }
  const isAlone = usable.length < 2;
  for (const id of ["previous", "next", "strip"]) $(id).hidden = isAlone;

  $("image").addEventListener("change", (event) => set({ image: Number(event.target.value) }));
  for (const side of SIDES) {
    $(side).addEventListener("change", (event) => set({ [side]: Number(event.target.value) }));
  }
  $("previous").addEventListener("click", () => step(-1));
  $("next").addEventListener("click", () => step(1));
  $("swap").addEventListener("click", () => set({ left: state.right, right: state.left }));
  const commands = {
    "zoom-in": () => stage.zoomBy(1.5), "zoom-out": () => stage.zoomBy(1 / 1.5), fit: () => stage.fit(),
    actual: () => stage.zoomTo(1),
    full: () => (document.fullscreenElement ? document.exitFullscreen() : $("card").requestFullscreen()),
  };
  for (const [id, command] of Object.entries(commands)) $(id).addEventListener("click", command);
  $("full").hidden = !document.fullscreenEnabled;

  // Keys work on the stage, and where nothing has the focus while the stage is in sight.
  const keys = { "+": "zoom-in", "=": "zoom-in", "-": "zoom-out", "0": "fit", "1": "actual", f: "full" };
  document.addEventListener("keydown", (event) => {
    const box = $("stage").getBoundingClientRect();
    const isInSight = box.top < innerHeight * 0.6 && box.bottom > innerHeight * 0.4;
    const isLoose = event.target === document.body && isInSight;
    const isHere = [$("stage"), $("handle")].includes(event.target) || isLoose;
    if (!isHere || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "ArrowLeft") step(-1);
    else if (event.key === "ArrowRight") step(1);
    else if (keys[event.key]) commands[keys[event.key]]();
    else return;
    event.preventDefault();
  });
  window.addEventListener("hashchange", follow);

  // At first: the original against ours, at the middle tier.
  const middle = Math.max(0, Math.floor((data.tiers.length - 1) / 2));
  Object.assign(state, { image: usable[0], tier: middle, left: ORIGINAL, right: data.ours ?? ORIGINAL });
  if (follow()) $("look").scrollIntoView({ behavior: "instant" });
  else update({ isLink: false });
  return { open };
}
