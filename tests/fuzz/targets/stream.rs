//! What a stranger sends.
#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| lepus_fuzz::peer::stream(octets));
