"use strict";
(async () => {
  const byId = (id) => document.getElementById(id);
  // The slices in the page first: from here on the browser is busy for a second or more. A hidden page paints nothing.
  if (!document.hidden) await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
  const data = JSON.parse(byId("data").textContent);
  const FLAT = data.flat;

  function fail(words) {
    byId("canvas").hidden = true;
    byId("error").textContent = words;
    byId("error").hidden = false;
    document.body.dataset.state = "static";
  }
  if (!document.createElement("canvas").getContext("webgl2")) {
    fail("This browser has no WebGL 2, which the interactive view needs: here are slices instead.");
    return;
  }

  const library = document.createElement("script");
  library.textContent = new TextDecoder().decode(await unpacked(bytesOf(byId("niivue").textContent), "gzip"));
  document.head.append(library);
  const viewer = new niivue.Niivue({
    backColor: [0, 0, 0, 1], show3Dcrosshair: !FLAT, crosshairWidth: 0.6, crosshairWidthUnit: "percent",
    crosshairColor: [0.8, 0.8, 0.8, 0.8],
    isRadiologicalConvention: true, isNearestInterpolation: false, loadingText: "", logLevel: "error",
    isOrientationTextVisible: true, fontMinPx: 16, multiplanarShowRender: niivue.SHOW_RENDER.NEVER,
    multiplanarLayout: niivue.MULTIPLANAR_TYPE.GRID,
  });
  // Without a graphics card a picture takes a while, and NiiVue draws one wherever something is set: not before all is
  // there, and the slices first, then the head in 3D.
  viewer.isBusy = true;
  await viewer.attachToCanvas(byId("canvas"));
  viewer.addColormap("hetero_difference", {
    R: [0, 247, 213], G: [114, 247, 94], B: [178, 247, 0], A: [255, 255, 255], I: [0, 128, 255],
  });

  // -- layers: decoded when first wanted; only those that are seen are handed to the graphics card -------------------
  const volumes = new Map();
  async function volumeOf(layer) {
    if (!volumes.has(layer.id)) {
      const colormap = { difference: "hetero_difference", entropy: "inferno", "mutual information": "inferno" }[layer.kind];
      const bytes = await niftiOf(layer, data.size);
      volumes.set(layer.id, await niivue.NVImage.loadFromUrl({
        url: bytes.buffer, name: `${layer.id}.nii`, colormap: colormap || "gray",
        cal_min: layer.low, cal_max: layer.high, colorbarVisible: false,
      }));
    }
    return volumes.get(layer.id);
  }
  const of = (...kinds) => data.layers.filter((layer) => kinds.includes(layer.kind));
  const backgrounds = of("image", "completed", "difference");
  const subsets = data.subsets;
  const state = {
    background: 0, subset: 0, regions: new Set(data.regions.map((region) => region.name)), shown: true, outline: true,
    opacity: 0.45, truth: false, map: "", view: "all",
  };

  const segmentation = () => data.layers.find(state.subset
    ? (layer) => layer.kind === "subset" && layer.subset === subsets[state.subset]
    : (layer) => layer.kind === "prediction");
  async function regionsOf(layer, style) {
    const volume = await volumeOf(layer);
    volume.setColormapLabel(colourTable(layer.places, data.regions.map((region) => (
      state.regions.has(region.name) ? { colour: region.colour, ...style } : { ...region, edge: 0, inside: 0 }
    ))));
    volume.opacity = 1;
    return volume;
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
    if (state.shown && state.regions.size) {
      const style = state.outline ? { edge: 1, inside: 0 } : { edge: state.opacity, inside: state.opacity };
      chosen.push(await regionsOf(segmentation(), style));
    }
    if (state.truth && state.regions.size) {
      chosen.push(await regionsOf(of("truth")[0], { edge: 1, inside: 0, colour: "#ffffff" }));
    }
    chosen[0].opacity = 1;
    viewer.volumes = chosen;
    viewer.back = chosen[0];
    viewer.overlays = chosen.slice(1);
    viewer.updateGLVolume();  // draws
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
  for (const { name, colour } of data.regions) {
    const label = document.createElement("label");
    const box = document.createElement("input");
    box.type = "checkbox"; box.checked = true; box.dataset.region = name;
    box.onchange = () => toggleRegion(name, box.checked);
    const swatch = document.createElement("span");
    swatch.className = "swatch"; swatch.style.background = colour;
    label.append(box, swatch, name);
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
    const segmented = segmentation();
    const places = segmented.places[await valueAt(segmented, voxel)] ?? "";
    const inside = data.regions.filter((_, number) => Number(places[number]) > 0).map((region) => region.name);
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

  // -- begin where the largest region is: the slices that the page has ready give way to the canvas ------------------
  async function drawn() {
    const { gl } = viewer;
    const fence = gl.fenceSync(gl.SYNC_GPU_COMMANDS_COMPLETE, 0);
    gl.flush();
    while (gl.getSyncParameter(fence, gl.SYNC_STATUS) !== gl.SIGNALED) await new Promise((done) => setTimeout(done, 10));
  }
  chooseBackground(0);
  chooseView(FLAT ? "axial" : "all");
  await wish;
  viewer.scene.crosshairPos = viewer.mm2frac(data.start);
  viewer.isBusy = false;
  viewer.drawScene();
  await drawn();
  byId("static").hidden = true;
  performance.mark("ready");
  if (!FLAT) {
    viewer.opts.multiplanarShowRender = niivue.SHOW_RENDER.ALWAYS;
    viewer.drawScene();
  }
  // For whoever tests or scripts the page.
  window.heteroViewer = { viewer, state, ready: () => wish.then(() => reading) };
  document.body.dataset.state = "ready";
  await readout();  // decodes every image
})().catch((error) => { document.body.dataset.state = "failed"; document.getElementById("error").textContent = String(error);
  document.getElementById("error").hidden = false; throw error; });
