// The page: what is picked, and everything that follows from it. Nothing is stored, nothing leaves the page.

const data = JSON.parse(document.getElementById("data").textContent);
const by = (id) => document.getElementById(id);
const picked = { hidden: new Set(), printing: false };
const NAMES = { "-1": "Over all tasks, normalized" };
const taskName = (task) => NAMES[task] ?? data.tasks[task];

const isPicked = (task) => picked.printing || by("task").value === "" || by("task").value === String(task);
const isShown = (one) => !picked.hidden.has(one.variant);
const named = (one) => ({ ...one, name: data.variants[one.variant] });

/** One chart per picked task that has any of these items, or per part of it; a line of text when there is none. */
function charts(id, items, draw, part = () => "") {
  const host = by(id);
  if (!host) return;
  const groups = new Map();
  for (const item of items.filter((one) => isPicked(one.task)).sort((a, b) => a.task - b.task)) {
    const key = `${item.task} ${part(item)}`;
    groups.set(key, [...(groups.get(key) ?? []), named(item)]);
  }
  const figures = [...groups].map(() => html("figure", { class: "chart" }));
  host.replaceChildren(...(figures.length ? figures : [html("p", { class: "none" }, ["Nothing for this choice."])]));
  [...groups.values()].forEach((group, i) => draw(figures[i], taskName(group[0].task), group));
}

function drawCurves() {
  const tag = by("tag")?.value;
  const bands = data.bands.filter((band) => band.tag === tag);
  const positive = bands.every((band) => known(band.y).every((value) => value > 0));
  if (by("log")) by("log").disabled = !positive;
  charts("curve-charts", bands, (host, title, items) => curves(host, {
    title: `${title} · ${tag}`, xLabel: "step", series: items.filter(isShown),
    log: positive && by("log").checked, seeds: by("seeds").checked,
  }));
}

/** Intervals with their verdicts; only the verdicts in words where there is nothing to measure. */
function drawForest(host, chart) {
  if (chart.rows.some((row) => row.value !== null)) return intervals(host, chart);
  const verdicts = [...new Set(chart.rows.map((row) => row.note))].join(", ");
  host.replaceChildren(html("figcaption", {}, [chart.title]), html("p", { class: "none" }, [verdicts || "all hidden"]));
}

function drawAll() {
  const metric = by("metric").value;
  const ofMetric = (items) => items.filter((item) => item.metric === metric);
  drawCurves();
  charts("recovery-charts", ofMetric(data.recoveries), (host, title, items) => drawForest(host, {
    title: `${title} · ${data.metrics[metric]} · gain of ${items[0].of}`, xLabel: "recovered share of the gain",
    marks: [0, 1], limit: [-1.5, 2.5], rows: items.filter(isShown),
  }), (item) => item.of);
  const statistic = by("statistic")?.value;
  const estimates = ofMetric(data.estimates).filter((item) => item.statistic === statistic);
  charts("estimate-charts", estimates, (host, title, items) => intervals(host, {
    title: `${title} · ${data.statistics[statistic]} of ${data.metrics[metric]}`, rows: items.filter(isShown),
    xLabel: items[0].normalized ? "normalized" : "return",
  }));
  charts("improvement-charts", ofMetric(data.improvements), (host, title, items) => intervals(host, {
    title: `${title} · ${data.metrics[metric]}`, xLabel: "probability of improvement over the baseline", marks: [0.5],
    rows: items.filter(isShown),
  }));
  charts("profile-charts", data.profiles, (host, title, items) => curves(host, {
    title, xLabel: "normalized score τ", yDomain: [0, 1], height: 300, series: items.filter(isShown),
  }));
  const tag = by("measured")?.value;
  const measured = ofMetric(data.associations).filter((item) => item.tag === tag);
  charts("smoothness-charts", measured, (host, title, [found]) => scatter(host, {
    title: `${title} · ρ = ${number(found.spearman.value, 2)} [${number(found.spearman.low, 2)}, ` +
      `${number(found.spearman.high, 2)}]`,
    xLabel: tag, yLabel: data.metrics[metric],
    points: found.points.filter((p) => p.x !== null && p.y !== null).map(named).filter(isShown),
  }));
  for (const each of document.querySelectorAll("main [data-task]")) {
    each.hidden = !isPicked(each.dataset.task) || (each.dataset.metric ?? metric) !== metric;
  }
  for (const table of document.querySelectorAll("table.sortable:not(.runs)")) {
    table.parentElement.hidden = [...table.tBodies].every((body) => body.hidden);
  }
}

function buildLegend() {
  data.variants.forEach((name, variant) => {
    const pressed = String(!picked.hidden.has(variant));
    const line = svg("line", { class: "swatch", x1: 0, x2: 22, y1: 5, y2: 5, "stroke-dasharray": dash(variant) });
    const swatch = svg("svg", { class: `v${variant}`, viewBox: "0 0 22 10", "aria-hidden": "true" }, [line]);
    const button = html("button", { type: "button", "aria-pressed": pressed, "data-variant": variant }, [swatch, name]);
    button.addEventListener("click", () => {
      const hide = !picked.hidden.delete(variant);
      if (hide) picked.hidden.add(variant);
      button.setAttribute("aria-pressed", String(!hide));
      remember();
      drawAll();
    });
    by("legend").append(button);
  });
}

