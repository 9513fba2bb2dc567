/** Where the markers of a timeline and their words stand, so that none covers another. Pure: in pixels. */

export const ROWS = 3;
/** Half of the room that a dot takes. */
const DOT = 5;
/** Room between a dot and its words, and after them. */
const GAP = 7;

/** Width of a picture that each call update takes with its words: with less room, updates are ticks. */
const UPDATE_PX = 90;

/** Kinds whose words come first where there is no room for all. */
const RANK = { fault: 0, lost: 1, cut: 2, filler: 3, note: 4, keys: 5, key: 6, update: 7 };

/** Return which markers are drawn as ticks: marks, several a second, and the updates of a long call, which leave faults no room. */
export function ticksAmong(markers, width) {
  const isCrowded = markers.filter(({ kind }) => kind === "update").length > width / UPDATE_PX;
  return ({ kind }) => kind === "mark" || (isCrowded && kind === "update");
}

/**
 * Return where each marker stands: `{one, x, row, label}`. `label`: {x, align}, or null where its words have no room.
 * `markers`: `{x, kind, label}`, `widthOf`: of words; the picture goes from `left` to `right`.
 */
export function placeMarkers(markers, { left, right, widthOf }) {
  const taken = Array.from({ length: ROWS }, () => []);
  const isFree = (row, from, to) => taken[row].every(([first, last]) => to <= first || from >= last);
  // All dots first, so that no words cover one.
  const inOrder = [...markers].sort((a, b) => (RANK[a.kind] ?? 9) - (RANK[b.kind] ?? 9) || a.x - b.x);
  const placed = inOrder.map((one) => placeDot(one, taken, isFree));
  for (const place of placed) place.label = placeWords(place, widthOf(place.one.label), { left, right, taken, isFree });
  return placed;
}

function placeDot(one, taken, isFree) {
  const rows = [...taken.keys()];
  const row = rows.find((each) => isFree(each, one.x - DOT, one.x + DOT)) ?? ROWS - 1;
  taken[row].push([one.x - DOT, one.x + DOT]);
  return { one, x: one.x, row, label: null };
}

/** Place the words of a dot beside it. Where they have no room, the dot goes to another row that has it. */
function placeWords(place, width, { left, right, taken, isFree }) {
  const { one, x } = place;
  const sides = [
    { from: x + DOT, to: x + GAP + width + GAP, x: x + GAP, align: "left" },
    { from: x - GAP - width - GAP, to: x - DOT, x: x - GAP, align: "right" },
  ];
  // The word of a key is its digit, which stands behind its dot or not at all.
  const inSight = sides.slice(0, one.kind === "key" ? 1 : 2).filter(({ from, to }) => from >= left - GAP && to <= right + GAP);
  const others = [...taken.keys()].filter((row) => row !== place.row && isFree(row, x - DOT, x + DOT));
  for (const row of [place.row, ...(one.kind === "key" ? [] : others)]) {
    const side = inSight.find(({ from, to }) => isFree(row, from, to));
    if (!side) continue;
    taken[row].push([side.from, side.to]);
    if (row !== place.row) {
      taken[place.row] = taken[place.row].filter(([from, to]) => from !== x - DOT || to !== x + DOT);
      taken[row].push([x - DOT, x + DOT]);
      place.row = row;
    }
    return { x: side.x, align: side.align };
  }
  return null;
}
