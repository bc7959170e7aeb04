# SPDX-License-Identifier: Apache-2.0
# cubby serve. The stores are in /data. It listens on all addresses of the container, and so wants a password:
#   docker build -t cubby .
#   docker run -d -p 7379:7379 -p 127.0.0.1:7380:7380 -v cubby:/data -e CUBBY_REQUIREPASS=... cubby
# Further settings by the environment (CUBBY_SYNC=always) or as arguments (--sync always): docs/serve.md.

FROM debian:bookworm-slim AS build
RUN apt-get update \
    && apt-get install -y --no-install-recommends \
        cmake g++ ninja-build \
        libboost1.81-dev libcli11-dev libedit-dev libfmt-dev libspdlog-dev libssl-dev libxxhash-dev prometheus-cpp-dev rapidjson-dev \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /source
COPY CMakeLists.txt CHANGELOG.md LICENSE README.md ./
COPY cmake cmake
COPY include include
COPY packaging packaging
COPY src src
RUN cmake -S . -B /build -G Ninja -DCMAKE_BUILD_TYPE=Release -DCUBBY_INSTALL=OFF \
        -DCUBBY_BUILD_TESTS=OFF -DCUBBY_BUILD_BENCH=OFF -DCUBBY_BUILD_EXAMPLES=OFF \
    && cmake --build /build --target cubby_command \
    && strip /build/bin/cubby

FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends \
        ca-certificates libedit2 libfmt9 libprometheus-cpp-core1.0 libspdlog1.10 libssl3 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 7379 --no-create-home --home-dir /data --shell /usr/sbin/nologin cubby \
    && install -d -o cubby -g cubby -m 0700 /data
COPY --from=build /build/bin/cubby /usr/bin/cubby
COPY LICENSE /usr/share/doc/cubby/LICENSE

# CUBBY_DIR is the server's folder of stores; to look at one by `cubby get` and its like, name it: --dir /data/db0.
ENV CUBBY_BIND="* -::*" CUBBY_DIR=/data
USER cubby
WORKDIR /data
VOLUME /data
EXPOSE 7379 7380
STOPSIGNAL SIGTERM
# A shell of the image's own, as there is no curl.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s \
    CMD ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/7380 && printf 'GET /healthz HTTP/1.1\\r\\nHost: 127.0.0.1\\r\\nConnection: close\\r\\n\\r\\n' >&3 && head -n 1 <&3 | grep -q ' 200 '"]
ENTRYPOINT ["cubby", "serve"]
