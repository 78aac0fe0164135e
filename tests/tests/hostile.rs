//! Peers that mean harm, or behave as if they did: they get no more than their share, and others
//! hardly notice. What "hardly" means is said where it is asserted: `Trips::bearable_after`.

mod contents;
mod handshakes;
mod long;
mod masses;
mod routing;
mod silence;
mod storms;
mod unread;
