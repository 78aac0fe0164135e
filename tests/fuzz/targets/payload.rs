//! What is in a frame.
#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| lepus_fuzz::peer::payload(octets));
