"""What docs/how-to/cluster.md has people copy."""

import pathlib
import re
import shlex
import subprocess

import pytest
import yaml

from savos_jax.tools import segment

PAGE = pathlib.Path(__file__).parents[1] / 'docs' / 'how-to' / 'cluster.md'
BLOCKS = dict(re.findall('```(\\w+)\n(.*?)```', PAGE.read_text('utf-8'), re.S))


def test_kubernetes():
  job = yaml.safe_load(BLOCKS['yaml'])
  assert (job['apiVersion'], job['kind']) == ('ray.io/v1', 'RayJob')
  cluster = job['spec']['rayClusterSpec']
  for group in (cluster['headGroupSpec'], *cluster['workerGroupSpecs']):
    pod = group['template']['spec']
    mounted = {m['name'] for c in pod['containers'] for m in c['volumeMounts']}
    assert mounted == {volume['name'] for volume in pod['volumes']}
  _, _, module, *flags = shlex.split(job['spec']['entrypoint'])
  assert module == segment.__name__
  assert segment._parse(flags).ray == ''


@pytest.mark.parametrize('language', ['sh', 'bash'])
def test_shell(language):
  subprocess.run(['bash', '-n'], input=BLOCKS[language], text=True, check=True)
  command = BLOCKS[language].replace('\\\n', ' ').strip().split('\n')[-1]
  _, _, flags = command.partition(f'python -m {segment.__name__} ')
  assert segment._parse(shlex.split(flags)).list == '/shared/videos.csv'
