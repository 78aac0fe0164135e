//! See [`crate::models`].

mod confirms;
mod effects;
mod transaction;
