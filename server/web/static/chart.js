// Settlements a minute as an area, median latency as a dashed line, what happened as notes above them.

const LANES = 3;
const LANE = 20;
const box = document.getElementById("chart");
let plot = null;
let data = null;
let form = "";
let lanes = 0;
let placed = [];

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function options() {
  const quiet = { stroke: colour("--tertiary"), font: "12px " + colour("--font"), ticks: { show: false } };
  return {
    width: box.clientWidth,
    height: box.clientHeight,
    legend: { show: false },
    cursor: { y: false, drag: { x: false, y: false }, points: { show: false } },
    padding: [() => 10 + LANE * lanes, 4, 0, 4],
    tzDate: (seconds) => new Date((seconds + 8 * 3600 + new Date().getTimezoneOffset() * 60) * 1000),
    scales: {
      x: { time: true },
      settled: { range: (_, __, top) => [0, Math.max(4, Math.ceil(top * 1.1))] },
      latency: { range: (_, __, top) => [0, Math.max(1, top * 1.6)] },
    },
    axes: [
      { ...quiet, grid: { show: false }, size: 30, space: 80, values: (_, splits) => splits.map(hours) },
      { ...quiet, scale: "settled", size: 44, space: 32, grid: { stroke: colour("--line"), width: 1 }, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000] },
      { ...quiet, scale: "latency", side: 1, size: 52, space: 40, incrs: [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 28800, 86400], grid: { show: false }, values: (_, splits) => splits.map((s) => (s < 60 ? `${+s.toFixed(1)} s` : `${Math.round(s / 60)} min`)) },
    ],
    series: [
      {},
      { scale: "settled", stroke: colour("--teal"), fill: colour("--teal") + "22", width: 2, points: { show: false } },
      { scale: "settled", stroke: colour("--teal"), width: 0, points: { show: true, size: 7, width: 2, fill: colour("--card") } },
      { scale: "latency", stroke: colour("--tertiary"), dash: [5, 5], width: 1.5, spanGaps: true, points: { show: false } },
    ],
    hooks: { drawClear: [marks] },
  };
}

function hours(seconds) {
  return new Intl.DateTimeFormat("zh-CN", { timeZone: "Asia/Shanghai", hour: "2-digit", minute: "2-digit", hour12: false }).format(seconds * 1000);
}

// Notes are elements, not paint: they can be read, selected and translated like the rest. The newest gets its place
// first; one that finds no lane is left out of the picture.
function notes(u) {
  box.querySelector(".notes")?.remove();
  const list = box.appendChild(Object.assign(document.createElement("ol"), { className: "notes" }));
  const ends = Array(LANES).fill(Infinity);
  const placed = [];
  for (const note of [...data.notes].reverse()) {
    const x = u.valToPos(note.at, "x") + u.over.offsetLeft;
    const item = list.appendChild(document.createElement("li"));
    item.append(word("zh", note.text.zh), word("en", note.text.en));
    const left = Math.min(Math.max(x - item.offsetWidth / 2, 8), box.clientWidth - item.offsetWidth - 8);
    const lane = ends.findIndex((end) => left + item.offsetWidth + 12 <= end);
    if (lane < 0) { item.remove(); continue; }
    ends[lane] = left;
    item.style.left = `${left}px`;
    placed.push({ item, lane, x });
  }
  const used = Math.max(0, ...placed.map(({ lane }) => lane + 1));
  for (const { item, lane } of placed) item.style.top = `${LANE * (used - 1 - lane)}px`;
  if (used !== lanes) {
    lanes = used;
    u.setSize({ width: box.clientWidth, height: box.clientHeight });
  }
  return placed;
}

function marks(u) {
  const ratio = devicePixelRatio;
  u.ctx.save();
  u.ctx.strokeStyle = colour("--tertiary");
  u.ctx.setLineDash([2 * ratio, 4 * ratio]);
  u.ctx.lineWidth = ratio;
  for (const { item, x } of placed) {
    u.ctx.beginPath();
    u.ctx.moveTo(x * ratio, (item.offsetTop + LANE) * ratio);
    u.ctx.lineTo(x * ratio, u.bbox.top + u.bbox.height);
    u.ctx.stroke();
  }
  u.ctx.restore();
}

function word(name, text) {
  return Object.assign(document.createElement("span"), { className: name, textContent: text });
}

// The minute that still runs is a single point: it would look like a fall.
function columns({ minutes }) {
  const settled = minutes.map((minute) => minute.settled);
  const now = settled.length - 1;
  return [
    minutes.map((minute) => minute.at),
    settled.map((count, index) => (index < now ? count : null)),
    settled.map((count, index) => (index < now ? null : count)),
    minutes.map((minute) => minute.latency_s),
  ];
}

function place() {
  placed = notes(plot);
  plot.redraw(false);
}

export function draw(next = data) {
  if (!next) return;
  data = next;
  const now = document.documentElement.dataset.form + document.documentElement.dataset.words;
  if (plot && now === form) {
    plot.setData(columns(data));
  } else {
    plot?.destroy();
    form = now;
    plot = new window.uPlot(options(), columns(data), box);
  }
  place();
}

if (box) {
  new ResizeObserver(() => {
    if (!plot) return;
    plot.setSize({ width: box.clientWidth, height: box.clientHeight });
    place();
  }).observe(box);
}
