"use strict";
(() => {
  const report = JSON.parse(document.getElementById("report").textContent);
  const NAMES = { roc_auc: "ROC AUC", pr_auc: "average precision", log_loss: "log loss", brier: "Brier score", accuracy: "accuracy", f1: "F1", mae: "mean absolute error", rmse: "root mean squared error", mape: "mean absolute percentage error" };
  const ROOMS = ["release", "gates", "tournament", "autopilot"];
  const DAY = 86400000;
  const LENGTH = { months: 30 * DAY, weeks: 7 * DAY, days: DAY };
  const metric = report.metric;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const calm = matchMedia("(prefers-reduced-motion: reduce)");
  const family = getComputedStyle(document.body).fontFamily; // "inherit" is no part of a canvas or SVG font
  const known = (of) => metric === "roc_auc" && of.lower !== null; // the interval is the area's
  let chosen = "weeks";
  let charts = [];

  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
  const escaped = (text) => String(text).replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
  const shown = (value) => (value === null || value === undefined ? "–" : value.toFixed(3));
  // Calendar text ("2013-03", "2013-03-04") has no zone; moments are drawn at their day in the report's own calendar.
  const atStart = (text) => Date.parse(text.length === 7 ? text + "-01T00:00:00Z" : text + "T00:00:00Z");
  const parts = new Intl.DateTimeFormat("en-GB", { timeZone: report.timezone, year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
  const atMoment = (text) => {
    const p = Object.fromEntries(parts.formatToParts(new Date(text)).map((part) => [part.type, part.value]));
    return Date.UTC(+p.year, +p.month - 1, +p.day, +p.hour, +p.minute);
  };
  const dated = (time, options) => new Date(time).toLocaleDateString("en-GB", { timeZone: "UTC", ...options });
  const wrapped = (text) => `<div style="max-width:20rem;white-space:normal">${text}</div>`;

  function tooltip() {
    return { confine: true, backgroundColor: colour("sheet"), borderColor: colour("line"), textStyle: { color: colour("ink"), fontSize: 13, fontFamily: family } };
  }

  function model(name, which, dashed) {
    const shade = colour(which);
    const centre = LENGTH[chosen] / 2;
    const spans = report[chosen].map((span) => ({ time: atStart(span.start) + centre, of: span[which] }));
    const dots = chosen === "days" ? 0 : 6;
    const band = (points, stack, opacity) => ({
      type: "line", data: points, stack: which + stack, symbol: "none", silent: true, lineStyle: { opacity: 0 },
      areaStyle: opacity ? { color: shade, opacity } : undefined, stackStrategy: "all", tooltip: { show: false }, z: 1, connectNulls: false,
    });
    return [
      band(spans.map(({ time, of }) => [time, known(of) ? of.lower : null]), "band", 0),
      band(spans.map(({ time, of }) => [time, known(of) ? of.upper - of.lower : null]), "band", chosen === "days" ? 0.1 : 0.17),
      {
        name, type: "line", data: spans.map(({ time, of }) => [time, of[metric]]), symbol: which === "governed" ? "circle" : "diamond", symbolSize: dots, showSymbol: dots > 0,
        color: shade, lineStyle: { width: chosen === "days" ? 1.25 : 2.25, type: dashed ? [6, 4] : "solid" }, z: dashed ? 3 : 4,
      },
    ];
  }

  function champions(narrow) {
    // The first version is released before the year begins: its line would stand beside the picture.
    const promoted = report.releases.filter((release) => release.promoted_at && atMoment(release.promoted_at) > atMoment(report.since));
    const undone = report.releases.filter((release) => release.outcome === "rolled_back");
    // What was undone is named below its line: it often stands close to the promotion before it.
    const line = (time, mark, shade, position) => ({ xAxis: atMoment(time), lineStyle: { color: shade }, label: { formatter: mark, color: shade, position } });
    return {
      type: "line", data: [], silent: true,
      markLine: {
        symbol: "none", silent: true, animation: false, lineStyle: { type: "solid", width: 1.25, opacity: 0.75 }, label: { fontSize: narrow ? 10 : 12, distance: 4 },
        data: [
          ...promoted.map((release) => line(release.promoted_at, "v" + release.version, colour("quiet"), "end")),
          ...undone.map((release) => line(release.ended_at || release.opened_at, "v" + release.version + " ✗", colour("bad"), "start")),
        ],
      },
    };
  }

  function decisions(narrow) {
    const shades = { autopilot: colour("governed"), gates: colour("good"), tournament: colour("bad"), release: colour("alone") };
    const shapes = { autopilot: "triangle", gates: "rect", tournament: "diamond", release: "circle" };
    return ROOMS.map((room) => ({
      name: room, type: "scatter", xAxisIndex: 1, yAxisIndex: 1, symbol: shapes[room], symbolSize: narrow ? 8 : 10, itemStyle: { color: shades[room], opacity: 0.8 },
      data: report.decision_log.filter((line) => line.room === room).map((line) => ({ value: [atMoment(line.at), room], line })),
      tooltip: {
        trigger: "item",
        formatter: ({ data: { line } }) => wrapped(`<b>${escaped(line.action.replaceAll("_", " "))}</b> · ${escaped(line.rule)} · ${escaped(line.id)}<br>${dated(atMoment(line.at), { day: "numeric", month: "short", year: "numeric" })}<br>${escaped(line.words)}`),
      },
    }));
  }

  function spanTooltip(rows) {
    const time = rows.find((row) => row.seriesName === "governed" || row.seriesName === "left alone")?.value[0];
    if (time === undefined) return "";
    const span = report[chosen].find((each) => atStart(each.start) + LENGTH[chosen] / 2 === time);
    if (!span) return "";
    const long = { months: "", weeks: "week of ", days: "" }[chosen];
    const when = chosen === "months" ? dated(atStart(span.start), { month: "long", year: "numeric" }) : long + dated(atStart(span.start), { day: "numeric", month: "short", year: "numeric" });
    const row = (label, of, shade) => `<tr><td style="color:${shade};padding-right:1em">${label}</td><td><b>${shown(of[metric])}</b>${!known(of) ? "" : ` (${shown(of.lower)}–${shown(of.upper)})`}</td></tr>`;
    return `${when} · ${span.n.toLocaleString("en-GB")} outcomes<table>${row("governed", span.governed, colour("governed"))}${row("left alone", span.alone, colour("alone"))}</table>answered by ${escaped(Object.keys(span.answered_by).join(", ") || "–")}`;
  }

  function bounds() {
    const values = report[chosen].flatMap((span) => [span.alone, span.governed]).flatMap((of) => [of[metric], metric === "roc_auc" ? of.lower : null, metric === "roc_auc" ? of.upper : null]).filter((v) => v !== null && v !== undefined);
    if (!values.length || metric !== "roc_auc") return { scale: true };
    // The middle 98 % decides, so that one thin day does not flatten the rest.
    values.sort((a, b) => a - b);
    const low = values[Math.floor(values.length * 0.01)], high = values[Math.ceil(values.length * 0.99) - 1];
    const interval = high - low > 0.25 ? 0.1 : 0.05;
    return { interval, min: Math.max(0, Math.floor(low / interval) * interval), max: Math.min(1, Math.ceil(high / interval) * interval) };
  }

  function timeline(element) {
    const chart = echarts.init(element, null, { renderer: "svg" });
    const narrow = element.clientWidth < 640;
    const left = narrow ? 44 : 70, strip = 92;
    const span = [atMoment(report.since), atMoment(report.until)];
    const axis = { type: "time", min: span[0], max: span[1], axisLine: { lineStyle: { color: colour("line") } }, splitLine: { show: false } };
    const labels = { color: colour("quiet"), fontSize: narrow ? 11 : 12, hideOverlap: true, formatter: (time) => (new Date(time).getUTCDate() === 1 ? dated(time, { month: "short" }) : "") };
    chart.setOption({
      animation: !calm.matches, animationDuration: 300, textStyle: { fontFamily: family }, aria: { enabled: false },
      tooltip: { ...tooltip(), trigger: "axis", formatter: spanTooltip, axisPointer: { type: "line", lineStyle: { color: colour("quiet") } } },
      grid: [{ left, right: 16, top: 26, bottom: strip + 52 }, { left, right: 16, height: strip, bottom: 28 }],
      xAxis: [
        { ...axis, gridIndex: 0, axisLabel: { show: false }, axisTick: { show: false } },
        { ...axis, gridIndex: 1, minInterval: 27 * DAY, axisLabel: labels, axisTick: { lineStyle: { color: colour("line") } }, axisPointer: { show: false } },
      ],
      yAxis: [
        { type: "value", gridIndex: 0, ...bounds(), name: narrow ? "" : NAMES[metric], nameLocation: "middle", nameGap: 44, nameTextStyle: { color: colour("quiet") }, axisLabel: { color: colour("quiet"), formatter: (v) => v.toFixed(2) }, splitLine: { lineStyle: { color: colour("line") } } },
        { type: "category", gridIndex: 1, data: ROOMS, axisLabel: { color: colour("quiet"), fontSize: narrow ? 9 : 12, margin: 6 }, axisTick: { show: false }, axisLine: { show: false }, splitLine: { show: true, lineStyle: { color: colour("line") } } },
      ],
      series: [...model("left alone", "alone", true), ...model("governed", "governed", false), champions(narrow), ...decisions(narrow)],
    });
    return chart;
  }

  function heat(element) {
    const { features, weeks, distances } = report.drift;
    const narrow = element.clientWidth < 640;
    element.style.height = `${features.length * (narrow ? 20 : 23) + 70}px`;
    const chart = echarts.init(element, null, { renderer: "svg" });
    const cells = distances.flatMap((row, f) => row.map((value, w) => [w, features.length - 1 - f, value])).filter((cell) => cell[2] !== null);
    const most = Math.max(0.1, Math.ceil(Math.max(...cells.map((cell) => cell[2])) * 20) / 20);
    const names = [...features].reverse();
    // One hue, growing away from the page: order is seen without telling colours apart.
    const ramp = dark.matches ? ["#1b2630", "#2b4a63", "#3f7ba8", "#7dbdf0", "#e3f2ff"] : ["#f1f5f9", "#bcd6ec", "#6fa8d6", "#1f6fb2", "#08315c"];
    const first = (index) => index === 0 || weeks[index].slice(0, 7) !== weeks[index - 1].slice(0, 7);
    chart.setOption({
      animation: false, textStyle: { fontFamily: family },
      tooltip: { ...tooltip(), formatter: ({ value }) => `<b>${escaped(names[value[1]])}</b><br>week of ${dated(atStart(weeks[value[0]]), { day: "numeric", month: "short", year: "numeric" })}<br>distance ${shown(value[2])}` },
      grid: { left: narrow ? 88 : 112, right: 16, top: 6, bottom: 62 },
      xAxis: { type: "category", data: weeks, axisTick: { show: false }, axisLine: { show: false }, axisLabel: { color: colour("quiet"), interval: (i) => first(i) && i > 0, formatter: (week) => dated(atStart(week), { month: "short" }), fontSize: narrow ? 11 : 12, hideOverlap: true } },
      yAxis: { type: "category", data: names, axisTick: { show: false }, axisLine: { show: false }, axisLabel: { color: colour("ink"), fontSize: narrow ? 10.5 : 12, interval: 0 } },
      visualMap: { min: 0, max: most, calculable: false, orient: "horizontal", left: "center", bottom: 4, itemWidth: 12, itemHeight: narrow ? 130 : 200, inRange: { color: ramp }, text: [most.toFixed(2), "0"], textStyle: { color: colour("quiet") } },
      series: [{ type: "heatmap", data: cells, itemStyle: { borderColor: colour("sheet"), borderWidth: 1 }, emphasis: { itemStyle: { borderColor: colour("ink"), borderWidth: 1.5 } } }],
    });
    return chart;
  }

  function draw() {
    charts.forEach((chart) => chart.dispose());
    charts = [timeline(document.getElementById("timeline"))];
    const map = document.getElementById("drift");
    if (map) charts.push(heat(map));
  }

  function pressed(selector, act) {
    const buttons = document.querySelectorAll(selector);
    buttons.forEach((button) => button.addEventListener("click", () => {
      buttons.forEach((each) => each.setAttribute("aria-pressed", String(each === button)));
      act(button.dataset);
    }));
  }

  pressed("[data-spans]", ({ spans }) => { chosen = spans; draw(); });
  pressed("button[data-room]", ({ room }) => {
    document.querySelectorAll("li[data-room]").forEach((line) => { line.hidden = room !== "" && line.dataset.room !== room; });
  });
  document.querySelectorAll("[data-spans]").forEach((button) => { button.hidden = report[button.dataset.spans].length === 0; });
  dark.addEventListener("change", draw);
  let waiting;
  addEventListener("resize", () => { clearTimeout(waiting); waiting = setTimeout(draw, 150); });
  draw();
})();
