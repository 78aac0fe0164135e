//! A broker to be ended in one way or the other, and started again on the same directory.

pub mod broker;
pub mod figures;
mod image;
