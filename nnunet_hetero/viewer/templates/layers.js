"use strict";
// From the text in the page to the bytes of NIfTI files, which NiiVue takes as they are.

function bytesOf(base64) {
  const letters = atob(base64);
  const bytes = new Uint8Array(letters.length);
  for (let at = 0; at < letters.length; at++) bytes[at] = letters.charCodeAt(at);
  return bytes;
}

async function unpacked(bytes, kind) {
  return new Uint8Array(await new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream(kind))).arrayBuffer());
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

// A layer as an unpacked NIfTI file; `size` is that of the grid, [x, y, z].
async function niftiOf(layer, size) {
  const bytes = bytesOf(layer.data);
  if (!layer.columns) return unpacked(bytes, "gzip");
  const pixels = await pixelsOf(bytes);
  const [nx, ny, nz] = size;
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
  return whole;
}

// The colours of a label map, by number, for NiiVue: each region is drawn over those before it.
// `regions`: [{colour, edge, inside}], colour as #rrggbb, opacities of its edge and its inside from 0 to 1.
function colourTable(places, regions) {
  const table = { R: [], G: [], B: [], A: [], labels: [] };
  for (const letters of places) {
    let colour = [0, 0, 0], opacity = 0;
    regions.forEach((region, number) => {
      const over = [0, region.inside, region.edge][Number(letters[number])];
      if (!over) return;
      const below = opacity * (1 - over);
      opacity = over + below;
      const ink = [1, 3, 5].map((at) => parseInt(region.colour.slice(at, at + 2), 16));
      colour = colour.map((value, at) => (ink[at] * over + value * below) / opacity);
    });
    ["R", "G", "B"].forEach((name, at) => table[name].push(Math.round(colour[at])));
    table.A.push(Math.round(255 * opacity));
    table.labels.push("");
  }
  return table;
}
