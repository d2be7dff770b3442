"""A server on 127.0.0.1 that speaks the hub's protocol, with its faults."""

import base64
import contextlib
import hashlib
import http.server
import json
import re
import threading

from huggingface_hub import constants

_TEMPLATE = '/{repo_id}/resolve/{revision}/{filename}'
_RESOLVE = re.compile(r'/([^/]+/[^/]+)/resolve/([^/]+)/(.+)')
_API = re.compile(r'/api/models/([^/]+/[^/]+?)(?:/(\w+)/(\w+))?')


def commit_of(files):
  """Returns the commit of a repository's files."""
  return hashlib.sha1(repr(sorted(files.items())).encode()).hexdigest()


class Hub(http.server.ThreadingHTTPServer):
  """Repositories by name, each as {path: bytes} of its branch `main`.

  Attributes:
    repos: the repositories.
    private: names of those that need the token.
    public: names of those that were made public.
    token: the only one that is right.
    truncated: whether downloads end too early.
    status: of every answer, 0 = the right one.
    requests: (method, path) of all requests.
    tokens: those that came with the requests.
  """

  def __init__(self):
    super().__init__(('127.0.0.1', 0), _Handler)
    self.repos, self.private, self.public = {}, set(), set()
    self.token, self.truncated, self.status = 'hf_secret', False, 0
    self.requests, self.tokens = [], set()

  @property
  def url(self):
    return f'http://127.0.0.1:{self.server_port}'


class _Handler(http.server.BaseHTTPRequestHandler):
  server: Hub

  def log_message(self, *_):
    pass

  def _answer(self, status=200, content=b'', **headers):
    if not isinstance(content, bytes):
      content = json.dumps(content).encode()
    self.send_response(status)
    for name, value in headers.items():
      self.send_header(name.replace('_', '-'), value)
    self.send_header('Content-Length', str(len(content)))
    self.end_headers()
    if self.command != 'HEAD':
      cut = len(content) // 2 if self.server.truncated else len(content)
      self.wfile.write(content[:cut])
      self.close_connection = True

  def _refused(self, repo):
    """Answers for the hub where it gives nothing; returns whether it did."""
    hub = self.server
    token = self.headers.get('Authorization', '').removeprefix('Bearer ')
    hub.requests.append((self.command, self.path))
    hub.tokens.add(token)
    if hub.status:
      self._answer(hub.status)
    elif repo is not None and (
      repo not in hub.repos or (repo in hub.private and token != hub.token)
    ):
      self._answer(401, X_Error_Code='RepoNotFound')
    else:
      return False
    return True

  def do_HEAD(self):
    self.do_GET()

  def do_GET(self):
    hub = self.server
    if match := _API.fullmatch(self.path):
      if not self._refused(match[1]):
        private = match[1] in hub.private
        self._answer(content={'id': match[1], 'private': private})
      return
    match = _RESOLVE.fullmatch(self.path)
    if self._refused(match[1] if match else None):
      return
    if match is None:
      self._answer(404)
      return
    repo, revision, file = match.groups()
    files = hub.repos[repo]
    commit = commit_of(files)
    if revision not in ('main', commit):
      self._answer(404, X_Error_Code='RevisionNotFound')
    elif file not in files:
      self._answer(404, X_Error_Code='EntryNotFound', X_Repo_Commit=commit)
    else:
      etag = hashlib.sha256(files[file]).hexdigest()
      self._answer(200, files[file], ETag=f'"{etag}"', X_Repo_Commit=commit)

  def do_POST(self):
    body = self.rfile.read(int(self.headers['Content-Length']))
    match = _API.fullmatch(self.path)
    if self._refused(match[1] if match else None):
      return
    if self.path == '/api/validate-yaml':
      self._answer(content={'warnings': [], 'errors': []})
    elif self.path == '/api/repos/create':
      self._create(json.loads(body))
    elif match[2] == 'preupload':
      files = [
        {'path': f['path'], 'uploadMode': 'regular', 'shouldIgnore': False}
        for f in json.loads(body)['files']
      ]
      self._answer(content={'files': files})
    else:
      self._commit(match[1], body)

  def _create(self, asked):
    hub = self.server
    repo = f'{asked["organization"]}/{asked["name"]}'
    if self.headers.get('Authorization') != f'Bearer {hub.token}':
      self._answer(401)
    elif repo in hub.repos:
      self._answer(409, {'url': f'{hub.url}/{repo}'})
    else:
      hub.repos[repo] = {}
      private = asked.get('private') or asked.get('visibility') == 'private'
      (hub.private if private else hub.public).add(repo)
      self._answer(content={'url': f'{hub.url}/{repo}'})

  def _commit(self, repo, body):
    hub = self.server
    for line in map(json.loads, body.splitlines()):
      if line['key'] == 'file':
        value = line['value']
        hub.repos[repo][value['path']] = base64.b64decode(value['content'])
    commit = commit_of(hub.repos[repo])
    url = f'{hub.url}/{repo}/commit/{commit}'
    self._answer(content={'commitUrl': url, 'commitOid': commit})


def use(hub, folder, monkeypatch):
  """Makes the client in this process use a server and an empty cache."""
  values = {
    'ENDPOINT': hub.url,
    'HUGGINGFACE_CO_URL_TEMPLATE': hub.url + _TEMPLATE,
    'HF_HUB_CACHE': str(folder / 'cache'),
    'HF_TOKEN_PATH': str(folder / 'token'),
  }
  for name, value in values.items():
    monkeypatch.setattr(constants, name, value)
  monkeypatch.delenv('HF_TOKEN', raising=False)


@contextlib.contextmanager
def serving():
  """Yields a running server."""
  with Hub() as hub:
    thread = threading.Thread(
      target=hub.serve_forever, args=(0.02,), daemon=True
    )
    thread.start()
    yield hub
    hub.shutdown()
    thread.join()
