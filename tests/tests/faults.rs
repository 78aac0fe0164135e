//! The machine does what it should not: processes stand still, the clock jumps, descriptors, files and
//! networks go. What needs more than this machine lets its user do is skipped, with a word.

mod files;
mod network;
mod sockets;
mod time;

use lepus_tests::*;

fn persistent() -> BasicProperties {
    props().with_delivery_mode(2)
}

fn durable_queue(conn: &mut Conn, name: &str) -> String {
    let queue = queue::Declare { durable: true, ..declare(name) };
    conn.ch(1).declare(queue).queue.to_string()
}
