//! What a peer sends that has logged in.
#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| lepus_fuzz::peer::stream_after_login(octets));
