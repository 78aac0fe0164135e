//! The bounds that a peer cannot pass.

/// The smallest frame-max that a peer may choose, octets (0-9-1 §4.2.3, `frame-min-size`).
pub const FRAME_MIN_SIZE: u32 = 4096;

/// The largest frame before tuning, octets: RabbitMQ's `initial_frame_max`.
pub const FRAME_MAX_BEFORE_TUNE: u32 = 8192;

/// Levels of tables and arrays inside one another that are followed; deeper ones are refused
/// before a recursive parser sees them.
pub const TABLE_DEPTH_MAX: usize = 64;

/// The longest short string, octets.
pub const SHORT_STRING_MAX: usize = 255;
