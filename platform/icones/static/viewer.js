// Deep zoom of a plate, its figures' boxes, and drawing a new box. Starts on every [data-viewer]; without it the plate
// is a still image that links to the full one. Boxes are per cent of the image ("pct:x,y,w,h", Wikidata's P2677).

let library;

/** Load OpenSeadragon once, from the address the page gives. */
function load(address) {
  library ??= new Promise((resolve, reject) => {
    // OpenSeadragon adds a style element unless it finds its own, and the page's security policy forbids inline styles.
    // An element of that name outside HTML satisfies it and styles nothing; components.css has the rule.
    const stand = document.createElementNS("urn:icones", "style");
    stand.setAttribute("data-openseadragon-mobile-css", "true");
    document.head.append(stand);
    const script = document.createElement("script");
    script.src = address;
    script.onload = () => resolve(window.OpenSeadragon);
    script.onerror = () => reject(new Error("the viewer could not be loaded"));
    document.head.append(script);
  });
  return library;
}

const VIEWER_KEYS = new Set(["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "+", "=", "-", "_", "0"]);

function options(OpenSeadragon, plate, canvas) {
  return {
    element: canvas,
    drawer: "canvas", // the WebGL drawer cannot show images of another host
    tileSources: { type: "image", url: plate.dataset.image, crossOriginPolicy: false },
    showNavigationControl: false,
    visibilityRatio: 0.6,
    minZoomImageRatio: 0.8,
    maxZoomPixelRatio: 4,
    animationTime: matchMedia("(prefers-reduced-motion: reduce)").matches ? 0 : 0.5,
    gestureSettingsMouse: { clickToZoom: false, dblClickToZoom: true, scrollToZoom: plate.hasAttribute("data-scroll-zoom") },
    gestureSettingsTouch: { clickToZoom: false, dblClickToZoom: true, pinchToZoom: true },
  };
}

/** The rectangle of a box in the viewer's own units, in which the image is 1 wide. */
function rectangle(viewer, box) {
  const size = viewer.world.getItemAt(0).getContentSize();
  const [x, y, w, h] = box.replace("pct:", "").split(",").map(Number);
  const tall = size.y / size.x;
  return new window.OpenSeadragon.Rect(x / 100, (y / 100) * tall, w / 100, (h / 100) * tall);
}

function showBoxes(viewer, plate) {
  for (const rect of plate.querySelectorAll(".plate-still rect[data-box]")) {
    const element = document.createElement("div");
    element.className = rect.classList.contains("other") ? "figure-box other" : "figure-box";
    viewer.addOverlay({ element, location: rectangle(viewer, rect.dataset.box) });
  }
  const current = plate.querySelector(".plate-still rect[data-box]:not(.other)");
  if (current) {
    const rect = rectangle(viewer, current.dataset.box);
    const room = Math.max(rect.width, rect.height) * 0.25;
    viewer.viewport.fitBounds(
      new window.OpenSeadragon.Rect(rect.x - room, rect.y - room, rect.width + 2 * room, rect.height + 2 * room), true);
  }
}

function connectTools(viewer, plate) {
  const act = {
    "zoom-in": () => viewer.viewport.zoomBy(1.5).applyConstraints(),
    "zoom-out": () => viewer.viewport.zoomBy(1 / 1.5).applyConstraints(),
    whole: () => viewer.viewport.goHome(),
    "full-screen": () => (document.fullscreenElement ? document.exitFullscreen() : plate.requestFullscreen()),
  };
  const tools = plate.querySelector(".plate-tools");
  tools.hidden = false;
  tools.addEventListener("click", (event) => act[event.target.closest("button")?.dataset.act]?.());
}

/** Let people drag a box on the plate; the form's x, y, w and h fields take it, and typing there moves the box. */
function connectDrawing(viewer, plate) {
  const button = plate.querySelector('[data-act="draw"]');
  const form = document.querySelector(`form[data-box-for="${plate.id}"]`);
  if (!button || !form) return;
  const fields = ["x", "y", "w", "h"].map((name) => form.elements[name]);
  const element = document.createElement("div");
  element.className = "figure-box drawing";
  let start = null;

  const place = () => {
    const box = fields.map((field) => Number(field.value));
    if (!(box[2] > 0 && box[3] > 0)) return viewer.removeOverlay(element);
    const location = rectangle(viewer, box.join(","));
    if (viewer.getOverlayById(element)) viewer.updateOverlay(element, location);
    else viewer.addOverlay({ element, location });
  };
  const point = (position) => {
    const size = viewer.world.getItemAt(0).getContentSize();
    const at = viewer.viewport.pointFromPixel(position);
    const bound = (value) => Math.min(100, Math.max(0, value * 100));
    return [bound(at.x), bound((at.y * size.x) / size.y)];
  };
  const drawing = (on) => {
    button.setAttribute("aria-pressed", String(on));
    viewer.setMouseNavEnabled(!on);
    tracker.setTracking(on);
    plate.classList.toggle("plate-drawing", on);
  };
  const tracker = new window.OpenSeadragon.MouseTracker({
    element: viewer.canvas,
    startDisabled: true,
    pressHandler: (event) => { start = point(event.position); },
    dragHandler: (event) => {
      if (!start) return;
      const end = point(event.position);
      const box = [Math.min(start[0], end[0]), Math.min(start[1], end[1]), Math.abs(end[0] - start[0]), Math.abs(end[1] - start[1])];
      fields.forEach((field, i) => { field.value = box[i].toFixed(1); });
      place();
    },
    dragEndHandler: () => {
      start = null;
      setTimeout(() => drawing(false)); // after the tracker has finished with this pointer
      form.closest("details")?.setAttribute("open", "");
      form.querySelector("[type=submit]")?.focus();
    },
  });
  button.hidden = false;
  button.addEventListener("click", () => drawing(button.getAttribute("aria-pressed") !== "true"));
  fields.forEach((field) => field.addEventListener("input", place));
}

async function start(plate) {
  if (plate.dataset.started) return;
  plate.dataset.started = "yes";
  const stage = plate.querySelector(".plate-stage");
  const canvas = document.createElement("div");
  canvas.className = "plate-canvas";
  try {
    const OpenSeadragon = await load(plate.dataset.library);
    stage.append(canvas);
    const viewer = OpenSeadragon(options(OpenSeadragon, plate, canvas));
    viewer.canvas.setAttribute("role", "application");
    viewer.canvas.setAttribute("aria-label", plate.dataset.label);
    viewer.addHandler("canvas-key", (event) => {
      const { key, ctrlKey, metaKey } = event.originalEvent;
      // Letters belong to the page's own shortcuts, not to OpenSeadragon's (r rotates, f flips there).
      event.preventDefaultAction = ctrlKey || metaKey || !VIEWER_KEYS.has(key);
    });
    viewer.addHandler("open", () => {
      plate.classList.add("plate-live");
      showBoxes(viewer, plate);
      connectTools(viewer, plate);
      connectDrawing(viewer, plate);
    });
    viewer.addHandler("open-failed", () => { viewer.destroy(); canvas.remove(); });
  } catch (problem) {
    canvas.remove(); // the still image stays
    console.warn(problem);
  }
}

function startAll(scope) {
  if (scope.matches?.("[data-viewer]")) start(scope);
  for (const plate of scope.querySelectorAll("[data-viewer]")) start(plate);
}

startAll(document);
document.addEventListener("htmx:load", (event) => startAll(event.detail.elt));
