"use strict";

// Tabs of the curves, figures told beside their points, and the start of everything else.
function makeTabs(list) {
  const tabs = [...list.querySelectorAll("[role=tab]")];
  function choose(tab, isFocused) {
    for (const other of tabs) {
      const isChosen = other === tab;
      other.setAttribute("aria-selected", isChosen);
      other.tabIndex = isChosen ? 0 : -1;
      document.getElementById(other.getAttribute("aria-controls")).hidden = !isChosen;
    }
    list.scrollLeft = tab.offsetLeft - list.offsetLeft - (list.clientWidth - tab.offsetWidth) / 2;
    if (isFocused) tab.focus();
  }
  tabs.forEach((tab, index) => {
    tab.addEventListener("click", () => choose(tab));
    tab.addEventListener("keydown", (event) => {
      const goals = { ArrowLeft: index - 1, ArrowRight: index + 1, Home: 0, End: tabs.length - 1 };
      if (!(event.key in goals)) return;
      event.preventDefault();
      choose(tabs[(goals[event.key] + tabs.length) % tabs.length], true);
    });
  });
  choose(tabs.find((tab) => tab.getAttribute("aria-selected") === "true"));
}

function makeTips(figure, data) {
  const REACH_PX = 26;
  const tip = document.getElementById("tip"), plot = figure.querySelector(".plot");
  const metric = data.metrics.find(({ name }) => name === figure.dataset.metric);
  const ring = document.createElement("div");
  ring.className = "spot";
  ring.hidden = true;
  plot.append(ring);
  function hide() {
    tip.hidden = ring.hidden = true;
  }
  plot.addEventListener("pointermove", (event) => {
    const box = plot.getBoundingClientRect();
    let best = null, reach = REACH_PX;
    const size = matchMedia("(max-width: 640px)").matches ? "narrow" : "wide";
    for (const spot of metric.spots) {
      const [x, y] = spot[size];
      const [dx, dy] = [box.left + x * box.width - event.clientX, box.top + y * box.height - event.clientY];
      const away = Math.hypot(dx, dy);
      if (away < reach) [best, reach] = [spot, away];
    }
    if (!best) return hide();
    const [codec, point, bpp, value] = best.row, [x, y] = best[size];
    const what = codec === data.codecs[data.ours] ? `tier ${point}` : `point ${point}`;
    const figures = [`${bpp.toFixed(4)} bpp`, `${metric.label} ${value.toFixed(metric.digits)}`];
    tip.textContent = [`${codec}, ${what}`, ...figures].join("\n");
    tip.hidden = ring.hidden = false;
    ring.style.left = `${x * 100}%`;
    ring.style.top = `${y * 100}%`;
    const left = Math.min(event.clientX + 16, innerWidth - tip.offsetWidth - 8);
    const top = event.clientY - tip.offsetHeight - 14;
    tip.style.transform = `translate(${Math.max(8, left)}px, ${Math.max(8, top)}px)`;
  });
  plot.addEventListener("pointerleave", hide);
  window.addEventListener("scroll", hide, { passive: true });
}

{
  const data = JSON.parse(document.getElementById("data").textContent);
  let viewer = null;
  const table = makeTable(data, (row) => viewer.open(row));
  viewer = makeViewer(data, PICTURES, (rows) => table.mark(rows));
  document.querySelectorAll("[role=tablist]").forEach(makeTabs);
  document.querySelectorAll(".curves").forEach((figure) => makeTips(figure, data));
}
