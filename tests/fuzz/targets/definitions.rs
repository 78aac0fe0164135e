//! A document of definitions.
#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| lepus_fuzz::texts::definitions(octets));
