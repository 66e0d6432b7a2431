ARG PYTHON_VERSION=3.11

FROM python:${PYTHON_VERSION}-slim AS build
WORKDIR /src
RUN python -m venv /opt/zapwright
COPY requirements/runtime.txt requirements/
RUN /opt/zapwright/bin/pip install --no-cache-dir --require-hashes --requirement requirements/runtime.txt
COPY . .
RUN /opt/zapwright/bin/pip install --no-cache-dir --no-deps --no-build-isolation .

FROM python:${PYTHON_VERSION}-slim
RUN useradd --system --uid 10001 --home-dir /var/lib/zapwright --create-home zapwright
COPY --from=build /opt/zapwright /opt/zapwright
ENV PATH=/opt/zapwright/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    ZAPWRIGHT_API_HOST=0.0.0.0 \
    ZAPWRIGHT_API_PORT=8000 \
    ZAPWRIGHT_DASHBOARD_HOST=0.0.0.0 \
    ZAPWRIGHT_DASHBOARD_PORT=8010
# A number, so that Kubernetes can see that it is not root.
USER 10001
WORKDIR /var/lib/zapwright
EXPOSE 8000
# For the API; a container that runs another command brings its own (docker-compose.yml has them).
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/readyz', timeout=3)"]
ENTRYPOINT ["zapwright"]
CMD ["api"]
