"use strict";
// Charts in SVG. Each takes the element to draw into and plain data; text only ever enters as text nodes.

const COLORS = 8;
const YELLOW = 7;
const DASHES = ["", "7 3", "2 3", "9 3 2 3"];
const MISSING = "–";

/** A new element with attributes and children; strings become text. */
function make(space, name, attributes = {}, children = []) {
  const element = document.createElementNS(space, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}
const html = (name, attributes, children) => make("http://www.w3.org/1999/xhtml", name, attributes, children);
const svg = (name, attributes, children) => make("http://www.w3.org/2000/svg", name, attributes, children);


/** From the ninth variant on, dashes tell those of one color apart; yellow, darkened on white, is dashed from orange. */
const dash = (variant) => DASHES[(Math.floor(variant / COLORS) + (variant % COLORS === YELLOW)) % DASHES.length];
const known = (values) => values.filter((value) => value !== null);

/** As the tables write numbers: so many significant digits, all before the point, thin spaces between thousands. */
function number(value, digits = 5) {
  if (value === null) return MISSING;
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e9)) return value.toExponential(digits - 2).replaceAll("-", "−");
  const decimals = size === 0 ? 0 : Math.max(0, digits - 1 - Math.floor(Math.log10(size)));
  return value.toLocaleString("en", { maximumFractionDigits: decimals }).replaceAll(",", "\u202f").replace("-", "−");
}

/** Round values that cover a range: 1, 2 or 5 times a power of ten apart. */
function ticks([low, high], count) {
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((factor) => factor * power >= 0.8 * rough);
  const first = Math.ceil(low / step - 1e-9);
  return Array.from({ length: Math.floor(high / step + 1e-9) - first + 1 }, (_, i) => (first + i) * step)
    .map((value) => Number(value.toPrecision(12)));
}

function logTicks([low, high]) {
  const powers = [];
  for (let k = Math.floor(Math.log10(low)); k <= Math.ceil(Math.log10(high)); k++) powers.push(k);
  const factors = powers.length > 4 ? [1] : [1, 2, 5];
  return powers.flatMap((k) => factors.map((f) => f * 10 ** k)).filter((v) => v >= low && v <= high);
}

/** The range of the values, a little wider; never empty. */
function extent(values, log = false) {
  if (!values.length) return log ? [0.1, 1] : [0, 1];
  let low = Math.min(...values);
  let high = Math.max(...values);
  if (log) return low < high ? [low / 1.1, high * 1.1] : [low / 2, high * 2];
  const margin = (high - low) * 0.04 || Math.abs(high) * 0.1 || 1;
  return [low - margin, high + margin];
}

function scale([low, high], [start, end], log = false) {
  const place = log ? Math.log10 : (value) => value;
  const [a, b] = [place(low), place(high)];
  return (value) => start + ((place(value) - a) / (b - a)) * (end - start);
}

/** Axes with grid lines and labels in a new figure; returns what a chart needs to draw into it. */
function frame(host, { title, label, height, left = 62, right = 30, x, y }) {
  const width = Math.max(host.clientWidth, 280);
  const box = { left, right: width - right, top: 14, bottom: height - 44 };
  const picture = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label });
  const at = {
    x: scale(x.domain, [box.left, box.right]),
    y: scale(y.domain, [box.bottom, box.top], y.log),
  };
  for (const value of ticks(x.domain, Math.max(3, Math.floor((box.right - box.left) / 90)))) {
    const place = at.x(value).toFixed(1);
    picture.append(
      svg("line", { class: "grid", x1: place, x2: place, y1: box.top, y2: box.bottom }),
      svg("text", { x: place, y: box.bottom + 17, "text-anchor": "middle" }, [number(value)]),
    );
  }
  for (const value of y.names ? [] : y.log ? logTicks(y.domain) : ticks(y.domain, 6)) {
    const place = at.y(value).toFixed(1);
    picture.append(
      svg("line", { class: "grid", x1: box.left, x2: box.right, y1: place, y2: place }),
      svg("text", { x: box.left - 8, y: place, "text-anchor": "end", dy: ".32em" }, [number(value)]),
    );
  }
  const middle = (box.left + box.right) / 2;
  picture.append(svg("text", { x: middle, y: height - 8, "text-anchor": "middle" }, [x.label]));
  host.replaceChildren(html("figcaption", {}, [title]), picture);
  return { picture, box, at, width };
}

