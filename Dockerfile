# syntax=docker/dockerfile:1
# The service as an image: dependencies as locked, no build tools, a user without rights, a root that may be read-only.
ARG PYTHON_VERSION=3.11

FROM python:${PYTHON_VERSION}-slim-bookworm AS build
ENV UV_COMPILE_BYTECODE=1 \
    UV_NO_CACHE=1
WORKDIR /build
COPY deploy/docker/build.lock deploy/docker/
RUN pip install --no-cache-dir --no-deps --require-hashes --requirement deploy/docker/build.lock
COPY deploy/docker/service.lock deploy/docker/build.sh deploy/docker/
# A layer of its own, since dependencies change less often than the service.
RUN deploy/docker/build.sh dependencies /opt/workbench
COPY pyproject.toml README.md LICENSE ./
COPY src src
COPY migrations migrations
RUN deploy/docker/build.sh service /opt/workbench

FROM python:${PYTHON_VERSION}-slim-bookworm
LABEL org.opencontainers.image.title="Workbench" \
      org.opencontainers.image.licenses="MIT"
RUN groupadd --system --gid 10001 workbench \
 && useradd --system --uid 10001 --gid workbench --no-create-home --home-dir /var/lib/workbench workbench \
 && install --directory --owner=workbench --group=workbench --mode=0700 /var/lib/workbench
COPY --from=build /opt/workbench /opt/workbench
ENV PATH=/opt/workbench/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    WORKBENCH__DATA_ROOT=/var/lib/workbench \
    WORKBENCH__LOGGING__JSON_FORMAT=true \
    WORKBENCH__SERVICE__ASSISTANT_KEYS=secured \
    WORKBENCH__SERVICE__HOST=0.0.0.0
WORKDIR /var/lib/workbench
USER 10001:10001
VOLUME /var/lib/workbench
EXPOSE 3000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen(f\"http://127.0.0.1:{os.environ.get('WORKBENCH__SERVICE__PORT', '3000')}/readyz\", timeout=4)"]
ENTRYPOINT ["workbench"]
CMD ["serve"]