function buildPickers() {
  const tags = { tag: data.bands, measured: data.associations };
  for (const [id, items] of Object.entries(tags)) {
    for (const tag of new Set(items.map((item) => item.tag))) by(id).append(html("option", { value: tag }, [tag]));
  }
  by("task").parentElement.hidden = by("task").options.length < 3;
  for (const control of CHOICES.map(by).filter(Boolean)) {
    control.addEventListener("change", () => {
      remember();
      filterRuns();
      drawAll();
    });
  }
}

/** Sorts the rows below each group's heading; a second press turns the order; what is missing stays last. */
function sortBy(header) {
  const table = header.closest("table");
  const down = header.getAttribute("aria-sort") === "ascending";
  for (const other of table.querySelectorAll("th[aria-sort]")) other.removeAttribute("aria-sort");
  header.setAttribute("aria-sort", down ? "descending" : "ascending");
  const key = (row) => row.cells[header.cellIndex].dataset.value ?? row.cells[header.cellIndex].textContent.trim();
  const amount = (text) => (text === "inf" ? Infinity : text === "" ? NaN : Number(text));
  for (const body of table.tBodies) {
    const rows = [...body.rows].filter((row) => !row.classList.contains("group"));
    const numeric = header.classList.contains("num") && rows.some((row) => !Number.isNaN(amount(key(row))));
    rows.sort((a, b) => {
      if (!numeric) return key(a).localeCompare(key(b), "en", { numeric: true }) * (down ? -1 : 1);
      const [x, y] = [amount(key(a)), amount(key(b))];
      if (Number.isNaN(x) || Number.isNaN(y)) return Number.isNaN(x) - Number.isNaN(y);
      return x === y ? 0 : (x < y ? -1 : 1) * (down ? -1 : 1);
    });
    body.append(...rows);
  }
}

function filterRuns() {
  const wanted = picked.printing ? "" : by("status").value;
  const rows = [...document.querySelectorAll(".runs tbody tr")];
  for (const row of rows) row.hidden = wanted !== "" && row.dataset.status !== wanted;
  by("shown").textContent = `${rows.filter((row) => !row.hidden).length} of ${rows.length} runs`;
}

function isDark() {
  const theme = document.documentElement.dataset.theme;
  return theme ? theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

function setTheme(theme) {
  if (theme) document.documentElement.dataset.theme = theme;
  by("theme").textContent = isDark() ? "Light" : "Dark";
  by("theme").setAttribute("aria-label", `Switch to the ${isDark() ? "light" : "dark"} theme`);
}

const CHOICES = ["task", "metric", "tag", "statistic", "measured", "status", "seeds", "log"];

/** Keeps the choices with this entry of the tab's history: a page that loads itself again comes back as it was. */
function remember() {
  const choices = CHOICES.map(by).filter(Boolean).map((one) => [one.id, one.checked ?? one.value]);
  const hidden = [...picked.hidden].map((variant) => data.variants[variant]);
  history.replaceState({ choices, hidden, theme: document.documentElement.dataset.theme }, "");
}

function recall() {
  const { choices = [], hidden = [], theme } = history.state ?? {};
  for (const [id, value] of choices) {
    const control = by(id);
    if (typeof value === "boolean") control.checked = value;
    else if ([...(control?.options ?? [])].some((option) => option.value === value)) control.value = value;
  }
  for (const name of hidden) if (data.variants.includes(name)) picked.hidden.add(data.variants.indexOf(name));
  setTheme(theme);
}

async function copy(button) {
  const source = by(button.dataset.copies);
  getSelection().selectAllChildren(source); // where the browser refuses the clipboard, the text is at least selected
  try {
    await navigator.clipboard.writeText(source.textContent);
    button.textContent = "Copied";
  } catch {
    button.textContent = "Selected";
  }
}

function print(printing) {
  picked.printing = printing;
  for (const details of document.querySelectorAll(printing ? "details:not([open])" : "details.unfolded")) {
    details.open = printing;
    details.classList.toggle("unfolded", printing);
  }
  filterRuns();
  drawAll();
}

for (const control of document.querySelectorAll(".control")) control.hidden = false;
buildPickers();
recall();
buildLegend();
filterRuns();
drawAll();
by("theme").addEventListener("click", () => {
  setTheme(isDark() ? "light" : "dark");
  remember();
});
for (const header of document.querySelectorAll(".sortable thead th")) {
  header.firstElementChild.addEventListener("click", () => sortBy(header));
}
for (const button of document.querySelectorAll(".copy")) button.addEventListener("click", () => copy(button));
addEventListener("beforeprint", () => print(true));
addEventListener("afterprint", () => print(false));
let width = innerWidth;
addEventListener("resize", () => {
  if (innerWidth !== width) drawAll();
  width = innerWidth;
});
