//! What things may be called.

/// Octets that a name may have: AMQP's short strings hold no more (0-9-1 §4.2.5.3).
const LENGTH_MAX: usize = 255;

/// Refuses what AMQP could not say, in RabbitMQ's words.
///
/// # Errors
/// The name is too long.
pub fn check_length(what: &str, name: &str) -> Result<(), String> {
    match name.len() {
        0..=LENGTH_MAX => Ok(()),
        length => Err(format!("{what} should be less than 255 bytes, actually was {length}")),
    }
}

/// The same of what must be called something.
///
/// # Errors
/// The name is empty or too long.
pub fn check(what: &str, name: &str) -> Result<(), String> {
    match name {
        "" => Err(format!("{what} cannot be blank")),
        name => check_length(what, name),
    }
}
