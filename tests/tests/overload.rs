//! More than there is room for: of memory, of the disk, of descriptors, of messages, of connections.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "overload/alarms.rs"]
mod alarms;
#[path = "overload/crowds.rs"]
mod crowds;
#[path = "overload/descriptors.rs"]
mod descriptors;
