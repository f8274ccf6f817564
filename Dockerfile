# docker build -t excise .
# docker run --rm -p 8080:8080 -e EXCISE_UPSTREAM=https://api.openai.com excise
# One Python for both stages; to pin the very image, give its digest:
# docker build --build-arg PYTHON=python:3.12.12-slim-bookworm@sha256:… .
ARG PYTHON=python:3.12.12-slim-bookworm
FROM $PYTHON AS build
WORKDIR /src
COPY requirements.lock pyproject.toml README.md LICENSE ./
RUN python -m venv /opt/excise \
 && /opt/excise/bin/pip install --no-cache-dir --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
COPY proxy proxy
COPY policies policies
RUN /opt/excise/bin/pip install --no-cache-dir --disable-pip-version-check --no-deps --no-build-isolation .

FROM $PYTHON
COPY --from=build /opt/excise /opt/excise
ENV PATH=/opt/excise/bin:$PATH \
    EXCISE_LISTEN=0.0.0.0:8080 \
    EXCISE_HEALTH_LISTEN=0.0.0.0:8081
USER 65534:65534
EXPOSE 8080 8081
HEALTHCHECK --interval=10s --timeout=2s --start-period=5s \
  CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8081/readyz', timeout=1)"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["excise"]
CMD ["serve"]
