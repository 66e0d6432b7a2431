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
ENV PATH=/opt/zapwright/bin:$PATH PYTHONUNBUFFERED=1
USER zapwright
WORKDIR /var/lib/zapwright
EXPOSE 8000
ENTRYPOINT ["zapwright"]
CMD ["api"]
