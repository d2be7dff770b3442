'use strict';
// The page can be read without this: it sorts, searches and compares.

function sortBy(button) {
  const head = button.closest('th');
  const table = head.closest('table');
  const column = head.cellIndex;
  const number = head.classList.contains('number');
  const first = number ? 'descending' : 'ascending';
  const other = number ? 'ascending' : 'descending';
  const order = head.getAttribute('aria-sort') === first ? other : first;
  for (const th of head.parentElement.cells) th.removeAttribute('aria-sort');
  head.setAttribute('aria-sort', order);
  const sign = order === 'ascending' ? 1 : -1;
  const value = (row) => {
    const cell = row.cells[column];
    if (!number) return cell.textContent;
    return cell.dataset.value === '' ? null : Number(cell.dataset.value);
  };
  const compare = (a, b) => {
    const [x, y] = [value(a), value(b)];
    // Rows without a score stay last.
    if (x === null || y === null) return (x === null) - (y === null);
    return sign * (number ? x - y : x.localeCompare(y));
  };
  const body = table.tBodies[0];
  body.append(...[...body.rows].sort(compare));
}

for (const button of document.querySelectorAll('.sortable th button')) {
  button.addEventListener('click', () => sortBy(button));
}

const search = document.getElementById('search');
const differing = document.getElementById('differing');
function filter() {
  const text = search.value.toLowerCase();
  let count = 0;
  for (const row of document.getElementById('config').tBodies[0].rows) {
    row.hidden = !row.textContent.toLowerCase().includes(text)
      || Boolean(differing && differing.checked
        && !row.classList.contains('differs'));
    count += !row.hidden;
  }
  document.getElementById('found').textContent = `${count} fields`;
}
search.addEventListener('input', filter);
if (differing) differing.addEventListener('change', filter);

const compare = document.querySelector('.compare');
if (compare) {
  const strips = document.querySelectorAll('.strips img');
  const layers = compare.querySelector('.layers');
  const [left, right, cut] = ['left', 'right', 'cut'].map(
    (id) => document.getElementById(id));
  const show = () => {
    // The left picture lies on the right one and is cut at the border.
    layers.replaceChildren(
      ...[right, left].map((choice) => strips[choice.value].cloneNode()));
  };
  const move = () => {
    compare.querySelector('.stack').style.setProperty('--cut', `${cut.value}%`);
  };
  left.addEventListener('change', show);
  right.addEventListener('change', show);
  cut.addEventListener('input', move);
  compare.hidden = false;
  show();
}
