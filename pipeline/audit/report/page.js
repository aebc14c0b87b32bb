"use strict";
(() => {
  const SUBPIXELS = 16, TAIL = 8, AHEAD = "300px", EDGE = 0.9;
  const palette = JSON.parse(document.getElementById("colours").textContent);
  const still = matchMedia("(prefers-reduced-motion: reduce)");
  let colouring = "weight";

  const bytes = (text) => Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  const shorts = (text) => {
    const view = new DataView(bytes(text).buffer);
    return Int16Array.from({ length: view.byteLength / 2 }, (_, place) => view.getInt16(2 * place, true));
  };
  const css = (colour) => `rgb(${colour.join(",")})`;

  /* One card's moving picture. Its frames are decoded when it comes near the screen, and let go when it is far. */
  class Player {
    constructor(box) {
      this.box = box;
      this.canvas = box.querySelector("canvas");
      this.button = box.querySelector(".play");
      this.slider = box.querySelector("input");
      this.output = box.querySelector("output");
      this.heads = [...box.querySelectorAll(".playhead")];
      this.data = null;
      this.sheet = null;
      this.place = 0;
      this.playing = false;
      this.near = false;
      this.button.addEventListener("click", () => this.toggle());
      this.canvas.addEventListener("click", () => this.toggle());
      this.canvas.addEventListener("keydown", (event) => this.key(event));
      this.slider.addEventListener("input", () => { this.pause(); this.show(Number(this.slider.value)); });
    }

    async come() {
      this.near = true;
      if (!this.data) this.data = this.unpack(JSON.parse(this.box.querySelector(".clip-data").textContent));
      if (!this.sheet) {
        const sheet = new Image();
        sheet.src = this.data.sprite;
        await sheet.decode();
        if (!this.near) return;  /* gone again meanwhile */
        this.sheet = sheet;
      }
      this.fit();
      this.show(this.place);
    }

    go() {
      this.near = false;
      this.pause();
      this.sheet = null;
    }

    unpack(data) {
      if (!data.tracks) return data;
      return {
        ...data,
        points: shorts(data.points),
        visible: bytes(data.visible),
        query: shorts(data.query),
        colours: {
          weight: [...bytes(data.weight)].map((level) => css(palette.ramp[level])),
          place: [...bytes(data.place)].map((level) => css(palette.rainbow[level])),
        },
      };
    }

    fit() {
      this.canvas.classList.toggle("wide", this.data.width >= this.data.height);
      const scale = Math.min(3, Math.max(2, devicePixelRatio || 1));
      this.canvas.width = Math.round(this.data.width * scale);
      this.canvas.height = Math.round(this.data.height * scale);
      this.scale = scale;
    }

    key(event) {
      const last = this.data ? this.data.frames.length - 1 : 0;
      const moves = { ArrowLeft: this.place - 1, ArrowRight: this.place + 1, Home: 0, End: last };
      if (event.key === " " || event.key === "Enter") this.toggle();
      else if (event.key in moves) { this.pause(); this.show(Math.min(last, Math.max(0, moves[event.key]))); }
      else return;
      event.preventDefault();
    }

    toggle() { if (this.playing) this.pause(); else this.play(); }

    async play() {
      if (this.playing) return;
      this.playing = true;
      this.button.textContent = "Pause";
      if (!this.sheet) await this.come();
      const started = performance.now(), first = this.place, count = this.data.frames.length;
      const step = (now) => {
        if (!this.playing) return;
        const place = (first + Math.floor(Math.max(0, now - started) / 1000 * this.data.rate)) % count;
        if (place !== this.place) this.show(place);
        requestAnimationFrame(step);
      };
      requestAnimationFrame(step);
    }

    pause() {
      this.playing = false;
      this.button.textContent = "Play";
    }

    show(place) {
      this.place = place;
      if (!this.sheet) return;
      const { width, height, columns, frames } = this.data;
      const context = this.canvas.getContext("2d");
      const left = place % columns * width, top = Math.floor(place / columns) * height;
      context.setTransform(1, 0, 0, 1, 0, 0);
      context.drawImage(this.sheet, left, top, width, height, 0, 0, this.canvas.width, this.canvas.height);
      if (this.data.tracks) this.tracks(context, place);
      this.slider.value = place;
      this.output.textContent = `frame ${frames[place]}`;
      const share = (frames[place] + 0.5) / this.data.num_frames;
      for (const head of this.heads) head.style.left = `${100 * share}%`;
    }

    point(place, track) {
      const at = 2 * (place * this.data.tracks + track);
      return [this.data.points[at] / SUBPIXELS + 0.5, this.data.points[at + 1] / SUBPIXELS + 0.5];
    }

    seen(place, track) {
      const bit = place * this.data.tracks + track;
      return (this.data.visible[bit >> 3] >> (bit & 7)) & 1;
    }

    tracks(context, place) {
      context.setTransform(this.scale, 0, 0, this.scale, 0, 0);
      context.lineCap = "round";
      const colours = this.data.colours[colouring], radius = this.data.tracks > 150 ? 1.9 : 2.5;
      for (let from = Math.max(0, place - TAIL); from < place; from++) this.tails(context, from, colours, 1 - (place - 1 - from) / TAIL);
      context.globalAlpha = 1;
      for (let track = 0; track < this.data.tracks; track++) this.cross(context, place, track, radius);
      for (let track = 0; track < this.data.tracks; track++) if (!this.seen(place, track)) this.ring(context, place, track, colours[track], radius);
      for (let track = 0; track < this.data.tracks; track++) if (this.seen(place, track)) this.dot(context, place, track, colours[track], radius);
    }

    tails(context, from, colours, strength) {
      const lines = new Map();
      const all = new Path2D();
      for (let track = 0; track < this.data.tracks; track++) {
        if (!this.seen(from, track) || !this.seen(from + 1, track)) continue;
        if (!lines.has(colours[track])) lines.set(colours[track], new Path2D());
        for (const path of [all, lines.get(colours[track])]) {
          path.moveTo(...this.point(from, track));
          path.lineTo(...this.point(from + 1, track));
        }
      }
      context.globalAlpha = 0.7 * strength;
      context.lineWidth = 1.1 + EDGE;
      context.strokeStyle = "#101014";
      context.stroke(all);
      context.globalAlpha = 0.9 * strength;
      context.lineWidth = 1.1;
      for (const [colour, path] of lines) { context.strokeStyle = colour; context.stroke(path); }
    }

    /* Dark under bright, a pixel wider on every side: a dot shows on a ground of any colour, its own too. */
    dot(context, place, track, colour, radius) {
      for (const [fill, size] of [["#101014", radius + EDGE], [colour, radius]]) {
        context.beginPath();
        context.arc(...this.point(place, track), size, 0, 2 * Math.PI);
        context.fillStyle = fill;
        context.fill();
      }
    }

    ring(context, place, track, colour, radius) {
      for (const [stroke, width] of [["#101014", 1.2 + 2 * EDGE], [colour, 1.2]]) {
        context.beginPath();
        context.arc(...this.point(place, track), radius, 0, 2 * Math.PI);
        context.strokeStyle = stroke;
        context.lineWidth = width;
        context.stroke();
      }
    }

    cross(context, place, track, radius) {
      if (this.data.query[3 * track] !== place) return;
      const x = this.data.query[3 * track + 1] / SUBPIXELS + 0.5, y = this.data.query[3 * track + 2] / SUBPIXELS + 0.5, arm = 2 * radius;
      for (const [stroke, width] of [["#101014", 1 + 2 * EDGE], ["#ffffff", 1]]) {
        context.beginPath();
        context.moveTo(x - arm, y); context.lineTo(x + arm, y);
        context.moveTo(x, y - arm); context.lineTo(x, y + arm);
        context.strokeStyle = stroke;
        context.lineWidth = width;
        context.stroke();
      }
    }
  }

  function setUpPlayers() {
    const players = new Map([...document.querySelectorAll(".player")].map((box) => [box, new Player(box)]));
    const together = document.getElementById("play-all");
    let all = false;
    const watcher = new IntersectionObserver((entries) => {
      for (const entry of entries) {
        const player = players.get(entry.target);
        if (entry.isIntersecting) player.come().then(() => { if (all) player.play(); });
        else player.go();
      }
    }, { rootMargin: AHEAD });
    for (const box of players.keys()) watcher.observe(box);
    together.addEventListener("click", () => {
      all = !all;
      together.textContent = all ? "Pause all" : "Play all in view";
      together.setAttribute("aria-pressed", String(all));
      for (const player of players.values()) if (player.near) { if (all) player.play(); else player.pause(); }
    });
    for (const radio of document.querySelectorAll('input[name="colour"]')) {
      radio.addEventListener("change", () => { colouring = radio.value; for (const player of players.values()) player.show(player.place); });
    }
    addEventListener("beforeprint", () => { for (const player of players.values()) if (!player.sheet) player.come(); });
    still.addEventListener("change", () => { if (still.matches) for (const player of players.values()) player.pause(); });
  }

  function setUpTables() {
    for (const table of document.querySelectorAll("table.sortable")) {
      const headings = [...table.tHead.rows[0].cells];
      headings.forEach((heading, column) => heading.querySelector("button").addEventListener("click", () => {
        const falling = heading.getAttribute("aria-sort") === "ascending";
        for (const other of headings) other.setAttribute("aria-sort", other === heading ? (falling ? "descending" : "ascending") : "none");
        sortRows(table, column, falling ? -1 : 1);
      }));
    }
  }

  function sortRows(table, column, direction) {
    const key = (row) => row.cells[column].dataset.sort;
    const compare = (first, second) => {
      if (first === "" || second === "") return (first === "") - (second === "");  /* what is unknown comes last, either way */
      const numbers = [Number(first), Number(second)];
      const order = numbers.some(Number.isNaN) ? first.localeCompare(second) : numbers[0] - numbers[1];
      return direction * order;
    };
    const rows = [...table.tBodies[0].rows].sort((first, second) => compare(key(first), key(second)));
    table.tBodies[0].append(...rows);
  }

  function setUpTheme() {
    document.getElementById("theme").addEventListener("click", () => {
      const set = document.documentElement.dataset.theme;
      const dark = set ? set === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
      document.documentElement.dataset.theme = dark ? "light" : "dark";
    });
  }

  /* A link to a folded section opens it, and paper shows all sections. */
  function setUpSections() {
    const folded = () => [...document.querySelectorAll("details.fold, details.group")].filter((each) => !each.open);
    const open = (hash) => {
      const section = hash.length > 1 && document.getElementById(decodeURIComponent(hash.slice(1)));
      const details = section && section.querySelector(":scope > details.fold");
      if (details) details.open = true;
    };
    for (const link of document.querySelectorAll("main > nav a")) link.addEventListener("click", () => open(link.hash));
    addEventListener("hashchange", () => open(location.hash));
    open(location.hash);
    let printed = [];
    addEventListener("beforeprint", () => { printed = folded(); for (const each of printed) each.open = true; });
    addEventListener("afterprint", () => { for (const each of printed) each.open = false; });
  }

  setUpSections();
  setUpTheme();
  setUpTables();
  setUpPlayers();
})();
