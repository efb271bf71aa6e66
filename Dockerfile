# The command savos-jax on a CPU, with the studio.
#
#   docker build --tag savos-jax .
#   docker run --rm --user "$(id -u):$(id -g)" --volume "$PWD:/data" savos-jax \
#     segment --video=clip.mp4 --mask=first.png --out=result
#   docker run --rm savos-jax evaluate --config=demo --workdir=/tmp/demo \
#     --config.eval.checkpoint=default
FROM python:3.11-slim-bookworm AS build
WORKDIR /source
COPY . .
RUN python -m pip install --no-cache-dir build==1.6.1 \
  && python -m build --wheel --outdir=/wheels .

FROM python:3.11-slim-bookworm
# hadolint ignore=DL3013
RUN --mount=from=build,source=/wheels,target=/wheels \
  wheel=$(echo /wheels/*.whl) \
  && python -m pip install --no-cache-dir "${wheel}[export,studio]"
# Compiled functions: a volume at /cache makes the next start faster.
ENV XDG_CACHE_HOME=/cache
RUN useradd --create-home --uid=1000 savos && install -d --mode=1777 /cache /data
USER 1000
WORKDIR /data
ENTRYPOINT ["savos-jax"]
CMD ["--help"]
