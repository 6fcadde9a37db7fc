(function () {
  "use strict";
  const drawings = JSON.parse(document.getElementById("drawings").textContent);
  const narrow = window.matchMedia("(max-width: 820px)").matches;
  const touch = window.matchMedia("(pointer: coarse)").matches;
  const axis = { automargin: true, gridcolor: "#e3e8ec", zerolinecolor: "#b8c0c8", linecolor: "#8a949e", fixedrange: touch };
  const shared = {
    font: { family: "system-ui, sans-serif", size: 12, color: "#1a1f24" },
    margin: { l: 50, r: 12, t: 8, b: 44 },
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    hovermode: narrow ? "closest" : "x unified",
    hoverlabel: { font: { size: 12 } },
    legend: { orientation: "h", x: 0, y: 1.01, xanchor: "left", yanchor: "bottom", font: { size: 12 } },
    showlegend: true,
    dragmode: touch ? false : "zoom",
  };
  const config = { responsive: true, displaylogo: false, displayModeBar: false };

  function merged(own) {
    const layout = Object.assign({}, shared, own);
    for (const key of Object.keys(layout)) {
      if (/^[xy]axis\d*$/.test(key)) layout[key] = Object.assign({}, axis, layout[key]);
    }
    return layout;
  }

  function draw(node) {
    const drawing = drawings[node.dataset.key];
    return Plotly.newPlot(node, drawing.data, merged(drawing.layout), config).catch(function (error) {
      node.innerHTML = "";
      node.className = "failure";
      node.textContent = "This figure could not be drawn: " + error;
      throw error;
    });
  }

  const drawn = Array.from(document.querySelectorAll(".plot"), draw);
  Promise.all(drawn).then(function () { document.documentElement.dataset.drawn = String(drawn.length); });
})();
