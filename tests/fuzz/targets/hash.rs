//! The hash of a password.
#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| lepus_fuzz::texts::hash(octets));
