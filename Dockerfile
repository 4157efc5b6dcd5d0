# syntax=docker/dockerfile:1
FROM python:3.13-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/imap-gateway
COPY requirements/runtime.txt /source/requirements/runtime.txt
RUN /opt/imap-gateway/bin/pip install --require-hashes -r /source/requirements/runtime.txt
COPY pyproject.toml README.md LICENSE /source/
COPY gateway /source/gateway
COPY connectors /source/connectors
RUN /opt/imap-gateway/bin/pip install --no-deps --no-build-isolation /source \
    && /opt/imap-gateway/bin/pip uninstall --yes pip setuptools

FROM python:3.13-slim-bookworm
LABEL org.opencontainers.image.title="imap-gateway" org.opencontainers.image.licenses="Apache-2.0"
RUN groupadd --gid 10001 imap-gateway \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/imap-gateway imap-gateway \
    && install -d -m 0700 -o imap-gateway -g imap-gateway /var/lib/imap-gateway /var/cache/imap-gateway
COPY --from=build /opt/imap-gateway /opt/imap-gateway
ENV PATH=/opt/imap-gateway/bin:$PATH PYTHONUNBUFFERED=1
USER 10001:10001
WORKDIR /var/lib/imap-gateway
VOLUME ["/var/lib/imap-gateway", "/var/cache/imap-gateway"]
EXPOSE 1143 1993
# The greeting is all it takes to know that the loop turns and connections are taken.
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s CMD ["python", "-c", \
    "import os, socket, sys; s = socket.create_connection(('127.0.0.1', int(os.environ.get('GATEWAY_HEALTH_PORT', '1143'))), 4); sys.exit(s.recv(5) != b'* OK ')"]
ENTRYPOINT ["imap-gateway"]
CMD ["serve", "--config", "/etc/imap-gateway/gateway.toml"]