/** `M x y L x y ...`, lifted where a value is missing. */
function path(at, xs, ys) {
  let pen = "M";
  let drawn = "";
  xs.forEach((x, i) => {
    if (ys[i] === null) { pen = "M"; return; }
    drawn += `${pen}${at.x(x).toFixed(1)} ${at.y(ys[i]).toFixed(1)}`;
    pen = "L";
  });
  return drawn;
}

/** The area between low and high, one polygon for each stretch where both are known. */
function area(at, xs, lows, highs) {
  const stretches = [[]];
  xs.forEach((_, i) => {
    if (lows[i] === null || highs[i] === null) stretches.push([]);
    else stretches.at(-1).push(i);
  });
  const corner = (values) => (i) => `${at.x(xs[i]).toFixed(1)} ${at.y(values[i]).toFixed(1)}`;
  return stretches.filter((stretch) => stretch.length > 1)
    .map((s) => `M${[...s.map(corner(highs)), ...s.reverse().map(corner(lows))].join("L")}Z`).join("");
}

/** Curves with intervals and a crosshair. Series: {variant, name, x, y, low, high, seeds}. */
function curves(host, { title, series, xLabel, height = 340, log = false, seeds = false, yDomain = null }) {
  const drawable = log ? (values) => values.map((v) => (v > 0 ? v : null)) : (values) => values;
  const faint = (one) => (seeds ? Object.values(one.seeds ?? {}) : []);
  const shown = series.flatMap((one) => [one.y, one.low, one.high, ...faint(one)]).flatMap((v) => known(drawable(v)));
  const steps = [...new Set(series.flatMap((one) => one.x))].sort((a, b) => a - b);
  const x = { domain: steps.length > 1 ? [steps[0], steps.at(-1)] : extent(steps), label: xLabel };
  const y = { domain: yDomain ?? extent(shown, log), log };
  const label = `${title}: ${series.map((one) => one.name).join(", ")}. Arrow keys move from point to point.`;
  const { picture, box, at } = frame(host, { title, label, height, x, y });
  for (const one of series) {
    const group = svg("g", { class: `v${one.variant}`, "data-variant": one.variant });
    group.append(svg("path", { class: "band", d: area(at, one.x, drawable(one.low), drawable(one.high)) }));
    for (const seed of faint(one)) group.append(svg("path", { class: "seed", d: path(at, one.x, drawable(seed)) }));
    const line = { class: "line", d: path(at, one.x, drawable(one.y)), "stroke-dasharray": dash(one.variant) };
    group.append(svg("path", line));
    picture.append(group);
  }
  const cross = svg("line", { class: "cross", y1: box.top, y2: box.bottom, visibility: "hidden" });
  picture.append(cross);
  explore(picture, steps.map((step) => [at.x(step), null]), (i, near) => {
    cross.setAttribute("visibility", i === null ? "hidden" : "visible");
    if (i === null) return;
    cross.setAttribute("x1", near[0]);
    cross.setAttribute("x2", near[0]);
    const rows = series.map((one) => [one, one.x.indexOf(steps[i])]).filter(([, k]) => k >= 0)
      .map(([one, k]) => [one, number(one.y[k]), `[${number(one.low[k])}, ${number(one.high[k])}]`]);
    return { heading: `${xLabel} ${number(steps[i], 9)}`, rows };
  });
}

/** Point and interval per row, with reference lines. Rows: {variant, name, value, low, high, note}. */
function intervals(host, { title, rows, marks = [], xLabel, limit = null }) {
  const ends = rows.flatMap((row) => known([row.value, row.low, row.high])).concat(marks);
  let domain = extent(ends);
  if (limit) domain = [Math.max(domain[0], limit[0]), Math.min(domain[1], limit[1])];
  const longest = Math.max(...rows.map((row) => row.name.length), 4);
  const left = Math.min(24 + longest * 6.6, Math.max(host.clientWidth, 280) * 0.42);
  const height = 62 + rows.length * 26;
  const x = { domain, label: xLabel };
  const right = rows.some((row) => row.note) ? 24 + 6.6 * Math.max(...rows.map((row) => row.note.length)) : 30;
  const y = { domain: [0, 1], names: true };
  const { picture, box, at } = frame(host, { title, label: title, height, left, right, x, y });
  for (const mark of marks) {
    const place = at.x(mark);
    picture.append(svg("line", { class: "mark", x1: place, x2: place, y1: box.top, y2: box.bottom }));
  }
  const inside = (value) => Math.min(Math.max(at.x(value), box.left), box.right);
  const places = rows.map((row, i) => {
    const y = box.top + 13 + i * 26;
    const group = svg("g", { class: `v${row.variant}`, "data-variant": row.variant });
    const room = Math.floor((left - 16) / 6.6);
    const short = row.name.length > room ? `${row.name.slice(0, room - 1)}…` : row.name;
    const name = { class: "name", x: left - 10, y, "text-anchor": "end", dy: ".32em" };
    group.append(svg("text", name, [short, svg("title", {}, [row.name])]));
    if (row.note) group.append(svg("text", { class: "note", x: box.right + 14, y, dy: ".32em" }, [row.note]));
    if (row.value !== null) {
      if (row.low !== null && row.high !== null) {
        group.append(svg("line", { class: "whisker", x1: inside(row.low), x2: inside(row.high), y1: y, y2: y }));
        if (row.low < domain[0]) group.append(svg("path", { class: "arrow", d: `M${left - 2} ${y}l8 -5v10z` }));
        if (row.high > domain[1]) group.append(svg("path", { class: "arrow", d: `M${box.right + 2} ${y}l-8 -5v10z` }));
      }
      group.append(svg("circle", { class: "point", cx: inside(row.value), cy: y, r: 5 }));
    }
    picture.append(group);
    return [inside(row.value ?? domain[0]), y];
  });
  explore(picture, places, (i) => i === null ? null : {
    heading: rows[i].note ?? xLabel,
    rows: [[rows[i], number(rows[i].value), `[${number(rows[i].low)}, ${number(rows[i].high)}]`]],
  });
}

