"""The page in Chromium: shown, sorted, searched, compared, by keyboard."""

import shutil

import pytest

from tests import report_runs
from uda_jax.report import page

CHROMIUM = shutil.which('chromium') or shutil.which('google-chrome')
DRIVER = shutil.which('chromedriver')
FLAGS = (
  'headless',
  'no-sandbox',
  'disable-gpu',
  'disable-quic',
  'no-first-run',
  'disable-background-networking',
  'disable-component-update',
  'disable-sync',
)

pytestmark = pytest.mark.skipif(
  not (CHROMIUM and DRIVER),
  reason='needs Chromium and ChromeDriver (Debian: chromium, chromium-driver)',
)


@pytest.fixture(scope='module')
def browser(tmp_path_factory):
  from selenium import webdriver
  from selenium.webdriver.chrome import service

  options = webdriver.ChromeOptions()
  options.binary_location = CHROMIUM
  for flag in FLAGS:
    options.add_argument(f'--{flag}')
  profile = tmp_path_factory.mktemp('profile')
  options.add_argument(f'--user-data-dir={profile}')
  options.set_capability('goog:loggingPrefs', {'browser': 'ALL'})
  driver = webdriver.Chrome(options, service.Service(DRIVER))
  yield driver
  driver.quit()


@pytest.fixture(scope='module')
def address(tmp_path_factory):
  folder = tmp_path_factory.mktemp('runs')
  report_runs.write(folder / 'source_only', 'source_only', seed=1)
  report_runs.write(folder / 'adapted')
  return page.write(
    [folder / 'source_only', folder / 'adapted'], folder / 'report.html'
  )


@pytest.fixture
def shown(browser, address):
  """The page as it opens, on a wide screen."""
  _screen(browser, 1200, 'light')
  browser.get(address)
  return browser


def _screen(browser, width, scheme):
  browser.execute_cdp_cmd(
    'Emulation.setDeviceMetricsOverride',
    {
      'width': width,
      'height': 800,
      'deviceScaleFactor': 1,
      'mobile': width < 500,
    },
  )
  feature = {'name': 'prefers-color-scheme', 'value': scheme}
  browser.execute_cdp_cmd('Emulation.setEmulatedMedia', {'features': [feature]})


def _press(browser, selector, *keys):
  browser.execute_script(
    'document.querySelector(arguments[0]).focus()', selector
  )
  browser.switch_to.active_element.send_keys(*keys)


def _rows(browser):
  return browser.execute_script(
    'return [...document.querySelectorAll("#by-class tbody tr")]'
    '.map(row => row.cells[0].textContent)'
  )


def test_no_error_and_all_pictures_visible(shown):
  shown.execute_script(
    'document.querySelectorAll("details").forEach(d => d.open = true)'
  )
  widths = shown.execute_script(
    'return [...document.images].map('
    'x => Math.min(x.naturalWidth, x.getBoundingClientRect().width))'
  )
  assert len(widths) >= 8 and min(widths) > 0
  charts = shown.execute_script(
    'return [...document.querySelectorAll("svg")].map('
    'x => x.getBoundingClientRect().height)'
  )
  assert len(charts) >= 6 and min(charts) > 50
  assert shown.get_log('browser') == []
  loaded = shown.execute_script(
    'return performance.getEntriesByType("resource").map(x => x.name)'
  )
  assert all(name.startswith('data:') for name in loaded)


def test_tables_sort_by_enter(shown):
  road, sky, car = report_runs.NAMES
  assert _rows(shown) == [road, sky, car]
  # IoU of the last column: 8/9, 3/4, none, which stays last.
  button = '#by-class th:last-child button'
  _press(shown, button, '\ue007')
  assert _rows(shown) == [road, sky, car]
  _press(shown, button, '\ue007')
  assert _rows(shown) == [sky, road, car]
  order = shown.execute_script(
    'return document.querySelector("#by-class th:last-child").ariaSort'
  )
  assert order == 'ascending'
  _press(shown, '#by-class th:first-child button', '\ue007', '\ue007')
  assert _rows(shown)[0] == car
  assert len(_rows(shown)) == 3


def test_the_config_is_searched(shown):
  shown.execute_script('document.querySelector(".config").open = true')
  _press(shown, '#search', 'THRESHOLD')
  names = shown.execute_script(
    'return [...document.querySelectorAll("#config tbody tr:not([hidden])")]'
    '.map(row => row.cells[0].textContent)'
  )
  assert 'method.threshold' in names and len(names) < 10
  assert all('threshold' in name for name in names)
  shown.find_element('id', 'search').clear()
  _press(shown, '#differing', ' ')
  left = shown.execute_script(
    'return [...document.querySelectorAll("#config tbody tr:not([hidden])")]'
    '.map(row => row.className)'
  )
  assert left and set(left) == {'differs'}


def test_the_border_moves_by_arrow(shown):
  cut = lambda: shown.execute_script(
    'return getComputedStyle(document.querySelector(".stack img + img"))'
    '.clipPath'
  )
  before = cut()
  _press(shown, '#cut', '\ue012', '\ue012')
  assert cut() != before
  value = shown.execute_script('return document.getElementById("cut").value')
  assert value == '48'
  sources = shown.execute_script(
    'return ["strips", "layers"].map(x => [...document.querySelectorAll('
    '"." + x + " img")].map(x => x.src))'
  )
  assert sources[1] == [sources[0][3], sources[0][2]]


def test_the_first_tab_skips_to_the_content(shown):
  shown.switch_to.active_element.send_keys('\ue004')
  assert shown.switch_to.active_element.get_attribute('class') == 'skip'
  shown.switch_to.active_element.send_keys('\ue007')
  assert shown.current_url.endswith('#main')


@pytest.mark.parametrize('width', [390, 1200])
def test_it_fits_light_and_dark_screens(shown, width):
  looks = []
  for scheme in ('light', 'dark'):
    _screen(shown, width, scheme)
    shown.execute_script(
      'document.querySelectorAll("details").forEach(d => d.open = true)'
    )
    content, window, ground, ink, axis = shown.execute_script(
      'const look = getComputedStyle(document.body);'
      'const text = document.querySelector("svg text");'
      'const root = document.documentElement;'
      'return [root.scrollWidth, root.clientWidth, look.backgroundColor,'
      ' look.color, getComputedStyle(text).fill]'
    )
    assert content == window <= width
    assert axis == ink
    looks.append((ground, ink))
  (light, dark_ink), (dark, light_ink) = looks
  assert light != dark and dark_ink != light_ink
