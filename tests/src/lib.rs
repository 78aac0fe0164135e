//! The harness of the black-box tests: starts a broker and speaks raw AMQP 0-9-1 to it.
//!
//! A test says what it sends and what must come back, frame by frame:
//!
//! ```no_run
//! use lepus_tests::*;
//! let mut conn = shared().connect();
//! let mut ch = conn.channel(1);
//! ch.refused(get("no-such-queue"), 404, "NOT_FOUND - no queue 'no-such-queue' in vhost '/'");
//! ```
//!
//! With `LEPUS_TEST_TARGET=host:port` the tests run against that broker instead of starting one,
//! so that RabbitMQ itself can be asked whether a test is right. Tests that restart the broker need
//! `LEPUS_TEST_CONTROL` as well, a command that is given `kill`, `stop` or `start`, and one test at
//! a time (`--test-threads 1`).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::missing_panics_doc)]

mod ask;
mod broker;
mod chan;
mod conn;
mod figures;
mod operator;
mod probe;
mod process;
mod random;
mod socket;
mod tls;
mod values;
mod wire;

pub use amq_protocol::protocol::{
    AMQPClass, BasicProperties, access, basic, channel, confirm, connection, exchange, queue, tx,
};
pub use amq_protocol::types::{AMQPValue, DecimalValue, FieldArray, FieldTable, ShortString};

pub use ask::*;
pub use broker::{Broker, can_restart, on_target, shared, unique};
pub use chan::{Chan, Message};
pub use conn::{Conn, DEADLINE, Login};
pub use figures::figure;
pub use operator::wait_until;
pub use probe::{Probe, Trips, goes_on, others_go_on, scaled};
pub use process::binary as lepus_binary;
pub use random::Random;
pub use tls::{Authority, Files, Issued, TlsClient, named, server};
pub use values::*;
pub use wire::{
    BODY, Frame, HEADER, HEARTBEAT, METHOD, Method, body_frame, frame, header_frame, message_bytes,
    method_frame,
};

/// Leaves the test when it runs against another broker: Lepus deliberately differs there.
#[macro_export]
macro_rules! lepus_only {
    ($why:literal) => {
        if $crate::on_target() {
            println!("skipped against another broker: {}", $why);
            return;
        }
    };
}

/// Starts a broker that can be killed and started again on its directory. Leaves the test when it
/// runs against another broker that cannot.
#[macro_export]
macro_rules! durable_broker {
    () => {{
        if !$crate::can_restart() {
            println!("skipped: LEPUS_TEST_CONTROL does not say how to restart the other broker");
            return;
        }
        $crate::Broker::start()
    }};
}
