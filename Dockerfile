# Both programs and the operators' command, on Debian 12, as a user without rights.
#   docker build -t crossfade .
FROM debian:12-slim AS build
WORKDIR /src
# The list of packages is script/bootstrap's; this layer stays as long as that folder does.
COPY script/ script/
RUN script/bootstrap --no-build
COPY . .
RUN cmake --preset release -DBUILD_TESTING=OFF \
    && cmake --build --preset release --target crossfade-proxy crossfade-cdc crossfade \
    && strip --strip-debug build/release/bin/crossfade-proxy build/release/bin/crossfade-cdc build/release/bin/crossfade

FROM debian:12-slim
RUN apt-get update \
    && apt-get install --yes --no-install-recommends \
        ca-certificates libidn12 libpg-query1504.0 libpq5 libprometheus-cpp-core1.0 libprotobuf32 librdkafka1 libspdlog1.10 libssl3 liburing2 libyaml-cpp0.7 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin crossfade
COPY --from=build /src/build/release/bin/crossfade-proxy /src/build/release/bin/crossfade-cdc /src/build/release/bin/crossfade /usr/local/bin/
COPY LICENSE /usr/share/doc/crossfade/LICENSE
USER 10001:10001
# Clients, the proxy's admin address, cdc's admin address.
EXPOSE 6432 9630 9631
CMD ["crossfade", "--help"]
