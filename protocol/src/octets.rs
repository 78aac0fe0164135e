//! Octets as RabbitMQ's reply texts show them: an Erlang binary, `<<"abc">>` or `<<1,2,3>>`.

use std::fmt;

/// Shows all of the octets.
#[derive(Clone, Copy, Debug)]
pub struct Binary<'a>(pub &'a [u8]);

impl fmt::Display for Binary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let printable = |octet: &u8| matches!(octet, 0x20..=0x7e);
        if !self.0.is_empty() && self.0.iter().all(printable) {
            let text: String = self.0.iter().map(|octet| char::from(*octet)).collect();
            return write!(f, "<<{text:?}>>");
        }
        f.write_str("<<")?;
        for (at, octet) in self.0.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            write!(f, "{comma}{octet}")?;
        }
        f.write_str(">>")
    }
}

/// The start of a frame's payload, as in `all octets = <<…>>` or `first 16 octets = <<…>>`.
pub fn snippet(payload: &[u8]) -> String {
    match payload.get(..16) {
        Some(first) if payload.len() > 16 => format!("first 16 octets = {}", Binary(first)),
        _ => format!("all octets = {}", Binary(payload)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octets_read_as_in_rabbitmqs_texts() {
        assert_eq!(snippet(b""), "all octets = <<>>");
        assert_eq!(snippet(b"abc"), "all octets = <<\"abc\">>");
        assert_eq!(snippet(&[0, 20, 255]), "all octets = <<0,20,255>>");
        assert_eq!(snippet(b"0123456789abcdefg"), "first 16 octets = <<\"0123456789abcdef\">>");
    }
}
