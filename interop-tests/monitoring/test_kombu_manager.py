"""kombu's manager, which is pyrabbit."""

import kombu

from interop import broker_url


def test_a_connections_manager_sees_queues(api, login, queue):
    host, port = api.split(":")
    with kombu.Connection(broker_url()) as connection:
        manager = connection.get_manager(hostname=host, port=int(port))
        # It would look for the text `administrator`, and RabbitMQ has had a list there since 3.9.
        manager.is_admin = True
        assert manager.is_alive()
        assert queue in [found["name"] for found in manager.get_queues("/")]
        assert manager.get_queue_depth("/", queue) == 3
        assert manager.get_overview()["node"]
        assert manager.get_vhost_names() and manager.get_users()
        assert manager.get_connections() and manager.get_channels()
        assert manager.get_bindings() and manager.get_exchanges("/")
