# The version of Python that the pins are tested with.
FROM python:3.11-slim AS build
WORKDIR /src
COPY requirements/run.txt requirements/setup.txt requirements/
RUN python -m venv /opt/clarin \
    && /opt/clarin/bin/pip install --no-cache-dir --require-hashes -r requirements/run.txt \
    && python -m venv /opt/setup \
    && /opt/setup/bin/pip install --no-cache-dir --require-hashes -r requirements/setup.txt
COPY pyproject.toml ./
COPY src src
RUN /opt/setup/bin/python -m hatchling build -t wheel -d /opt/wheel \
    && /opt/clarin/bin/pip install --no-cache-dir --no-index --no-deps /opt/wheel/*.whl

FROM python:3.11-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends libmagic1 \
    && rm -rf /var/lib/apt/lists/*
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin clarin \
    && install -d -o clarin -m 0700 /var/lib/clarin/media /var/lib/clarin/whatsapp
COPY --from=build /opt/clarin /opt/clarin
ENV PATH=/opt/clarin/bin:$PATH CLARIN_ENV=production HOST=0.0.0.0 PORT=8080 LOG_FORMAT=json \
    CLARIN_DATA_DIR=/var/lib/clarin CLARIN_MEDIA_URL=file:///var/lib/clarin/media
USER 10001
EXPOSE 8080
HEALTHCHECK --interval=5s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8080/ready', timeout=4)"]
ENTRYPOINT ["clarin"]
CMD ["serve", "--workers", "2"]
