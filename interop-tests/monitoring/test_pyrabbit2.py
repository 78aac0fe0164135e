"""pyrabbit2, a client of the HTTP API."""

import pytest
from pyrabbit2.api import Client
from pyrabbit2.http import HTTPError

from interop import unique, wait_until


@pytest.fixture
def client(api, login):
    return Client(api, *login)


def test_it_is_alive(client):
    assert client.is_alive()
    assert client.get_whoami()["name"] == "guest"
    overview = client.get_overview()
    assert overview["management_version"] and overview["object_totals"]["exchanges"] >= 7
    node = client.get_nodes()[0]
    assert node["running"] and node["type"] == "disc"
    assert client.get_cluster_name()["name"]
    assert client.get_extensions()


def test_virtual_hosts_users_and_permissions(client):
    vhost, user = unique("vhost"), unique("user")
    client.create_vhost(vhost)
    client.create_user(user, "secret", tags="monitoring")
    client.set_vhost_permissions(vhost, user, ".*", rd="^b", wr="^a")
    assert vhost in client.get_vhost_names()
    assert client.get_permission(vhost, user)["write"] == "^a"
    assert [found["user"] for found in client.get_vhost_permissions(vhost)][-1] == user
    assert client.get_user_permissions(user)[0]["vhost"] == vhost
    client.delete_permission(vhost, user)
    client.delete_user(user)
    client.delete_vhost(vhost)
    assert vhost not in client.get_vhost_names()


def test_exchanges_queues_bindings_and_messages(client):
    exchange, queue = unique("exchange"), unique("queue")
    client.create_exchange("/", exchange, "topic")
    client.create_queue("/", queue, durable=True)
    client.create_binding("/", exchange, queue, "a.b")
    found = client.get_queue_bindings("/", queue)
    assert [binding["routing_key"] for binding in found] == [queue, "a.b"]
    assert client.publish("/", exchange, "a.b", "hello")
    assert not client.publish("/", exchange, "b", "hello")
    wait_until(lambda: client.get_queue_depth("/", queue) == 1, "the message")
    message = client.get_messages("/", queue)[0]
    assert (message["payload"], message["routing_key"]) == ("hello", "a.b")
    client.purge_queue("/", queue)
    client.delete_binding("/", exchange, queue, "a.b")
    assert len(client.get_queue_bindings("/", queue)) == 1
    client.delete_queue("/", queue)
    client.delete_exchange("/", exchange)
    with pytest.raises(HTTPError) as error:
        client.get_queue("/", queue)
    assert error.value.status == 404


def test_queues_in_pages_and_by_pattern(client, queue):
    found = client.get_queues("/", pattern=queue)
    assert [found["name"] for found in found] == [queue]


def test_policies(client, queue):
    policy = unique("policy")
    client.create_policy("/", policy, pattern=f"^{queue}$", definition={"max-length": 10})
    assert client.get_policy("/", policy)["definition"] == {"max-length": 10}
    assert policy in [found["name"] for found in client.get_all_policies()]
    assert client.get_queue("/", queue)["policy"] == policy
    client.delete_policy("/", policy)


def test_connections_and_channels(client, channel, queue):
    name = wait_until(lambda: client.get_connections(), "a connection")[0]["name"]
    assert client.get_connection(name)["state"] == "running"
    found = client.get_channels()[0]["name"]
    assert client.get_channel(found)["number"] >= 1
    assert client.get_definitions()["queues"]
