//! Peers that mean harm, or behave as if they did: they get no more than their share, and others
//! hardly notice. What "hardly" means is said where it is asserted: `Trips::bearable_after`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "hostile/contents.rs"]
mod contents;
#[path = "hostile/handshakes.rs"]
mod handshakes;
#[path = "hostile/long.rs"]
mod long;
#[path = "hostile/masses.rs"]
mod masses;
#[path = "hostile/routing.rs"]
mod routing;
#[path = "hostile/silence.rs"]
mod silence;
#[path = "hostile/storms.rs"]
mod storms;
#[path = "hostile/unread.rs"]
mod unread;
