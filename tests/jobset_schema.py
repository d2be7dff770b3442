"""What the Kubernetes API takes of the fields that launch/jobset.sh writes.

From the types of jobset.x-k8s.io/v1alpha2, batch/v1 and core/v1: a type, a
tuple of the values, or the fields of an object (`*`: required) or of the items
of a list.
"""

_CONTAINER = {
  'name*': str,
  'image': str,
  'command': [str],
  'args': [str],
  'resources': {'limits': dict},
  'volumeMounts': [{'name*': str, 'mountPath*': str}],
}
_POD = {
  'restartPolicy': ('Never',),  # with podFailurePolicy
  'terminationGracePeriodSeconds': int,
  'containers*': [_CONTAINER],
  'volumes': [
    {
      'name*': str,
      'persistentVolumeClaim': {'claimName*': str},
      'emptyDir': {'medium': ('', 'Memory')},
    }
  ],
}
_EXIT_CODES = {
  'containerName': str,
  'operator*': ('In', 'NotIn'),
  'values*': [int],
}
_JOB = {
  'parallelism': int,
  'completions': int,
  'completionMode': ('NonIndexed', 'Indexed'),
  'backoffLimit': int,
  'podFailurePolicy': {
    'rules*': [
      {
        'action*': ('FailJob', 'FailIndex', 'Ignore', 'Count'),
        'onExitCodes': _EXIT_CODES,
      }
    ]
  },
  'template*': {'spec': _POD},
}
JOBSET = {
  'apiVersion*': ('jobset.x-k8s.io/v1alpha2',),
  'kind*': ('JobSet',),
  'metadata*': {'name*': str},
  'spec*': {
    'failurePolicy': {
      'maxRestarts': int,
      'rules': [
        {
          'name*': str,
          'action*': ('FailJobSet', 'RestartJobSet'),
          'onJobFailureReasons': [('BackoffLimitExceeded', 'PodFailurePolicy')],
        }
      ],
    },
    'replicatedJobs': [
      {'name*': str, 'replicas': int, 'template*': {'spec': _JOB}}
    ],
  },
}


def problems(value, schema, place=''):
  """Yields where a value differs from a schema."""
  if isinstance(schema, tuple):
    if value not in schema:
      yield f'{place}: {value!r} is none of {schema}'
  elif isinstance(schema, type):
    if type(value) is not schema:
      yield f'{place}: {value!r} is no {schema.__name__}'
  elif isinstance(schema, list):
    for i, item in enumerate(value):
      yield from problems(item, schema[0], f'{place}[{i}]')
  else:
    known = {name.rstrip('*'): part for name, part in schema.items()}
    yield from (f'{place}.{name}: unknown' for name in value.keys() - known)
    for name, part in schema.items():
      if name.rstrip('*') in value:
        name = name.rstrip('*')
        yield from problems(value[name], part, f'{place}.{name}')
      elif name.endswith('*'):
        yield f'{place}.{name}: missing'
