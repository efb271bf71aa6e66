"""Measures speed and memory on this machine.

  python -m savos_jax.tools.benchmark inference --objects 1 2 5
  python -m savos_jax.tools.benchmark operations --zoom=0 --max_size=0
  python -m savos_jax.tools.benchmark training --size 256x448 --batch_size 1 4
  python -m savos_jax.tools.benchmark data --root=/path/to/DAVIS
  python -m savos_jax.tools.benchmark evaluation --objects=2
  python -m savos_jax.tools.benchmark aot --topology v5e:1x1 v5e:2x4
  python -m savos_jax.tools.benchmark import --file resnet50-0676ba61.pth
  python -m savos_jax.tools.benchmark studio --video clip.mp4
  python -m savos_jax.tools.benchmark compare old.json new.json

Each but the last prints the device and the versions, then a Markdown table,
with each row as soon as it is measured; --json writes the same to a file. Every
measurement is preceded by an untimed run.
"""
