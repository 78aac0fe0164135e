# The broker alone: one static binary, no shell, no user but its own.

FROM docker.io/library/rust:1.95-slim-bookworm AS build
RUN apt-get update && apt-get install --yes --no-install-recommends ca-certificates make musl-tools
RUN rustup target add "$(uname -m)-unknown-linux-musl"
WORKDIR /src
COPY . .
RUN cargo build --release --locked --package lepus --bin lepus --target "$(uname -m)-unknown-linux-musl" \
    && packaging/stage.sh "target/$(uname -m)-unknown-linux-musl/release/lepus" /image

FROM scratch AS lepus
COPY --from=build /image/system /
# The user has neither name nor home; its is the data.
COPY --from=build --chown=999:999 /image/data /var/lib/lepus
ENV RABBITMQ_CONFIG_FILE=/etc/rabbitmq/rabbitmq.conf \
    RABBITMQ_MNESIA_DIR=/var/lib/lepus \
    RABBITMQ_NODE_IP_ADDRESS=0.0.0.0
USER 999:999
WORKDIR /var/lib/lepus
VOLUME /var/lib/lepus
# AMQP, AMQP over TLS, HTTP API, metrics
EXPOSE 5672 5671 15672 15692
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 CMD ["/usr/bin/lepus", "ping"]
ENTRYPOINT ["/usr/bin/lepus"]
