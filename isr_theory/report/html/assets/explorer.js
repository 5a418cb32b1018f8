// The explorer: PRINTED has the formulas, as sympy prints them; here they are asked and shown.

const POINTS = 240;
const STEPS = 60;

// log ESS/n, minus infinity where the second moment is infinite.
function logEss(law, gamma, sigma2, T) {
  return law.finite(2 * gamma, sigma2) > 0 ? law.logEss(gamma, sigma2, T) : -Infinity;
}

// The largest gamma in [0, 1] with ESS/n at least rho: ESS falls in gamma, so halving finds it.
function exactGamma(law, sigma2, T, rho) {
  const enough = (gamma) => logEss(law, gamma, sigma2, T) >= Math.log(rho);
  if (enough(1)) return 1;
  let [low, high] = [0, 1];
  for (let step = 0; step < STEPS; step++) {
    const middle = (low + high) / 2;
    if (enough(middle)) low = middle;
    else high = middle;
  }
  return low;
}

function explore(key, sigma2, rho, T, n) {
  const law = PRINTED.laws[key];
  const gammaClosed = PRINTED.gammaClosed(sigma2, T, rho);
  const essClosed = Math.exp(logEss(law, gammaClosed, sigma2, T));
  const fourth = law.finite(4 * gammaClosed, sigma2) > 0;
  return {
    gammaClosed,
    essClosed,
    rowsClosed: n * essClosed,
    gammaExact: exactGamma(law, sigma2, T, rho),
    kl: law.kl(sigma2, T),
    klReverse: law.klReverse(sigma2, T),
    activation: PRINTED.activation(rho),
    excess: fourth ? law.excess(gammaClosed, sigma2, T) / n : Infinity,
    coverage: gammaClosed < 1 ? PRINTED.coverage[n] : 1,
  };
}

const sentences = {
  en: (a, rho) =>
    `The closed form chooses gamma = ${show(a.gammaClosed)}; this law keeps ` +
    `ESS/n = ${show(a.essClosed)}, ${a.essClosed >= rho - 1e-9 ? "which meets" : "which misses"} ` +
    `${rho}. The exact gamma is ${show(a.gammaExact)}.`,
  zh: (a, rho) =>
    `闭式给出 γ = ${show(a.gammaClosed)}；该分布下 ESS/n = ${show(a.essClosed)}，` +
    `${a.essClosed >= rho - 1e-9 ? "达到" : "未达到"}目标 ${rho}。精确 γ 为 ${show(a.gammaExact)}。`,
};

function show(value) {
  if (!Number.isFinite(value)) return "∞";
  if (value !== 0 && Math.abs(value) < 1e-3) return value.toExponential(2);
  return String(Number(value.toPrecision(4)));
}

// Past this the first order in 1/n says more than there can be.
function shownAnswer(name, value, answers) {
  return name === "excess" && !(value <= 1 - answers.essClosed) ? "—" : show(value);
}

function settings() {
  const value = (id) => Number(byId(id).value);
  const T = 2 ** value("length");
  const n = 2 ** value("size");
  return { key: byId("law").value, sigma2: value("sigma2"), rho: value("rho"), T, n };
}

let chart = null;
function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

// ESS/n over gamma, with the two gammas among the places so that their marks stand on the curve.
function curves({ key, sigma2, rho, T }, answers) {
  const law = PRINTED.laws[key];
  const marks = [answers.gammaClosed, answers.gammaExact];
  const places = Array.from({ length: POINTS + 1 }, (_, k) => k / POINTS);
  const gammas = [...new Set([...places, ...marks])].sort((a, b) => a - b);
  const ess = (of) => gammas.map((gamma) => Math.exp(logEss(of, gamma, sigma2, T)));
  const own = ess(law);
  const only = (mark) => own.map((value, k) => (gammas[k] === mark ? value : null));
  const target = gammas.map(() => rho);
  return [gammas, own, ess(PRINTED.laws.normal), target, ...marks.map(only)];
}

function newChart(data) {
  const holder = byId("chart");
  if (chart) chart.destroy();
  const axis = (label) => ({
    label,
    labelSize: 22,
    stroke: colour("--ink"),
    grid: { stroke: colour("--line"), width: 1 },
    ticks: { stroke: colour("--line"), width: 1 },
  });
  const line = (name, more) => ({ stroke: colour(name), width: 2.5, points: { show: false }, ...more });
  const mark = (name, size) => ({
    stroke: colour(name),
    width: 0,
    points: { show: true, size, fill: colour(name), stroke: colour(name) },
  });
  const options = {
    width: holder.clientWidth,
    height: 300,
    cursor: { show: false },
    legend: { show: false },
    scales: { x: { time: false, range: [0, 1] }, y: { range: [0, 1.02] } },
    axes: [axis("γ"), axis("ESS/n")],
    series: [
      {},
      line("--curve"),
      line("--other", { dash: [8, 5], width: 1.5 }),
      line("--target", { dash: [2, 4], width: 2 }),
      mark("--closed", 11),
      mark("--exact", 8),
    ],
  };
  chart = new uPlot(options, data, holder);
}

function update({ rebuild = false } = {}) {
  const most = PRINTED.laws[byId("law").value].largest;
  byId("sigma2").max = most;
  const now = settings();
  const answers = explore(now.key, now.sigma2, now.rho, now.T, now.n);
  byId("value-sigma2").value = now.sigma2;
  byId("value-rho").value = now.rho;
  byId("value-length").value = now.T;
  byId("value-size").value = now.n;
  // A slider that runs in powers of 2 says the power otherwise.
  byId("length").setAttribute("aria-valuetext", String(now.T));
  byId("size").setAttribute("aria-valuetext", String(now.n));
  for (const [name, value] of Object.entries(answers)) {
    const place = byId(`answer-${name}`);
    place.value = String(value);
    place.textContent = shownAnswer(name, value, answers);
  }
  const said = sentences[document.documentElement.dataset.language](answers, now.rho);
  byId("explorer-said").textContent = said;
  byId("chart").setAttribute("aria-label", said);
  const data = curves(now, answers);
  if (!chart || rebuild) newChart(data);
  else chart.setData(data);
}

byId("explorer").addEventListener("input", () => update());
byId("explorer").addEventListener("submit", (event) => event.preventDefault());
document.addEventListener("language", () => update());
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => update({ rebuild: true }));
new ResizeObserver(() => chart && chart.setSize({ width: byId("chart").clientWidth, height: 300 }))
  .observe(byId("chart"));

speak((navigator.language || "en").startsWith("zh") ? "zh" : "en");
follow();