/** One mark per run. Points: {variant, name, seed, x, y}. */
function scatter(host, { title, points, xLabel, yLabel, height = 340 }) {
  const x = { domain: extent(points.map((point) => point.x)), label: xLabel };
  const y = { domain: extent(points.map((point) => point.y)) };
  const { picture, at } = frame(host, { title, label: `${title}: one point per run`, height, x, y });
  const circles = points.map((point) => svg("circle", {
    class: `point v${point.variant}`, "data-variant": point.variant, cx: at.x(point.x), cy: at.y(point.y), r: 5,
  }));
  picture.append(...circles);
  explore(picture, points.map((point) => [at.x(point.x), at.y(point.y)]), (i) => {
    circles.forEach((circle, k) => circle.classList.toggle("chosen", k === i));
    if (i === null) return;
    const { seed, x, y } = points[i];
    return { heading: `seed ${seed}`, rows: [[points[i], `${xLabel} ${number(x)}`, `${yLabel} ${number(y)}`]] };
  });
}

/** Shows what lies nearest to the pointer, or at the place that arrow keys moved to. Places: [x, y or null]. */
function explore(picture, places, choose) {
  const tip = document.getElementById("tip");
  let chosen = null;
  const show = (i) => {
    chosen = i;
    const found = choose(i, places[i]);
    tip.hidden = !found;
    if (!found) return;
    const rows = found.rows.map(([one, ...cells]) => html("tr", { "data-variant": one.variant }, [
      html("th", { scope: "row" }, [html("span", { class: `variant v${one.variant}` }, [one.name])]),
      ...cells.map((cell) => html("td", {}, [cell])),
    ]));
    tip.replaceChildren(html("strong", {}, [found.heading]), html("table", {}, rows));
    const frame = picture.getBoundingClientRect();
    const unit = frame.width / picture.viewBox.baseVal.width;
    const x = frame.left + places[i][0] * unit;
    const left = x + tip.offsetWidth + 16 < document.documentElement.clientWidth ? x + 12 : x - tip.offsetWidth - 12;
    const below = frame.top + (places[i][1] ?? 20) * unit + 12;
    const top = Math.min(below, innerHeight - tip.offsetHeight - 4);
    tip.style.transform = `translate(${Math.max(4, left)}px, ${Math.max(4, top)}px)`;
  };
  picture.addEventListener("pointermove", (event) => {
    const frame = picture.getBoundingClientRect();
    const unit = frame.width / picture.viewBox.baseVal.width;
    const [x, y] = [(event.clientX - frame.left) / unit, (event.clientY - frame.top) / unit];
    const far = ([a, b]) => Math.hypot(a - x, b === null ? 0 : b - y);
    if (places.length) show(places.reduce((best, place, i) => (far(place) < far(places[best]) ? i : best), 0));
  });
  picture.addEventListener("pointerleave", () => show(null));
  picture.addEventListener("blur", () => show(null));
  picture.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1 }[event.key];
    if (event.key === "Escape") show(null);
    if (!step || !places.length) return;
    event.preventDefault();
    show(chosen === null ? (step > 0 ? 0 : places.length - 1) : Math.min(Math.max(chosen + step, 0), places.length - 1));
  });
  picture.setAttribute("tabindex", "0");
}
