//! See [`crate::models`].

mod announcer;
mod group_commit;
