//! Random histories against a plain map, and what the index costs.

mod cost;
mod history;
mod model;
