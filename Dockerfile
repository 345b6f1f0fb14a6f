# syntax=docker/dockerfile:1
# docker build -t parley .
# docker run -p 8080:8080 -v ./parley.toml:/etc/parley/parley.toml:ro -v ./docs:/etc/parley/docs:ro \
#            -v parley:/var/lib/parley -e PARLEY_WEB_TOKEN=… parley
# For a GPU, build with --build-arg CMAKE_ARGS="-DGGML_CUDA=on" on a CUDA development image (BUILD_IMAGE).

ARG BUILD_IMAGE=python:3.11-slim-bookworm
ARG RUN_IMAGE=python:3.11-slim-bookworm

FROM ${BUILD_IMAGE} AS build
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends build-essential \
    && rm -rf /var/lib/apt/lists/*
# GGML_NATIVE=off: the image may run on another CPU than the one that built it.
ARG CMAKE_ARGS="-DGGML_NATIVE=off -DGGML_AVX2=on -DGGML_FMA=on -DGGML_F16C=on"
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
RUN python -m venv /opt/parley
COPY constraints.txt ./
RUN CMAKE_ARGS="${CMAKE_ARGS} -DLLAVA_BUILD=OFF" /opt/parley/bin/pip install --constraint constraints.txt \
        torch llama-cpp-python
COPY pyproject.toml README.md LICENSE ./
COPY bot bot
COPY adapters adapters
COPY knowledge knowledge
COPY feedback feedback
RUN /opt/parley/bin/pip install --constraint constraints.txt ".[starter,postgres]"

FROM ${RUN_IMAGE} AS run
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates git libgomp1 openssh-client \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --home-dir /var/lib/parley --create-home parley
COPY --from=build /opt/parley /opt/parley
ENV PATH=/opt/parley/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PARLEY_CONFIG=/etc/parley/parley.toml \
    PARLEY_DATA_DIR=/var/lib/parley
USER 10001
WORKDIR /var/lib/parley
VOLUME /var/lib/parley
EXPOSE 8080
HEALTHCHECK --interval=30s --timeout=5s --start-period=2m \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8080/health', timeout=4)"]
ENTRYPOINT ["parley"]
CMD ["serve"]
