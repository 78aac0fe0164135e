#!/bin/sh
# stage.sh BINARY DIRECTORY: what the container's image has, as `DIRECTORY/system` and `DIRECTORY/data`.
set -eu
here=$(dirname "$0")
system=$2/system
install -D -m 0755 -s "$1" "$system/usr/bin/lepus"
# Under RabbitMQ's names, for health checks and scripts that call them in the container.
for name in rabbitmqctl rabbitmq-diagnostics rabbitmq-queues rabbitmq-plugins; do
    ln -sf lepus "$system/usr/bin/$name"
done
install -D -m 0644 "$here/lepus.conf" "$system/etc/rabbitmq/rabbitmq.conf"
install -d -m 0755 "$system/etc/rabbitmq/conf.d"
# Public authorities, for OAuth 2.0 and backends over HTTPS.
install -D -m 0644 /etc/ssl/certs/ca-certificates.crt "$system/etc/ssl/certs/ca-certificates.crt"
install -d -m 0700 "$2/data"
