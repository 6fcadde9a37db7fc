(function () {
  "use strict";
  const drawings = document.getElementById("drawings").textContent;
  const root = document.documentElement;
  const narrow = window.matchMedia("(max-width: 820px)").matches;
  const touch = window.matchMedia("(pointer: coarse)").matches;
  const axis = { automargin: true, gridcolor: "var(--grid)", zerolinecolor: "var(--axis)", linecolor: "var(--axis)", fixedrange: touch };
  const shared = {
    font: { family: "system-ui, sans-serif", size: 12, color: "var(--ink)" },
    margin: { l: 50, r: 12, t: 8, b: 44 },
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    hovermode: narrow ? "closest" : "x unified",
    hoverlabel: { font: { size: 12 }, bgcolor: "var(--card)" },
    legend: { orientation: "h", traceorder: "normal", x: 0, y: 1.01, xanchor: "left", yanchor: "bottom", font: { size: 12 } },
    showlegend: true,
    uirevision: "kept",
    dragmode: touch ? false : "zoom",
  };
  const config = { responsive: true, displaylogo: false, displayModeBar: false };

  function themed(text) {
    const style = getComputedStyle(root);
    return JSON.parse(text.replace(/"var\((--[a-z0-9-]+)\)"/g, (_, name) => JSON.stringify(style.getPropertyValue(name).trim())));
  }

  function merged(own) {
    const layout = Object.assign({}, themed(JSON.stringify(shared)), own);
    for (const key of Object.keys(layout)) {
      if (/^[xy]axis\d*$/.test(key)) layout[key] = Object.assign({}, themed(JSON.stringify(axis)), layout[key]);
    }
    return layout;
  }

  function draw() {
    const found = themed(drawings);
    return Array.from(document.querySelectorAll(".plot"), function (node) {
      const drawing = found[node.dataset.key];
      return Plotly.react(node, drawing.data, merged(drawing.layout), config).catch(function (error) {
        node.innerHTML = "";
        node.className = "failure";
        node.textContent = "This figure could not be drawn: " + error;
        throw error;
      });
    });
  }

  function onPaper(printing) {
    root.classList.toggle("paper", printing);
    draw();
  }

  const drawn = draw();
  Promise.all(drawn).then(function () { root.dataset.drawn = String(drawn.length); });
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  window.addEventListener("beforeprint", () => onPaper(true));
  window.addEventListener("afterprint", () => onPaper(false));
})();
