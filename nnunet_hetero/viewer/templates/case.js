"use strict";
(async () => {
  const byId = (id) => document.getElementById(id);
  const data = JSON.parse(byId("data").textContent);
  const EDGE = 2;
  const FLAT = data.flat;

  function fail(words) {
    byId("panes").hidden = true;
    byId("error").textContent = words;
    byId("error").hidden = false;
    byId("static").hidden = false;
    document.body.dataset.state = "static";
  }
  if (!document.createElement("canvas").getContext("webgl2")) {
    fail("This browser has no WebGL 2, which the interactive view needs: here are slices instead.");
    return;
  }

  const library = document.createElement("script");
  library.textContent = await new Response(
    new Blob([Uint8Array.from(atob(byId("niivue").textContent), (letter) => letter.charCodeAt(0))]).stream()
      .pipeThrough(new DecompressionStream("gzip"))
  ).text();
  document.head.append(library);
  const viewer = new niivue.Niivue({
    backColor: [0, 0, 0, 1], show3Dcrosshair: !FLAT, crosshairWidth: 0.25, crosshairColor: [0.8, 0.8, 0.8, 0.8],
    isRadiologicalConvention: true, isNearestInterpolation: false, loadingText: "", logLevel: "error",
    isOrientationTextVisible: true, fontMinPx: 16, multiplanarShowRender: FLAT ? 0 : 1,
  });
  await viewer.attachToCanvas(byId("canvas"));
  viewer.addColormap("hetero_difference", {
    R: [0, 247, 213], G: [114, 247, 94], B: [178, 247, 0], A: [255, 255, 255], I: [0, 128, 255],
  });

  // -- layers: decoded when first wanted; only those that are seen are handed to the graphics card -------------------
  const volumes = new Map();
  const bytesOf = (base64) => Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  async function unpacked(bytes, kind) {
    return new Uint8Array(await new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream(kind))).arrayBuffer());
  }
  function base64Of(bytes) {
    let text = "";
    for (let at = 0; at < bytes.length; at += 32768) text += String.fromCharCode(...bytes.subarray(at, at + 32768));
    return btoa(text);
  }
  // The pixels of a grey PNG file of 8 bits, by the PNG standard. A canvas would give them too, but some browsers change
  // what it gives, so that nobody is recognised by it.
  async function pixelsOf(png) {
    const view = new DataView(png.buffer);
    const parts = [];
    let width = 0, height = 0;
    for (let at = 8; at < png.length;) {
      const length = view.getUint32(at);
      const name = String.fromCharCode(...png.subarray(at + 4, at + 8));
      if (name === "IHDR") { width = view.getUint32(at + 8); height = view.getUint32(at + 12); }
      if (name === "IDAT") parts.push(png.subarray(at + 8, at + 8 + length));
      at += 12 + length;
    }
    const raw = await unpacked(await new Blob(parts).arrayBuffer(), "deflate");
    const pixels = new Uint8Array(width * height);
    for (let row = 0; row < height; row++) {
      const filter = raw[row * (width + 1)];
      for (let column = 0; column < width; column++) {
        const here = row * width + column;
        const left = column ? pixels[here - 1] : 0;
        const up = row ? pixels[here - width] : 0;
        let guess = 0;
        if (filter === 1) guess = left;
        else if (filter === 2) guess = up;
        else if (filter === 3) guess = (left + up) >> 1;
        else if (filter === 4) {
          const corner = row && column ? pixels[here - width - 1] : 0;
          const [a, b, c] = [Math.abs(up - corner), Math.abs(left - corner), Math.abs(left + up - 2 * corner)];
          guess = a <= b && a <= c ? left : b <= c ? up : corner;
        }
        pixels[here] = raw[row * (width + 1) + 1 + column] + guess;
      }
    }
    return pixels;
  }
  async function niftiOf(layer) {
    if (!layer.columns) return layer.data;
    const pixels = await pixelsOf(bytesOf(layer.data));
    const [nx, ny, nz] = data.size;
    const header = bytesOf(layer.header);
    const whole = new Uint8Array(header.length + nx * ny * nz);
    whole.set(header);
    for (let z = 0; z < nz; z++) {
      const corner = Math.floor(z / layer.columns) * ny * layer.columns * nx + (z % layer.columns) * nx;
      for (let y = 0; y < ny; y++) {
        const from = corner + y * layer.columns * nx;
        whole.set(pixels.subarray(from, from + nx), header.length + nx * (y + ny * z));
      }
    }
    return base64Of(whole);
  }
  async function volumeOf(layer) {
    if (!volumes.has(layer.id)) {
      const colormap = { difference: "hetero_difference", entropy: "inferno", "mutual information": "inferno" }[layer.kind];
      volumes.set(layer.id, await niivue.NVImage.loadFromBase64({
        base64: await niftiOf(layer), name: layer.id + (layer.columns ? ".nii" : ".nii.gz"), colormap: colormap || "gray",
        cal_min: layer.low, cal_max: layer.high, colorbarVisible: false,
      }));
    }
    return volumes.get(layer.id);
  }
  const of = (...kinds) => data.layers.filter((layer) => kinds.includes(layer.kind));
  const backgrounds = of("image", "completed", "difference");
  const subsets = data.subsets;
  const state = {
    background: 0, subset: 0, regions: new Set(data.regions), shown: true, outline: true, opacity: 0.45, truth: false,
    map: "", view: "all",
  };

  function colour(volume, hex, edge, inside) {
    const [red, green, blue] = [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
    volume.setColormapLabel({
      R: [0, red, red], G: [0, green, green], B: [0, blue, blue], A: [0, inside, edge], labels: ["", "", ""],
    });
    volume.opacity = 1;
  }

  function regionLayers() {
    const source = state.subset ? of("subset").filter((l) => l.subset === subsets[state.subset]) : of("prediction");
    return state.shown ? source.filter((layer) => state.regions.has(layer.region)) : [];
  }

  // One change at a time: layers are decoded in the background, and the last wish counts.
  let wish = Promise.resolve();
  const refresh = () => (wish = wish.then(draw));
  async function draw() {
    const chosen = [await volumeOf(backgrounds[state.background])];
    if (state.map) {
      const map = await volumeOf(data.layers.find((layer) => layer.id === state.map));
      map.opacity = 0.6;
      chosen.push(map);
    }
    for (const layer of regionLayers()) {
      const volume = await volumeOf(layer);
      const alpha = Math.round(255 * state.opacity);
      colour(volume, layer.colour, state.outline ? 255 : alpha, state.outline ? 0 : alpha);
      chosen.push(volume);
    }
    if (state.truth) {
      for (const layer of of("truth").filter((entry) => state.regions.has(entry.region))) {
        const volume = await volumeOf(layer);
        colour(volume, "#ffffff", 255, 0);
        chosen.push(volume);
      }
    }
    chosen[0].opacity = 1;
    viewer.volumes = chosen;
    viewer.back = chosen[0];
    viewer.overlays = chosen.slice(1);
    viewer.updateGLVolume();
    viewer.drawScene();
    if (window.heteroViewer) readout();
  }

  // -- what is chosen ---------------------------------------------------------------------------------------------
  function titleOf(layer) {
    return { image: layer.name, completed: `${layer.name}, completed`, difference: `${layer.name}, completed − acquired` }[layer.kind];
  }
  function chooseBackground(number) {
    state.background = (number + backgrounds.length) % backgrounds.length;
    const layer = backgrounds[state.background];
    [...byId("backgrounds").children].forEach((button, at) => button.setAttribute("aria-pressed", at === state.background));
    byId("mark").hidden = layer.kind === "image";
    byId("mark").textContent = layer.kind === "completed"
      ? `SYNTHETIC: ${layer.name} was completed by the network, it was not acquired`
      : `DIFFERENCE: ${layer.name}, completed less acquired`;
    refresh();
  }
  backgrounds.forEach((layer, number) => {
    const button = document.createElement("button");
    button.textContent = titleOf(layer);
    button.className = layer.kind === "image" ? "" : "synthetic";
    button.onclick = () => chooseBackground(number);
    byId("backgrounds").append(button);
  });

  function toggleRegion(name, on) { on ? state.regions.add(name) : state.regions.delete(name); refresh(); }
  for (const layer of of("prediction")) {
    const label = document.createElement("label");
    const box = document.createElement("input");
    box.type = "checkbox"; box.checked = true; box.dataset.region = layer.region;
    box.onchange = () => toggleRegion(layer.region, box.checked);
    const swatch = document.createElement("span");
    swatch.className = "swatch"; swatch.style.background = layer.colour;
    label.append(box, swatch, layer.region);
    byId("regions").append(label);
  }
  const maps = of("entropy", "mutual information");
  if (maps.length) {
    byId("maps-box").hidden = false;
    for (const [value, words] of [["", "none"], ...maps.map((layer) => [layer.id, layer.name])]) {
      const option = document.createElement("option");
      option.value = value; option.textContent = words;
      byId("maps").append(option);
    }
    byId("maps").onchange = (event) => {
      state.map = event.target.value;
      const layer = maps.find((entry) => entry.id === state.map);
      byId("scale").hidden = !layer;
      if (layer) {
        byId("scale-low").textContent = "0";
        byId("scale-high").textContent = `${layer.high.toFixed(2)} nats`;
        byId("scale-name").textContent = layer.name;
      }
      refresh();
    };
  }
  function chooseSubset(number) {
    state.subset = (number + subsets.length) % subsets.length;
    byId("subset").value = state.subset;
    byId("subset-name").textContent = subsets[state.subset];
    refresh();
  }
  if (subsets.length > 1) {
    byId("subset-box").hidden = false;
    byId("subset").max = subsets.length - 1;
    byId("subset").oninput = (event) => chooseSubset(Number(event.target.value));
    byId("subset-name").textContent = subsets[0];
  }
  byId("opacity").oninput = (event) => { state.opacity = event.target.value / 100; setOutline(false); };
  function setOutline(on) { state.outline = on; byId("outline").checked = on; refresh(); }
  byId("outline").onchange = (event) => setOutline(event.target.checked);
  if (of("truth").length) byId("truth-box").hidden = false;
  byId("truth").onchange = (event) => { state.truth = event.target.checked; refresh(); };
  byId("radiological").onchange = (event) => viewer.setRadiologicalConvention(event.target.checked);

  const views = {
    all: viewer.sliceTypeMultiplanar, axial: viewer.sliceTypeAxial, coronal: viewer.sliceTypeCoronal,
    sagittal: viewer.sliceTypeSagittal, render: viewer.sliceTypeRender,
  };
  function chooseView(name) {
    state.view = name;
    for (const button of byId("views").children) button.setAttribute("aria-pressed", button.dataset.view === name);
    viewer.setSliceType(views[name]);
  }
  for (const button of [...byId("views").children]) {
    if (FLAT && button.dataset.view !== "axial") button.remove();
    else button.onclick = () => chooseView(button.dataset.view);
  }

  // -- values at the crosshair: by our own arithmetic from millimetres, whichever way NiiVue turns an image -----------
  let place = data.start;
  function voxelAt(mm) {
    return [0, 1, 2].map((row) => Math.round(data.toVoxel[row].reduce((sum, factor, at) => sum + factor * (at < 3 ? mm[at] : 1), 0)));
  }
  async function valueAt(layer, voxel) {
    const volume = await volumeOf(layer);
    const [x, y, z] = voxel;
    const [nx, ny, nz] = data.size;
    if (x < 0 || y < 0 || z < 0 || x >= nx || y >= ny || z >= nz) return NaN;
    return volume.img[x + nx * (y + ny * z)] * volume.hdr.scl_slope + volume.hdr.scl_inter;
  }
  // One reading after the other, so that the last place stands at the end.
  let reading = Promise.resolve();
  const readout = () => (reading = reading.then(read));
  async function read() {
    const voxel = voxelAt(place);
    const rows = [["voxel", voxel.map((index, axis) => index + data.offset[axis]).join(", ")]];
    for (const layer of [...backgrounds, ...maps, ...of("probability")]) {
      const value = await valueAt(layer, voxel);
      rows.push([layer.region ? layer.name : titleOf(layer), Number(value.toPrecision(3)).toString()]);
    }
    const segmentation = state.subset ? of("subset").filter((l) => l.subset === subsets[state.subset]) : of("prediction");
    const inside = [];
    for (const layer of segmentation) if ((await valueAt(layer, voxel)) > 0) inside.push(layer.region);
    rows.push(["segmented as", inside.join(", ") || "none"]);
    byId("readout").replaceChildren(...rows.map(([what, value]) => {
      const row = document.createElement("tr");
      const head = document.createElement("th");
      const cell = document.createElement("td");
      head.textContent = what; cell.textContent = value;
      row.append(head, cell);
      return row;
    }));
  }
  viewer.onLocationChange = (location) => { place = Array.from(location.mm).slice(0, 3); readout(); };

  // -- keyboard ------------------------------------------------------------------------------------------------------
  const order = Object.keys(views);
  const keys = {
    m: () => chooseBackground(state.background + 1),
    M: () => chooseBackground(state.background - 1),
    o: () => { state.shown = !state.shown; refresh(); },
    l: () => setOutline(!state.outline),
    s: () => subsets.length > 1 && chooseSubset(state.subset + 1),
    v: () => !FLAT && chooseView(order[(order.indexOf(state.view) + 1) % order.length]),
    ArrowUp: () => step(1), ArrowDown: () => step(-1), PageUp: () => step(1), PageDown: () => step(-1),
  };
  function step(by) {
    const axis = { coronal: 1, sagittal: 0 }[state.view] ?? 2;
    const shift = [0, 0, 0];
    shift[axis] = by;
    viewer.moveCrosshairInVox(...shift);
  }
  document.addEventListener("keydown", (event) => {
    if (event.target.matches?.("input[type=range], select") || event.ctrlKey || event.metaKey || event.altKey) return;
    if (keys[event.key]) { event.preventDefault(); event.stopPropagation(); keys[event.key](); }
  }, true);

  // -- begin where the largest region is --------------------------------------------------------------------------
  chooseBackground(0);
  await wish;
  viewer.setMultiplanarLayout(2);  // a grid of two by two
  chooseView(FLAT ? "axial" : "all");
  viewer.scene.crosshairPos = viewer.mm2frac(data.start);
  viewer.drawScene();
  // For whoever tests or scripts the page.
  window.heteroViewer = { viewer, state, ready: () => wish.then(() => reading) };
  document.body.dataset.state = "ready";
  await readout();  // decodes every image
})().catch((error) => { document.body.dataset.state = "failed"; document.getElementById("error").textContent = String(error);
  document.getElementById("error").hidden = false; throw error; });
