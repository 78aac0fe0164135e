//! More than there is room for: of memory, of the disk, of descriptors, of messages, of connections.

mod alarms;
mod crowds;
mod descriptors;
