//! Differences that are meant.

/// Why an answer to a request may differ so.
pub(super) fn reason(request: &str, what: &str) -> Option<&'static str> {
    let path = request.split(' ').nth(1).unwrap_or_default();
    let found = KNOWN.iter().find(|(of, part, _)| path.starts_with(of) && what.contains(part));
    found.map(|(_, _, why)| *why)
}

/// What paths begin with, a part of the difference, and why.
const KNOWN: &[(&str, &str, &str)] = &[
    ("/permissions", ".reason[]", "another engine finds other words for wrong patterns"),
    ("/queues/foo/q2/get", ".properties is", "nothing is an empty object, and no empty list"),
    ("/queues/foo/q2/get", "status 400 instead of 500", "an unknown ackmode is the client's fault"),
    ("/queues/foo/q2/get", "is {\"an object\"}, not {\"nothing\"}", "and it is told so"),
    ("/queues/foo/q2?columns", "is {\"an object\"}", "columns are there at once"),
    ("/definitions/foo", "[].vhost", "they are for any virtual host, as in later versions"),
    ("/overview", ".socket_opts", "some are options of Erlang's sockets"),
    ("/nodes", "_files[]", "it need not have any"),
    ("/nodes", ".metrics_gc_queue_length", "Erlang's"),
    ("/nodes", ".ra_open_file_metrics", "Erlang's"),
    ("", ".garbage_collection", "Erlang's"),
    ("", ".idle_since", "it depends on when it was asked"),
    ("/auth/hash_password", "", "a GET is answered, as in later versions"),
];
